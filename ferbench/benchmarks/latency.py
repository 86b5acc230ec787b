"""Latency cells: what a pipeline costs per frame, one fresh worker a round, summarised with what the frames carry.

Never parallel: nothing else may run while a round runs. Rounds of all pipelines are interleaved by the runner.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.environment import find_gpus
from ferbench.benchmarks.guard import GuardPolicy, check_machine
from ferbench.benchmarks.records import STAGES, Cell, LatencySummary, StageTimes
from ferbench.benchmarks.spawn import run_worker
from ferbench.benchmarks.worker import DEFAULT_LOADER, MIN_CALLS, Request
from ferbench.errors import DeviceError, ParameterError, RunError
from ferbench.registry import parse_spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PERCENTILE_FRAMES",
    "Scenario",
    "check_device",
    "frames_needed",
    "measure_latency",
    "parse_scenario",
    "stage_times",
    "summarise_latency",
]

PERCENTILE_FRAMES = {90: 64, 95: 130, 99: 662}
"""Calls that a percentile needs: MLPerf LoadGen's minima for its early-stopping estimate at 99 % confidence."""

DEFAULT_OPTIONS: dict[str, float] = {"warmup": 20, "min_frames": 64, "min_seconds": 2.0}
DEFAULT_TIME_LIMIT_S = 600.0

# pyperf's test of a warm-up: halves of the values may differ by less than this.
_MAX_MEDIAN_DRIFT = 0.05
_MAX_SPREAD_DRIFT = 0.10
_MAX_ROUND_SPREAD = 0.10


@dataclass(frozen=True)
class Scenario:
    """How frames arrive: ``single-stream`` (one a call) or ``offline`` (``batch`` frames a call)."""

    name: str
    batch: int

    def __str__(self) -> str:
        return self.name if self.name == "single-stream" else f"{self.name}(batch={self.batch})"


def parse_scenario(text: str | None) -> Scenario:
    """Read ``single-stream`` or ``offline(batch=32)``; None is ``single-stream``.

    Raises
    ------
    ParameterError
        Any other scenario, or a batch below 1.

    Examples
    --------
    >>> parse_scenario("offline(batch=8)").batch
    8
    """
    spec = parse_spec(text or "single-stream")
    expected = "'single-stream' or 'offline(batch=N)'"
    if spec.name == "single-stream" and not spec.params:
        return Scenario("single-stream", 1)
    if spec.name == "offline" and set(spec.params) <= {"batch"}:
        batch = spec.params.get("batch", 32)
        if isinstance(batch, int) and not isinstance(batch, bool) and batch >= 1:
            return Scenario("offline", batch)
    raise ParameterError("not a scenario that can be measured", got=repr(str(text)), expected=expected)


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


