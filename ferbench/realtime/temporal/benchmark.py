"""The benchmark of smoothings: every one replayed over the same traces, with intervals over streams, and a choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.evidence import Estimate
from ferbench.benchmarks.statistics import N_RESAMPLES, resample_weights
from ferbench.errors import DataError, ParameterError, UnknownNameError
from ferbench.realtime.smoothing import parse_smoothing
from ferbench.realtime.temporal.metrics import METRICS, Trace, count, metrics_of, replay
from ferbench.realtime.temporal.records import CANDIDATES, REFERENCE, SmoothingScores, TemporalResult
from ferbench.realtime.temporal.streams import CONDITIONS, check_subjects, people
from ferbench.realtime.temporal.traces import trace_generated, trace_person

if TYPE_CHECKING:
    from ferbench.pipelines import Pipeline

__all__ = ["choose", "measure_temporal"]

_CHOICE_SEEDS = 1_000_000
"""Generated streams for the choice have seeds from here on, those reported below."""


@dataclass(frozen=True)
class _Cast:
    """Where streams come from: who, and the trace of each under each condition."""

    revision: str
    is_synthetic: bool
    reported: list[str]
    others: list[str]
    trace: Callable[[str, str], Trace]


def measure_temporal(
    pipeline: Pipeline,
    streams: str = "synthetic",
    *,
    smoothings: Sequence[str] = CANDIDATES,
    conditions: Sequence[str] | None = None,
    n: int = 8,
    seconds: float = 10.0,
    fps: float = 30.0,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> TemporalResult:
    """Measure smoothings of one pipeline's answers over time.

    Parameters
    ----------
    pipeline : Pipeline
        Ready to run.
    streams : str
        ``synthetic``, or a data set of faces with subjects, whose people are put in motion.
    smoothings : sequence of str
        ``none`` and :data:`REFERENCE` are always among them.
    conditions : sequence of str, optional
        Names of :data:`~ferbench.realtime.temporal.streams.CONDITIONS`; by default all that the streams can have.
    n : int
        Persons reported, each under each condition; the choice is made on as many others.
    seconds, fps : float
        Of each stream.
    seed : int
    on_progress : callable, optional
        Called after each stream with the number done and that of all.

    Raises
    ------
    ParameterError, UnknownNameError
        For wrong numbers, an unknown condition, a smoothing that is none.
    DataError
        The data set has too few people, or does not say who they are.
    """
    names = _smoothings(smoothings)
    _check(n, seconds, fps, seed)
    cast = _generated_cast(pipeline, n, seconds, fps, seed) if streams == "synthetic" else None
    cast = cast or _people_cast(pipeline, streams, n, seconds, fps, seed)
    wanted = _conditions(conditions, cast.is_synthetic)
    every = [*cast.others, *cast.reported]
    total, counts = len(every) * len(wanted), []
    for who in every:
        for condition in wanted:
            trace = cast.trace(who, condition)
            counts.append(count(trace, [replay(trace, name) for name in names]))
            if on_progress:
                on_progress(len(counts), total)
    table = np.stack(counts).reshape(len(every), len(wanted), len(names), -1)
    others, reported = np.split(table, [len(cast.others)])
    chosen_on, scores = (_scores(part, names, wanted, seed) for part in (others, reported))
    return TemporalResult(
        pipeline=pipeline.id,
        streams=streams,
        revision=cast.revision,
        is_synthetic=cast.is_synthetic,
        n_people=len(cast.reported),
        n_chosen_on=len(cast.others),
        conditions=wanted,
        seconds=seconds,
        fps=fps,
        seed=seed,
        n_frames=int(reported[:, :, 0, 0].sum()),
        n_changes=int(reported[:, :, 0, 4].sum()),
        scores=scores,
        chosen_on=chosen_on,
        chosen=choose(chosen_on),
    )


def choose(scores: Sequence[SmoothingScores]) -> str:
    """The smoothing that :data:`RULE` picks, over all conditions; :data:`REFERENCE` where no other is better."""
    together = {one.smoothing: one.metrics for one in scores if one.condition == "all"}
    least = together[REFERENCE]
    if not set(METRICS) <= set(least):
        return REFERENCE

    def is_allowed(metrics: dict[str, Estimate]) -> bool:
        is_no_worse = all(metrics[name].value <= least[name].value for name in ("lag_ms", "missed", "brier"))
        return is_no_worse and metrics["accuracy"].value >= least["accuracy"].value

    allowed = {name: metrics for name, metrics in together.items() if is_allowed(metrics)}
    return min(allowed, key=lambda name: (allowed[name]["flicker"].value, allowed[name]["lag_ms"].value))


def _smoothings(smoothings: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(str(parse_smoothing(text)) for text in ("none", REFERENCE, *smoothings)))


def _check(n: int, seconds: float, fps: float, seed: int) -> None:
    limits = {
        "number of persons": (n, 2, 10_000),
        "seconds": (seconds, 2, 600),
        "fps": (fps, 1, 240),
        "seed": (seed, 0, 10_000),
    }
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise ParameterError(f"{name} of temporal streams", got=value, expected=f"{low:g} to {high:g}")


def _conditions(names: Sequence[str] | None, is_synthetic: bool) -> list[str]:
    possible = [name for name, one in CONDITIONS.items() if is_synthetic or not one.crossing]
    for name in names or ():
        if name not in CONDITIONS:
            raise UnknownNameError("condition", name, CONDITIONS)
        if name not in possible:
            raise ParameterError(f"only generated people can be {name}", got="a data set", expected="synthetic")
    return list(dict.fromkeys(names)) if names else possible


def _generated_cast(pipeline: Pipeline, n: int, seconds: float, fps: float, seed: int) -> _Cast:
    def trace(who: str, condition: str) -> Trace:
        return trace_generated(pipeline, condition, seed=int(who), seconds=seconds, fps=fps)

    first = seed * n
    reported, others = ([str(start + first + i) for i in range(n)] for start in (0, _CHOICE_SEEDS))
    return _Cast("", True, reported, others, trace)


def _people_cast(pipeline: Pipeline, streams: str, n: int, seconds: float, fps: float, seed: int) -> _Cast:
    from ferbench.datasets import load_dataset

    samples = load_dataset(streams).split("all")
    check_subjects(samples)
    if samples.kind == "crops":
        crops, kept = np.stack([np.asarray(image) for image in samples.images]), np.arange(len(samples))
    else:
        crops, owner = pipeline.crops_of_photos(samples)
        kept = np.asarray(owner)
    actors = people(samples.subset(kept) if len(kept) < len(samples) else samples, crops, pipeline.labels)
    names = list(actors)
    if len(names) < 2 * n:
        raise DataError(
            f"too few people in {streams}",
            got=f"{len(names)} with two expressions that the pipeline knows",
            expected=f"{2 * n}: {n} reported and as many for the choice",
            fix=f"--people {len(names) // 2}",
        )

    def trace(who: str, condition: str) -> Trace:
        return trace_person(
            pipeline,
            actors[who],
            condition,
            who=who,
            revision=samples.revision,
            seed=seed,
            seconds=seconds,
            fps=fps,
        )

    # Nobody is in both halves, whatever their number.
    return _Cast(samples.revision, False, names[0::2][:n], names[1::2][:n], trace)


def _scores(
    counts: npt.NDArray[np.float64], names: Sequence[str], conditions: Sequence[str], seed: int
) -> list[SmoothingScores]:
    """Scores of (U, K, S, 9) counts of U persons, all conditions together first."""
    counts = np.concatenate([counts.sum(axis=1, keepdims=True), counts], axis=1)
    whole = metrics_of(counts.sum(axis=0))
    drawn = [
        metrics_of(np.tensordot(weights, counts, axes=1))
        for weights in resample_weights(len(counts), N_RESAMPLES, seed)
    ]
    draws = {metric: np.concatenate([part[metric] for part in drawn]) for metric in METRICS}
    none, reference = names.index("none"), names.index(REFERENCE)
    scores = []
    for k, condition in enumerate(("all", *conditions)):
        for s, name in enumerate(names):
            values = {m: (whole[m][k, s], draws[m][:, k, s]) for m in METRICS}
            minus = [
                {m: (v - whole[m][k, base], d - draws[m][:, k, base]) for m, (v, d) in values.items()}
                for base in (none, reference)
            ]
            estimates = [
                {m: e for m, (v, d) in part.items() if (e := _estimate(v, d)) is not None} for part in (values, *minus)
            ]
            scores.append(
                SmoothingScores(
                    smoothing=name,
                    condition=condition,
                    metrics=estimates[0],
                    minus_none=estimates[1],
                    minus_reference=estimates[2],
                )
            )
    return scores


def _estimate(value: float, draws: npt.NDArray[np.float64]) -> Estimate | None:
    if np.isnan(value):
        return None
    # A resample of persons none of whom has a change that the pipeline sees says nothing of lag.
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(value=float(value), low=float(low), high=float(high))
