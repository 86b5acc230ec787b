"""Records of how sure a run is of what it says: intervals, tests of several rows, ranks, confidence, annotators."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field

from ferbench.benchmarks.record import Record

__all__ = [
    "AcrossDatasets",
    "ConfidenceSummary",
    "DatasetEvidence",
    "Estimate",
    "FoldTest",
    "OmnibusTest",
    "PairedDifference",
    "RankStability",
    "ReliabilityBin",
    "seen_from_b",
]


def seen_from_b(difference: float, low: float | None, high: float | None, verdict: str) -> dict[str, Any]:
    """Fields of a difference of a and b, as that of b and a."""
    return {
        "difference": -difference,
        "low": None if high is None else -high,
        "high": None if low is None else -low,
        "verdict": {"better": "worse", "worse": "better"}.get(verdict, verdict),
    }


class Estimate(Record):
    """A value with its 95 % interval."""

    value: float
    low: float | None = None
    high: float | None = None


class PairedDifference(Record):
    """A metric of row a minus that of row b on the same faces, by paired bootstrap."""

    difference: float
    low: float | None = Field(default=None, description="95 % percentile interval; None for a single subject")
    high: float | None = None
    p: float
    p_holm: float
    verdict: Literal["better", "worse", "tie"]
    n_resamples: int

    def mirrored(self) -> Self:
        """That of row b minus that of row a."""
        return self.model_copy(update=seen_from_b(self.difference, self.low, self.high, self.verdict))


class OmnibusTest(Record):
    """Whether the rows of a dataset differ in accuracy at all, before any two of them are compared."""

    rows: list[str]
    method: Literal["cochran", "permutation"] = Field(description="permutation where faces share subjects")
    statistic: float = Field(description="Cochran's Q; of subjects, the variance of the rows' accuracies")
    df: int | None = None
    p: float


class FoldTest(Record):
    """Accuracy of row a minus that of row b over folds, by the corrected resampled t-test."""

    difference: float
    t: float
    df: int
    p: float

    def mirrored(self) -> Self:
        """Row b minus row a."""
        return self.model_copy(update={"difference": -self.difference, "t": -self.t})


class RankStability(Record):
    """How the order of the rows holds when the faces, or subjects, are drawn anew."""

    rows: list[str] = Field(description="best first")
    above: list[list[float]] = Field(description="share of resamples in which row i is above row j; ties count half")
    shares: list[list[float]] = Field(description="share of resamples in which row i has rank j + 1; ties are split")
    n_resamples: int


class DatasetEvidence(Record):
    """What can be said of all rows of one dataset together; end-to-end accuracy."""

    omnibus: OmnibusTest | None = None
    ranks: RankStability | None = None
    annotators: Estimate | None = Field(
        default=None, description="share of single annotators who agree with the plurality of the others, same faces"
    )


class ReliabilityBin(Record):
    """Faces of like confidence: how sure the pipeline was, and how often right."""

    n: int
    confidence: float
    accuracy: float
    low: float
    high: float


class ConfidenceSummary(Record):
    """What a row's confidence is worth, on the faces that were found."""

    aurc: Estimate = Field(description="area under the risk-coverage curve; lower is better")
    best_aurc: float = Field(description="that of a row with as many errors, all of them least confident")
    coverage: list[float]
    risk: list[float] = Field(description="share of errors among the most confident faces, one for each coverage")
    bins: list[ReliabilityBin]


class AcrossDatasets(Record):
    """Friedman's test over datasets and Nemenyi's critical difference of mean ranks."""

    datasets: list[str]
    rows: list[str] = Field(description="best first")
    mean_ranks: list[float]
    statistic: float
    p: float
    critical_difference: float = Field(description="mean ranks that differ by less cannot be told apart, at 5 %")
    left_out: list[str] = Field(default_factory=list, description="rows that were not scored on every dataset")