def frames_needed(cell: Cell) -> int:
    """Distinct frames with which no timed call up to ``min_frames`` meets a frame for the second time."""
    batch = parse_scenario(cell.scenario).batch
    options = DEFAULT_OPTIONS | cell.options
    calls = max(MIN_CALLS, -(-int(options["min_frames"]) // batch))
    warm_up = max(1, -(-int(options["warmup"]) // batch))
    return (calls + warm_up) * batch


def measure_latency(
    cell: Cell,
    artefact: Path,
    frames: Path,
    *,
    scratch: Path,
    guard: GuardPolicy = "warn",
    time_limit_s: float = DEFAULT_TIME_LIMIT_S,
    loader: str = DEFAULT_LOADER,
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
    time_limit_s : float
        Seconds after which the worker is killed with its children.
    loader : str
        ``module:function`` that loads the artefact.

    Returns
    -------
    metrics : dict
        Plain JSON data: what :func:`summarise_latency` needs, the guard's values, and effective threads.
    times : DataFrame
        One row a call: ``frame`` (first of the batch), ``n_frames``, ``n_faces``, and ``<stage>_ns`` for each stage
        that took place.

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
    state = check_machine(guard, device=cell.device)
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
            min_frames=int(options["min_frames"]),
            min_seconds=float(options["min_seconds"]),
            folder=str(Path(folder).resolve()),
            parent=os.getpid(),
        )
        worker = run_worker(cell.row, request, time_limit_s=time_limit_s)
    columns = {name if name in ("frame", "n_faces") else f"{name}_ns": values for name, values in worker.times.items()}
    times = pd.DataFrame({**columns, "n_frames": scenario.batch})
    metrics = worker.report | {
        "scenario": str(scenario),
        "device": cell.device,
        "threads": cell.threads,
        "n_calls": len(times),
        "n_frames": len(times) * scenario.batch,
        "p50_ms": float(np.median(_per_frame_ms(times, "total"))),
        "throughput_fps": _throughput(times),
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


def stage_times(ms: npt.NDArray[np.float64]) -> StageTimes:
    """Summary of one stage.

    Parameters
    ----------
    ms : (n,) float64
        Milliseconds per frame, one value a call, n >= 1.

    Returns
    -------
    StageTimes
        Percentiles only where :data:`PERCENTILE_FRAMES` says that n carries them; the interval of the median is the
        95 % interval of order statistics, None where n is too small for one (below 6).
    """
    from scipy import stats

    interval: Any = stats.quantile_test(ms, p=0.5).confidence_interval(0.95)
    low, high = (float(v) if np.isfinite(v) else None for v in (interval.low, interval.high))
    percentiles = {
        f"p{p}": float(np.percentile(ms, p)) if len(ms) >= needed else None for p, needed in PERCENTILE_FRAMES.items()
    }
    quartiles = np.percentile(ms, [25, 75])
    return StageTimes(
        n=len(ms),
        p50=float(np.median(ms)),
        p50_low=low,
        p50_high=high,
        **percentiles,
        mean=float(ms.mean()),
        mad=_mad(ms),
        min=float(ms.min()),
        iqr=float(quartiles[1] - quartiles[0]),
    )


def summarise_latency(rounds: Sequence[tuple[Mapping[str, Any], pd.DataFrame]]) -> LatencySummary:
    """Pool the rounds of one row in one scenario.

    Parameters
    ----------
    rounds : sequence of (metrics, times)
        What :func:`measure_latency` returned, in the order of the rounds.

    Raises
    ------
    RunError
        No rounds, or rounds of different scenarios, devices or thread counts.
    """
    import pandas as pd

    settings = {(m["scenario"], m["device"], m["threads"], m["frames"]) for m, _ in rounds}
    if len(settings) != 1:
        raise RunError("cannot pool rounds", got=f"{len(settings)} different settings", expected="one")
    scenario, device, threads, frames = settings.pop()
    times = pd.concat([t for _, t in rounds], ignore_index=True)
    stages = {stage: stage_times(_per_frame_ms(times, stage)) for stage in STAGES if f"{stage}_ns" in times}
    round_p50 = [float(np.median(_per_frame_ms(t, "total"))) for _, t in rounds]
    unstable = _instabilities([_per_frame_ms(t, "total") for _, t in rounds], round_p50)

    def typical(key: str) -> float:
        return float(np.median([m[key] for m, _ in rounds]))

    return LatencySummary(
        scenario=scenario,
        device=device,
        threads=threads,
        frames=frames,
        stages=stages,
        throughput_fps=_throughput(times),
        faces_per_frame=float(times["n_faces"].sum() / times["n_frames"].sum()),
        round_p50=round_p50,
        is_unstable=bool(unstable),
        notes=[*unstable, *_notes([m for m, _ in rounds], stages["total"].n)],
        import_s=typical("import_s"),
        load_s=typical("load_s"),
        first_call_ms=typical("first_call_ms"),
        peak_rss_mib=max(float(m["peak_rss_mib"]) for m, _ in rounds),
        artefact_bytes=int(rounds[0][0]["artefact_bytes"]),
    )


def _per_frame_ms(times: pd.DataFrame, stage: str) -> npt.NDArray[np.float64]:
    # A stage missing in one round of several is a call without a face in all of it: it took no time.
    values = times[f"{stage}_ns"].fillna(0).clip(lower=0)
    return np.asarray(values / times["n_frames"] / 1e6, dtype=np.float64)


def _throughput(times: pd.DataFrame) -> float:
    """Frames per second inside the clock, sustained over all calls."""
    return float(times["n_frames"].sum() / (times["total_ns"].sum() / 1e9))


def _mad(values: npt.NDArray[np.float64]) -> float:
    return float(np.median(np.abs(values - np.median(values))))


def _instabilities(rounds: Sequence[npt.NDArray[np.float64]], round_p50: Sequence[float]) -> list[str]:
    """What is unsteady within a round (its halves differ: the warm-up was too short, or the machine changed pace) or
    between rounds, in words.

    The spread (MAD) of the halves is compared in units of the median: that of 32 values scatters by a fifth on a
    perfectly steady machine, so in units of itself every short round would be called unstable.
    """
    found = []
    for number, ms in enumerate(rounds, start=1):
        first, second = ms[: len(ms) // 2], ms[len(ms) // 2 :]
        median = np.median(ms)
        drift = float(abs(np.median(first) - np.median(second)) / median)
        spread = abs(_mad(first) - _mad(second)) / float(median)
        if drift >= _MAX_MEDIAN_DRIFT:
            found.append(f"unstable: the medians of the halves of round {number} differ by {drift:.0%}")
        if spread >= _MAX_SPREAD_DRIFT:
            found.append(f"unstable: the spread of the halves of round {number} differs by {spread:.0%} of the median")
    if len(round_p50) > 1 and (between := max(round_p50) / min(round_p50) - 1) >= _MAX_ROUND_SPREAD:
        found.append(f"unstable: the medians of the rounds differ by {between:.0%}")
    return found


def _notes(metrics: Sequence[Mapping[str, Any]], n_calls: int) -> list[str]:
    notes = []
    distinct = int(metrics[0]["n_distinct_frames"])
    most = max(int(m["n_frames"]) for m in metrics)
    if most > distinct:
        notes.append(f"{most:,} frames timed a round, {distinct:,} of them distinct")
    if withheld := [f"p{p} ({needed})" for p, needed in PERCENTILE_FRAMES.items() if n_calls < needed]:
        notes.append(f"{n_calls} calls are too few for {', '.join(withheld)}")
    for number, one in enumerate(metrics, start=1):
        notes += [f"before round {number}: {problem}" for problem in one.get("guard", {}).get("problems", [])]
    return notes
