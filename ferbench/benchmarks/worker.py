"""One round of one latency cell, in a process of its own: ``python -m ferbench.benchmarks.worker request.json``.

The parent (:mod:`ferbench.benchmarks.spawn`) has set every thread variable in this process's environment, so nothing
that reads one may be imported before. Only the standard library is imported at the top of this module, and even numpy
counts as import time. Results go to files; the exit code is 0 for a result, 2 for an error of the user's.
"""

from __future__ import annotations

import builtins
import gc
import importlib
import json
import os
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ferbench.benchmarks.frames import FrameSet
    from ferbench.faces import Image

__all__ = [
    "DEFAULT_LOADER",
    "ERROR",
    "MIN_CALLS",
    "REPORT",
    "TIMES",
    "Request",
    "TimedPipeline",
    "main",
    "peak_rss_mib",
]

DEFAULT_LOADER = "ferbench.pipelines:load_pipeline"
"""``module:function`` that makes a pipeline of an artefact; called as ``load(path, runtime=, threads=, device=)``."""

MIN_CALLS = 4
"""Calls timed at least, however large a batch is: two halves need two each."""

TIMES = "times.npz"
"""File of raw times: one array a column, one value a call."""

REPORT = "report.json"
"""File of everything else that was measured."""

ERROR = "error.json"
"""File with type and text of an error of the user's."""

_STAGES = ("decode", "detect", "align", "features", "classify")
_ABSENT = -1


class _Processed(Protocol):
    faces: Any
    probabilities: Any
    times_ns: Any


class TimedPipeline(Protocol):
    """What the worker needs of a pipeline."""

    def process(self, images: Sequence[Image], *, detector_bypassed: bool = False) -> _Processed:
        """Faces, probabilities and nanoseconds per stage of a batch; returns when results are on the host."""
        ...


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


class Calls:
    """Calls a pipeline on batches of frames and keeps the times of each stage."""

    def __init__(self, pipeline: TimedPipeline, frames: FrameSet, batch: int) -> None:
        from ferbench.benchmarks.frames import decode_frame

        self.pipeline, self.frames, self.batch = pipeline, frames, batch
        self.decode = decode_frame if frames.kind == "encoded" else None
        self.is_bypassed = frames.kind == "crops"
        # Machine integers: a list of Python ones would grow the resident set that is being measured.
        self.times = {name: array("q") for name in ("frame", "n_faces", *_STAGES, "total")}

    def __call__(self, first: int, *, keep: bool) -> int:
        """Process the batch that starts at frame ``first`` (cyclic); returns the nanoseconds of the whole call."""
        frames = self.frames.frames
        batch = [frames[(first + k) % len(frames)] for k in range(self.batch)]
        clock = time.perf_counter_ns
        start = clock()
        if self.decode:
            batch = [self.decode(data) for data in batch]
            decoded = clock() - start
        else:
            decoded = _ABSENT
        result = self.pipeline.process(batch, detector_bypassed=self.is_bypassed)
        total = clock() - start
        if keep:
            stages = {**result.times_ns, "decode": decoded, "total": total}
            if self.is_bypassed:  # What is left of it is bookkeeping, and would stand in tables as a detector's time.
                stages["detect"] = _ABSENT
            for name in (*_STAGES, "total"):
                self.times[name].append(int(stages.get(name, _ABSENT)))
            self.times["frame"].append(first % len(frames))
            self.times["n_faces"].append(len(result.faces))
        return total


def measure(calls: Calls, request: Request, clock: ImportClock) -> float:
    """First call, warm-up, then the timed calls; returns the milliseconds of the first call, imports left out."""
    n = len(calls.frames.frames)
    imported = clock.seconds
    # Warm-up goes backwards from the end of the file, so that timed calls meet frames not seen before while any are
    # left: a pipeline that remembers frames gains nothing.
    with clock.running():
        first_ns = calls(n - request.batch, keep=False)
    first_call_ms = first_ns / 1e6 - (clock.seconds - imported) * 1e3
    for k in range(1, max(1, -(-request.warmup // request.batch))):
        calls(n - (k + 1) * request.batch, keep=False)
    gc.collect()
    gc.freeze()
    gc.disable()
    done, start = 0, time.perf_counter()
    while (
        done < max(request.min_frames, MIN_CALLS * request.batch) or time.perf_counter() - start < request.min_seconds
    ):
        calls(done, keep=True)
        done += request.batch
    gc.enable()
    gc.unfreeze()
    return first_call_ms


def run(request: Request) -> None:
    """Serve a request: load, read frames, measure, write the files."""
    clock = ImportClock()
    with clock.running():
        import numpy as np

        from ferbench.benchmarks.frames import read_frames
        from ferbench.benchmarks.threads import apply_threads, effective_threads
    pipeline, load_s = load(request, clock)
    peak_of_loading = peak_rss_mib()
    frames = read_frames(request.frames)
    calls = Calls(pipeline, frames, request.batch)
    apply_threads(request.threads)
    first_call_ms = measure(calls, request, clock)
    # The frames are the harness's, not the pipeline's; they were in memory during the second phase only.
    peak = max(peak_of_loading, peak_rss_mib() - frames.n_bytes / 2**20)
    times = {name: np.array(values, dtype=np.int64) for name, values in calls.times.items()}
    # A network has no features stage: it is absent, or 0 in every call.
    present: dict[str, Any] = {
        name: values for name, values in times.items() if name not in _STAGES or (values > 0).any()
    }
    np.savez(Path(request.folder, TIMES), **present)
    report = {
        "import_s": clock.seconds,
        "load_s": load_s,
        "first_call_ms": first_call_ms,
        "peak_rss_mib": peak,
        "n_distinct_frames": len(frames.frames),
        "frames": frames.description,
        "effective_threads": effective_threads(),
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
