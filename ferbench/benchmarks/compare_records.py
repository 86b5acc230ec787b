"""Records of two runs compared: what ``ferbench compare --format json`` prints."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ferbench.benchmarks.record import Record
from ferbench.benchmarks.records import RowSummary

__all__ = ["MARGIN", "Measure", "RunComparison", "RunFacts", "Verdict", "margin_text", "unjudged"]

MARGIN = 0.01
"""Accuracies and macro F1 scores whose difference is surely below one point tie."""

Verdict = Literal["better", "worse", "tie", "cannot tell"]


class RunFacts(Record):
    """Which run a side is."""

    path: str
    run_id: str
    created: str
    ferbench_version: str
    revision: str | None = Field(description="of ferbench's repository; None where it ran from a package")


class Measure(Record):
    """One row, one quantity, in both runs; the verdict is on b."""

    dataset: str
    a_row: str
    b_row: str
    metric: Literal["accuracy", "macro_f1", "latency"]
    condition: str | None = Field(default=None, description="latency: scenario, device, threads, frames")
    a: float | None = Field(default=None, description="a share, or milliseconds a frame")
    b: float | None = None
    difference: float | None = Field(default=None, description="b minus a; for latencies the ratio of b to a")
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    n: int | None = Field(default=None, description="faces that both scored; calls of b")
    verdict: Verdict
    reason: str | None = Field(default=None, description="why nothing can be told")

    @property
    def row(self) -> str:
        """The row's name, both where they differ."""
        return self.a_row if self.a_row == self.b_row else f"{self.a_row} → {self.b_row}"


class RunComparison(Record):
    """What came of comparing two runs; ``b`` is judged against ``a``."""

    a: RunFacts
    b: RunFacts
    verdict: Verdict = Field(description="worse if anything is, else better if anything is, else tie if all tie")
    measures: list[Measure]
    warnings: list[str] = Field(description="what else differs between the runs")
    notes: list[str] = Field(description="what was not compared")
    margin: float = MARGIN
    schema_version: int = 1

    def count(self, verdict: Verdict) -> int:
        """Number of measures with a verdict."""
        return sum(one.verdict == verdict for one in self.measures)


def margin_text(margin: float) -> str:
    """A margin of shares in points: ``"1 point"`` of 0.01."""
    return f"{100 * margin:g} point{'s' if margin != 0.01 else ''}"


def unjudged(
    a: RowSummary, b: RowSummary, metric: str, reason: str | None = None, verdict: Verdict = "cannot tell"
) -> Measure:
    """A measure of a pair of rows without figures."""
    facts: dict[str, Any] = {"dataset": a.dataset, "a_row": a.row, "b_row": b.row, "metric": metric}
    return Measure(verdict=verdict, reason=reason, **facts)
