"""From the raw times of a row's rounds to what reports say of them: percentiles that the frames carry, and doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.records import STAGES, LatencySummary, StageTimes
from ferbench.benchmarks.scenarios import parse_scenario
from ferbench.benchmarks.timing_facts import Facts, fixed_rate
from ferbench.errors import RunError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PERCENTILE_FRAMES", "per_frame_ms", "percentile_interval", "stage_times", "summarise_latency", "throughput"]

PERCENTILE_FRAMES = {90: 64, 95: 130, 99: 662}
"""Calls that a percentile needs: MLPerf LoadGen's minima for its early-stopping estimate at 99 % confidence."""

# pyperf's test of a warm-up: halves of the values may differ by less than this.
_MAX_MEDIAN_DRIFT = 0.05
_MAX_SPREAD_DRIFT = 0.10
_MAX_ROUND_SPREAD = 0.10


def stage_times(ms: npt.NDArray[np.float64]) -> StageTimes:
    """Summary of one stage.

    Parameters
    ----------
    ms : (n,) float64
        Milliseconds per frame, one value a call, n >= 1.

    Returns
    -------
    StageTimes
        Percentiles only where :data:`PERCENTILE_FRAMES` says that n carries them. Intervals are those of
        :func:`percentile_interval`; that of the median is None where n is too small for one (below 6).
    """
    carried = [p for p, needed in PERCENTILE_FRAMES.items() if len(ms) >= needed]
    ordered = np.sort(ms)
    first, third, *values = (float(value) for value in np.percentile(ordered, [25, 75, *carried]))
    percentiles: dict[str, float | None] = {f"p{p}": value for p, value in zip(carried, values, strict=True)}
    for p in (50, *carried):
        percentiles[f"p{p}_low"], percentiles[f"p{p}_high"] = _interval_of(ordered, p)
    return StageTimes(
        n=len(ms),
        p50=float(np.median(ms)),
        **percentiles,
        mean=float(ms.mean()),
        mad=_mad(ms),
        min=float(ms.min()),
        iqr=third - first,
    )


def percentile_interval(values: npt.NDArray[np.float64], p: float) -> tuple[float | None, float | None]:
    """The 95 % interval of order statistics of a percentile; None at an end that n does not reach.

    It assumes nothing of the distribution, only that calls are independent.
    """
    return _interval_of(np.sort(values), p)


def _interval_of(ordered: npt.NDArray[np.float64], p: float) -> tuple[float | None, float | None]:
    low, high = _ranks(len(ordered), p)
    return None if low < 0 else float(ordered[low]), None if high >= len(ordered) else float(ordered[high])


@cache
def _ranks(n: int, p: float) -> tuple[int, int]:
    """Positions of the interval's ends among n sorted values, outside of them where n does not reach.

    Those of ``scipy.stats.quantile_test(...).confidence_interval(0.95)``, which takes milliseconds to find them.
    """
    from scipy.stats import binom

    return int(binom.ppf(0.025, n, p / 100)) - 1, int(binom.isf(0.025, n, p / 100))


def summarise_latency(rounds: Sequence[tuple[Mapping[str, Any], pd.DataFrame]]) -> LatencySummary:
    """Pool the rounds of one row in one scenario.

    Parameters
    ----------
    rounds : sequence of (metrics, times)
        What :func:`ferbench.benchmarks.latency.measure_latency` returned, in the order of the rounds.

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
    stages = {stage: stage_times(per_frame_ms(times, stage)) for stage in STAGES if f"{stage}_ns" in times}
    totals = [per_frame_ms(t, "total") for _, t in rounds]
    round_p50 = [float(np.median(ms)) for ms in totals]
    unstable = _instabilities(totals, round_p50)

    metrics = [m for m, _ in rounds]
    facts = Facts(metrics, threads, n_frames=int(times["n_frames"].sum()))

    def typical(key: str) -> float:
        return float(np.median([m[key] for m, _ in rounds]))

    return LatencySummary(
        scenario=scenario,
        device=device,
        threads=threads,
        frames=frames,
        stages=stages,
        throughput_fps=throughput(times),
        faces_per_frame=float(times["n_faces"].sum() / times["n_frames"].sum()),
        round_p50=round_p50,
        is_unstable=bool(unstable),
        notes=[*unstable, *_notes(metrics, stages["total"].n), *facts.notes],
        import_s=typical("import_s"),
        load_s=typical("load_s"),
        first_call_ms=typical("first_call_ms"),
        peak_rss_mib=max(float(m["peak_rss_mib"]) for m, _ in rounds),
        artefact_bytes=int(rounds[0][0]["artefact_bytes"]),
        together=stage_times(_call_ms(times)) if parse_scenario(scenario).name == "multi-stream" else None,
        fixed_rate=fixed_rate(metrics, times["age_ns"].to_numpy()) if "age_ns" in times else None,
        repeats=facts.repeats,
        usage=facts.usage,
        energy=facts.energy,
    )


def per_frame_ms(times: pd.DataFrame, stage: str) -> npt.NDArray[np.float64]:
    """Milliseconds a frame that each call spent in a stage, one value a call."""
    # A stage missing in one round of several is a call without a face in all of it: it took no time.
    values = times[f"{stage}_ns"].to_numpy(dtype=np.float64)
    taken = np.where(values > 0, values, 0.0)
    return np.asarray(taken / times["n_frames"].to_numpy(dtype=np.float64) / 1e6)


def _call_ms(times: pd.DataFrame) -> npt.NDArray[np.float64]:
    return np.asarray(times["total_ns"] / 1e6, dtype=np.float64)


def throughput(times: pd.DataFrame) -> float:
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
        guard = one.get("guard", {})
        notes += [f"before round {number}: {problem}" for problem in guard.get("problems", [])]
        if waited := guard.get("waited_s"):
            notes.append(f"round {number} waited {waited:g} s for a quiet machine")
    return notes
