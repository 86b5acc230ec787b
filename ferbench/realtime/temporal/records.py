"""What the benchmark of smoothings compares, by which rule it chooses, and what it records."""

from __future__ import annotations

from ferbench.benchmarks.evidence import Estimate
from ferbench.benchmarks.record import Record

__all__ = ["CANDIDATES", "REFERENCE", "RULE", "SmoothingScores", "TemporalResult"]

REFERENCE = "mean:10"
"""The published practice, which every other smoothing is compared with: the mean of ten frames."""

CANDIDATES = (
    "none",
    *(f"mean:{n}" for n in (5, 10, 20)),
    *(f"ema:{a}" for a in (0.3, 0.2, 0.1)),
    "median:10",
    "majority:10",
    *(f"hmm:{p}" for p in (0.9, 0.99, 0.999)),
    "hysteresis:0.2",
    "hysteresis:100ms",
    *(f"mean:{n}+hysteresis:{x}" for n in (5, 10) for x in (0.1, 0.2)),
    "hmm:0.99+hysteresis:0.4",
    "hmm:0.99+hysteresis:0.8",
    *(f"ema:{ms}ms+hysteresis:{x}" for ms in (60, 100, 150) for x in (0.1, 0.2, 0.3)),
)
"""What is compared unless told otherwise."""

RULE = (
    f"the least flicker among smoothings that, on streams not reported here, lag no longer than {REFERENCE}, are right "
    "as often, miss no more changes and have no worse a Brier score"
)


class SmoothingScores(Record):
    """One smoothing under one condition; intervals are 95 %, over streams.

    Attributes
    ----------
    smoothing, condition : str
        ``all`` is all conditions together.
    metrics : dict of str to Estimate
        :data:`~ferbench.realtime.temporal.metrics.METRICS`; one that nothing was counted for is left out.
    minus_none, minus_reference : dict of str to Estimate
        The same minus that of no smoothing and of :data:`REFERENCE` on the same resampled streams.
    """

    smoothing: str
    condition: str
    metrics: dict[str, Estimate]
    minus_none: dict[str, Estimate]
    minus_reference: dict[str, Estimate]


class TemporalResult(Record):
    """What was measured of several smoothings on the same streams.

    Attributes
    ----------
    pipeline, streams, revision : str
        Id of the pipeline; ``synthetic`` or the data set whose people were put in motion, and its revision.
    is_synthetic : bool
    n_people, n_chosen_on : int
        Generated streams or persons that are reported, and others that the choice was made on.
    conditions : list of str
        Each person has a stream under each of them.
    seconds, fps : float
        Of each stream.
    seed : int
    n_frames, n_changes : int
        Faces in frames reported, and changes of expression that the pipeline sees.
    scores, chosen_on : list of SmoothingScores
        On the streams reported, and on those of the choice.
    chosen, rule : str
    """

    pipeline: str
    streams: str
    revision: str
    is_synthetic: bool
    n_people: int
    n_chosen_on: int
    conditions: list[str]
    seconds: float
    fps: float
    seed: int
    n_frames: int
    n_changes: int
    scores: list[SmoothingScores]
    chosen_on: list[SmoothingScores]
    chosen: str
    rule: str = RULE

    def score(self, smoothing: str, condition: str = "all") -> SmoothingScores:
        """The scores of a smoothing on the streams reported."""
        return next(one for one in self.scores if (one.smoothing, one.condition) == (smoothing, condition))
