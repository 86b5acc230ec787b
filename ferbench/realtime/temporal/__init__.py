"""Smoothings measured over time: streams with known truth, what a pipeline says of them, flicker and lag of what shows.

>>> from ferbench.realtime.temporal import measure_temporal
>>> result = measure_temporal(load_pipeline("tiny"), "ckplus", n=20)  # doctest: +SKIP
>>> result.score("mean:10").metrics["flicker"]  # doctest: +SKIP
"""

from ferbench.realtime.temporal.benchmark import choose, measure_temporal
from ferbench.realtime.temporal.metrics import Trace, count, metrics_of, replay
from ferbench.realtime.temporal.records import CANDIDATES, REFERENCE, RULE, SmoothingScores, TemporalResult
from ferbench.realtime.temporal.streams import CONDITIONS

__all__ = [
    "CANDIDATES",
    "CONDITIONS",
    "REFERENCE",
    "RULE",
    "SmoothingScores",
    "TemporalResult",
    "Trace",
    "choose",
    "count",
    "measure_temporal",
    "metrics_of",
    "replay",
]
