"""Latency cells: what a pipeline costs per frame, one fresh worker a round.

Never parallel: nothing else may run while a round runs. Rounds of all pipelines are interleaved by the runner.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferbench.benchmarks.cells import Cell
from ferbench.benchmarks.environment import find_gpus
from ferbench.benchmarks.guard import GuardPolicy, check_machine
from ferbench.benchmarks.scenarios import Scenario, parse_scenario
from ferbench.benchmarks.spawn import run_worker
from ferbench.benchmarks.timing import MIN_CALLS
from ferbench.benchmarks.timing_summary import per_frame_ms, throughput
from ferbench.benchmarks.worker import DEFAULT_LOADER, Request
from ferbench.errors import DeviceError, ParameterError, RunError
from ferbench.specs import parse_spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_device", "frames_needed", "measure_latency", "planned_seconds", "search_seconds"]

DEFAULT_OPTIONS: dict[str, float] = {"warmup": 20, "min_frames": 64, "min_seconds": 2.0}
DEFAULT_TIME_LIMIT_S = 600.0

_COUNTS = ("frame", "n_faces", "sequence")  # columns that are no times


def check_device(device: str) -> None:
    """Raise :class:`DeviceError` if cells of this device cannot run here, and must be skipped.

    Raises
    ------
    DeviceError
        A GPU where the driver lists none.
    ParameterError
        A device of another name.
    """
    if device == "cpu":
        return
    if device not in ("gpu", "cuda"):
        raise ParameterError("unknown device", got=repr(device), expected="'cpu' or 'gpu'")
    if not find_gpus():
        raise DeviceError("no GPU on this machine", got=f"device {device!r}", expected="one that nvidia-smi lists")


def search_seconds(min_seconds: float) -> float:
    """Seconds that the search for the highest rate may take in one round: ten times ``min_seconds``, 20 to 120."""
    return min(120.0, max(20.0, 10 * min_seconds))


def planned_seconds(cell: Cell) -> float:
    """Seconds for which the clock of one round of a fixed rate runs at least, however fast the pipeline is."""
    scenario, options = parse_scenario(cell.scenario), DEFAULT_OPTIONS | cell.options
    least = float(options["min_seconds"])
    if scenario.hz is None:
        return search_seconds(least) + least
    return max(least, int(options["min_frames"]) / scenario.hz)


def _arrivals(scenario: Scenario) -> str:
    if not scenario.is_fixed_rate:
        return "when-answered"
    return "search" if scenario.hz is None else "fixed"


def frames_needed(cell: Cell) -> int:
    """Distinct frames with which no timed call up to ``min_frames`` meets a frame for the second time."""
    scenario = parse_scenario(cell.scenario)
    batch = scenario.batch
    options = DEFAULT_OPTIONS | cell.options
    calls = max(MIN_CALLS, -(-_least_frames(scenario, int(options["min_frames"])) // batch))
    warm_up = max(1, -(-int(options["warmup"]) // batch))
    return (calls + warm_up) * batch


def _least_frames(scenario: Scenario, min_frames: int) -> int:
    """Frames of a round: of streams each gives so many, since it is their arrivals that percentiles are taken of."""
    return min_frames * scenario.batch if scenario.name == "multi-stream" else min_frames


def measure_latency(
    cell: Cell,
    artefact: Path,
    frames: Path,
    *,
    scratch: Path,
    guard: GuardPolicy = "warn",
    time_limit_s: float | None = None,
    loader: str = DEFAULT_LOADER,
    say: Callable[[str], object] = lambda text: None,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Time one round of one cell in a fresh worker process.

    Parameters
    ----------
    cell : Cell
        A latency cell; ``options`` may hold ``warmup`` (frames), ``min_frames`` and ``min_seconds``: timing goes on
        until both minima are met.
    artefact : path
        Folder of the saved pipeline.
    frames : path
        Frame file of :func:`ferbench.benchmarks.frames.write_frames`, of :func:`frames_needed` frames.
    scratch : path
        Folder for the worker's files; made if it does not exist.
    guard : "warn", "wait" or "refuse"
        What to do if the machine is busy; see :func:`ferbench.benchmarks.guard.check_machine`.
    time_limit_s : float or None
        Seconds after which the worker is killed with its children; None for 600, and for a fixed rate as much more as
        its frames take to arrive.
    loader : str
        ``module:function`` that loads the artefact.
    say : callable
        Told in one line when the guard waits, and when it has waited.

    Returns
    -------
    metrics : dict
        Plain JSON data: what :func:`summarise_latency` needs, the guard's values, and effective threads.
    times : DataFrame
        One row a call: ``frame`` (first of the batch), ``n_frames``, ``n_faces``, and ``<stage>_ns`` for each stage
        that took place. Of a fixed rate also ``sequence`` (which of the frames that arrived; those between were
        dropped) and ``age_ns``.

    Raises
    ------
    DeviceError
        The device is not there: the cell is to be skipped.
    ParameterError
        A scenario that cannot be measured.
    WorkerError
        The worker crashed or ran out of time.
    """
    import pandas as pd

    scenario = parse_scenario(cell.scenario)
    check_device(cell.device)
    if not artefact.exists():
        raise RunError(f"nothing to time at {artefact}", expected="the folder of a saved pipeline")
    state = check_machine(guard, device=cell.device, say=say)
    options = DEFAULT_OPTIONS | cell.options
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="worker_") as folder:
        request = Request(
            artefact=str(artefact.resolve()),
            loader=loader,
            runtime=cell.pipeline.runtime,
            threads=cell.threads,
            device="cpu" if cell.device == "cpu" else "gpu",
            frames=str(frames.resolve()),
            batch=scenario.batch,
            warmup=int(options["warmup"]),
            min_frames=_least_frames(scenario, int(options["min_frames"])),
            min_seconds=float(options["min_seconds"]),
            folder=str(Path(folder).resolve()),
            parent=os.getpid(),
            arrivals=_arrivals(scenario),
            hz=scenario.hz or 0.0,
            search_s=search_seconds(float(options["min_seconds"])),
        )
        if time_limit_s is None:
            time_limit_s = DEFAULT_TIME_LIMIT_S + (planned_seconds(cell) if scenario.is_fixed_rate else 0.0)
        worker = run_worker(cell.row, request, time_limit_s=time_limit_s)
    columns = {name if name in _COUNTS else f"{name}_ns": values for name, values in worker.times.items()}
    times = pd.DataFrame({**columns, "n_frames": scenario.batch})
    metrics = worker.report | {
        "scenario": str(scenario),
        "device": cell.device,
        "threads": cell.threads,
        "n_calls": len(times),
        "n_frames": len(times) * scenario.batch,
        "p50_ms": float(np.median(per_frame_ms(times, "total"))),
        "throughput_fps": throughput(times),
        "artefact_bytes": _artefact_bytes(artefact, cell.pipeline.runtime),
        "warmup": int(options["warmup"]),
        "guard": state.to_dict(),
    }
    return metrics, times


def _artefact_bytes(folder: Path, runtime: str | None) -> int:
    """Size of the file that the runtime runs; of the whole folder where it has no file of its own there."""
    from ferbench.pipelines.artefacts import model_file

    name = model_file(parse_spec(runtime)) if runtime else None
    files = [folder / name] if name and (folder / name).is_file() else [f for f in folder.rglob("*") if f.is_file()]
    return sum(file.stat().st_size for file in files)
