"""One round of one latency cell, in a process of its own: ``python -m ferbench.benchmarks.worker request.json``.

The parent (:mod:`ferbench.benchmarks.spawn`) has set every thread variable in this process's environment, so nothing
that reads one may be imported before. Only the standard library is imported at the top of this module, and even numpy
counts as import time. Results go to files; the exit code is 0 for a result, 2 for an error of the user's.
"""

from __future__ import annotations

import builtins
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ferbench.benchmarks.timing import TimedPipeline

__all__ = [
    "DEFAULT_LOADER",
    "ERROR",
    "REPORT",
    "TIMES",
    "Request",
    "main",
    "peak_rss_mib",
]

DEFAULT_LOADER = "ferbench.pipelines:load_pipeline"
"""``module:function`` that makes a pipeline of an artefact; called as ``load(path, runtime=, threads=, device=)``."""

TIMES = "times.npz"
"""File of raw times: one array a column, one value a call."""

REPORT = "report.json"
"""File of everything else that was measured."""

ERROR = "error.json"
"""File with type and text of an error of the user's."""


@dataclass(frozen=True)
class Request:
    """What the parent asks for; travels as JSON.

    Attributes
    ----------
    artefact : str
        Folder of the saved pipeline.
    loader : str
        ``module:function``; see :data:`DEFAULT_LOADER`.
    runtime : str or None
        Runtime to prepare; None for the artefact's own.
    threads, device : int, str
        For the loader.
    frames : str
        Frame file.
    batch : int
        Frames per call.
    warmup, min_frames : int
        Frames before the clock, and frames timed at least.
    min_seconds : float
        Seconds timed at least.
    arrivals : "when-answered", "fixed" or "search"
        When the next frame comes: when the last is answered, at ``hz``, or at the highest rate that is kept up with,
        which is searched for.
    hz : float
        Frames a second of ``fixed``.
    search_s : float
        Seconds for ``search`` at most.
    folder : str
        Where to write :data:`TIMES` and :data:`REPORT`, or :data:`ERROR`.
    parent : int
        Process id of the parent.
    """

    artefact: str
    loader: str
    runtime: str | None
    threads: int
    device: str
    frames: str
    batch: int
    warmup: int
    min_frames: int
    min_seconds: float
    folder: str
    parent: int
    arrivals: str = "when-answered"
    hz: float = 0.0
    search_s: float = 0.0


class ImportClock:
    """Seconds spent in import statements while it is running, wherever in the code they stand.

    Heavy imports are inside functions throughout the toolkit, so a clock around ``import`` lines of this module would
    see none of them, and a clock around loading would mix up importing TensorFlow with reading a model.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the imports inside the block."""
        plain_import, plain_module = builtins.__import__, importlib.import_module
        is_inside = False

        def timed(call: Any, *arguments: Any, **keywords: Any) -> Any:
            nonlocal is_inside
            if is_inside:
                return call(*arguments, **keywords)
            is_inside, start = True, time.perf_counter()
            try:
                return call(*arguments, **keywords)
            finally:
                self.seconds += time.perf_counter() - start
                is_inside = False

        builtins.__import__ = lambda *a, **k: timed(plain_import, *a, **k)
        importlib.import_module = lambda *a, **k: timed(plain_module, *a, **k)
        try:
            yield
        finally:
            builtins.__import__, importlib.import_module = plain_import, plain_module


def peak_rss_mib() -> float:
    """Largest resident set of this process so far, in MiB.

    On Linux from ``VmHWM``: ``ru_maxrss`` survives ``exec`` there, so it would report a large parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import psutil

    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def die_with_parent(parent: int) -> None:
    """Linux: have the kernel kill this process when its parent is killed, lest it disturb the next run's timings."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes
    import signal

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:  # It died before the call.
        sys.exit(1)


def load(request: Request, clock: ImportClock) -> tuple[TimedPipeline, float]:
    """Make the pipeline; returns it and the seconds that took, imports left out."""
    start, imported = time.perf_counter(), clock.seconds
    with clock.running():
        module, _, function = request.loader.partition(":")
        loader = getattr(importlib.import_module(module), function)
        pipeline = loader(request.artefact, runtime=request.runtime, threads=request.threads, device=request.device)
        from ferbench.benchmarks.threads import apply_threads

        apply_threads(request.threads)
    return pipeline, time.perf_counter() - start - (clock.seconds - imported)


def run(request: Request) -> None:
    """Serve a request: load, read frames, measure, write the files."""
    clock = ImportClock()
    with clock.running():
        import numpy as np

        from ferbench.benchmarks.frames import read_frames
        from ferbench.benchmarks.threads import apply_threads, effective_threads
    pipeline, load_s = load(request, clock)
    peak_of_loading = peak_rss_mib()
    from ferbench.benchmarks.repeats import time_pairs
    from ferbench.benchmarks.timing import Calls, measure, times_of

    frames = read_frames(request.frames)
    calls = Calls(pipeline, frames, request.batch)
    apply_threads(request.threads)
    imported = clock.seconds
    with clock.running():
        first_ns = calls.first()
    first_call_ms = first_ns / 1e6 - (clock.seconds - imported) * 1e3
    measured = measure(calls, request)
    # The frames are the harness's, not the pipeline's; they were in memory during the second phase only.
    peak = max(peak_of_loading, peak_rss_mib() - frames.n_bytes / 2**20)
    pairs = time_pairs(pipeline, calls.decoded, detector_bypassed=calls.is_bypassed, budget_s=request.min_seconds)
    columns: dict[str, Any] = dict(times_of(calls))
    np.savez(Path(request.folder, TIMES), **columns)
    report = {
        "import_s": clock.seconds,
        "load_s": load_s,
        "first_call_ms": first_call_ms,
        "peak_rss_mib": peak,
        "n_distinct_frames": len(frames.frames),
        "frames": frames.description,
        "effective_threads": effective_threads(),
        "repeats_ns": pairs,
        **measured,
    }
    Path(request.folder, REPORT).write_text(json.dumps(report))


def main(arguments: list[str]) -> int:
    """Run the request in the file named; a :class:`~ferbench.errors.FerbenchError` becomes a file and exit code 2."""
    request = Request(**json.loads(Path(arguments[0]).read_text()))
    die_with_parent(request.parent)
    from ferbench.errors import FerbenchError

    try:
        run(request)
    except FerbenchError as error:
        Path(request.folder, ERROR).write_text(json.dumps({"type": type(error).__name__, "message": str(error)}))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
