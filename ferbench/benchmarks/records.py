"""The summary of a run, which reports are built from.

Everything here is data, validated by pydantic with unknown keys forbidden. Files of old schema versions stay readable:
``tests/benchmarks/results`` holds one of each, for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import Field

from ferbench.benchmarks.cells import SCHEMA, CellError, PipelineSpec, Status
from ferbench.benchmarks.checks.results import CheckResult
from ferbench.benchmarks.evidence import (
    AcrossDatasets,
    ConfidenceSummary,
    DatasetEvidence,
    Estimate,
    FoldTest,
    PairedDifference,
    seen_from_b,
)
from ferbench.benchmarks.record import Record
from ferbench.benchmarks.searches import SearchSummary
from ferbench.benchmarks.shifts import GeneralisationSummary, RobustnessSummary, TransferSummary
from ferbench.benchmarks.timing_records import Energy, FixedRate, Repeats, Usage
from ferbench.pipelines.preset import Published

__all__ = [
    "STAGES",
    "Ancestor",
    "ClassScores",
    "Comparison",
    "DatasetSummary",
    "Estimate",
    "LatencySummary",
    "Pretrained",
    "QualitySummary",
    "RowSummary",
    "StageTimes",
    "Summary",
    "both_ways",
]

STAGES = ("decode", "detect", "align", "features", "classify", "total")
"""Stages of the end-to-end clock; ``align`` is crop, gray and resize. ``total`` is measured, not summed."""


class ClassScores(Record):
    """Scores of one class."""

    precision: float
    recall: float
    f1: float
    support: int


class QualitySummary(Record):
    """How often a row is right.

    ``detected`` counts found faces only; ``end_to_end`` counts a missed face as wrong. On datasets of crops the
    detector is bypassed and both are equal.
    """

    n: int
    n_detected: int
    detector_bypassed: bool
    detected: dict[str, Estimate] = Field(
        description="accuracy, balanced_accuracy, macro_f1, weighted_f1, log_loss, brier, ece"
    )
    end_to_end: dict[str, Estimate] = Field(description="accuracy, balanced_accuracy, macro_f1, weighted_f1")
    per_class: dict[str, ClassScores] = Field(description="end to end, by true label")
    labels: list[str]
    confusion: list[list[int]] = Field(description="rows true, columns predicted; the last column counts missed faces")
    tie_group: int = Field(description="rows with equal numbers cannot be told apart; 1 is the best")
    interval_over: str = Field(description="what was resampled: subjects or faces")
    permuted_labels: str | None = None


class StageTimes(Record):
    """Milliseconds per frame of one stage. A percentile is None where n does not carry it (64 / 130 / 662 frames).

    Intervals are 95 %, of order statistics.
    """

    n: int
    p50: float
    p50_low: float | None = None
    p50_high: float | None = None
    p90: float | None = None
    p90_low: float | None = None
    p90_high: float | None = None
    p95: float | None = None
    p95_low: float | None = None
    p95_high: float | None = None
    p99: float | None = None
    p99_low: float | None = None
    p99_high: float | None = None
    mean: float
    mad: float
    min: float
    iqr: float


class LatencySummary(Record):
    """What a row costs per frame in one scenario, pooled over rounds."""

    scenario: str
    device: str
    threads: int
    frames: str = Field(description="what a frame is: '48×48 crops, detector bypassed' or '640×480 photos'")
    stages: dict[str, StageTimes]
    throughput_fps: float
    faces_per_frame: float
    round_p50: list[float] = Field(description="median total of each round, ms")
    is_unstable: bool
    notes: list[str] = Field(default_factory=list)
    import_s: float
    load_s: float
    first_call_ms: float
    peak_rss_mib: float
    artefact_bytes: int
    together: StageTimes | None = Field(
        default=None, description="multi-stream: ms until all frames that arrived together are answered"
    )
    fixed_rate: FixedRate | None = None
    repeats: Repeats | None = Field(default=None, description="None in runs that did not try")
    usage: Usage | None = None
    energy: Energy | None = None
    machine: str | None = Field(default=None, description="fingerprint, where a merged run was timed on several")

    @property
    def round_spread(self) -> float | None:
        """How far the medians of the rounds lie apart, as a share of the smallest; None of a single round."""
        if len(self.round_p50) < 2 or min(self.round_p50) <= 0:
            return None
        return max(self.round_p50) / min(self.round_p50) - 1


class Ancestor(Record):
    """A network that a pretrained row learnt from, besides faces."""

    role: str = Field(description="teacher, or initial weights")
    name: str
    dataset: str | None = Field(default=None, description="what it learnt from; None where the record does not say")
    split: str | None = None
    revision: str | None = None


class Compared(Record):
    """Faces by whose figures somebody chose a pretrained row among a few candidates."""

    dataset: str
    split: str
    revision: str | None = None
    n_candidates: int | None = None


class Pretrained(Record):
    """Where a row comes from that was not fitted in the run."""

    name: str = Field(description="as the suite names it: a shipped pipeline, or a path")
    content: str = Field(description="digest of its files' sha256")
    runtime: str = Field(description="the runtime that it was saved for")
    dataset: str | None = Field(default=None, description="what it was trained on; None where its record does not say")
    split: str | None = None
    revision: str | None = None
    n: int | None = None
    calibrated_on: str | None = Field(default=None, description="data set and split that its temperature was fitted on")
    calibrated_revision: str | None = None
    compared_on: list[Compared] = Field(default_factory=list)
    ancestors: list[Ancestor] = Field(default_factory=list)

    @property
    def text(self) -> str:
        """``"tiny, trained on fer2013 train (28,544 faces, revision 34d4ac91b8f37e89)"``."""
        if self.dataset is None:
            return f"{self.name}, trained on faces that its record does not name"
        facts = [f"{self.n:,} faces"] if self.n is not None else []
        facts += [f"revision {self.revision}"] if self.revision else []
        learnt = " ".join(filter(None, [self.dataset, self.split])) + (f" ({', '.join(facts)})" if facts else "")
        tuned = f"; probabilities calibrated on {self.calibrated_on}" if self.calibrated_on else ""
        return f"{self.name}, trained on {learnt}{tuned}"


class PublishedFigures(Record):
    """What is published of the system that a row follows; not measured here."""

    preset: str = Field(description="the preset that holds the figures")
    source: str
    figures: Published


class RowSummary(Record):
    """One line of the leaderboard: a pipeline on a dataset."""

    row: str
    pipeline: PipelineSpec
    family: Literal["baseline", "classical", "deep"]
    dataset: str
    status: Status
    error: CellError | None = None
    quality: QualitySummary | None = None
    latency: list[LatencySummary] = Field(default_factory=list)
    fit_seconds: float | None = None
    n_train: int | None = None
    searches: list[SearchSummary] = Field(default_factory=list, description="how its settings were found, fold by fold")
    pretrained: Pretrained | None = Field(default=None, description="set where nothing was fitted in this run")
    published: PublishedFigures | None = Field(default=None, description="set on the data set of the figures alone")
    confidence: ConfidenceSummary | None = None
    agreement: dict[str, Any] | None = Field(
        default=None, description="runtime against its reference: max_abs_difference, flips, n, reference"
    )


class DatasetSummary(Record):
    """A dataset as this run used it."""

    spec: str
    title: str
    kind: str
    is_synthetic: bool
    revision: str
    licence: str
    protocol: str = Field(description="a sentence: which split trained, which was scored, how folds were made")
    n_train: int | None
    n_eval: int
    n_subjects: int | None
    labels: list[str]
    class_counts: dict[str, int]
    evidence: DatasetEvidence | None = None


class Comparison(Record):
    """Two rows on the same faces (exact McNemar, or exchanges of whole subjects; Holm over all pairs)."""

    dataset: str
    a: str
    b: str
    difference: float = Field(description="end-to-end accuracy of a minus b")
    p: float
    p_holm: float
    verdict: Literal["better", "worse", "tie"]
    low: float | None = Field(default=None, description="95 % interval of the difference, paired bootstrap")
    high: float | None = None
    macro_f1: PairedDifference | None = None
    folds: FoldTest | None = None

    def mirrored(self) -> Self:
        """The same with b as the first: every difference, interval and verdict turned round."""
        parts = {
            "macro_f1": self.macro_f1.mirrored() if self.macro_f1 else None,
            "folds": self.folds.mirrored() if self.folds else None,
        }
        whole = seen_from_b(self.difference, self.low, self.high, self.verdict)
        return self.model_copy(update={"a": self.b, "b": self.a, **whole, **parts})


def both_ways(comparisons: Iterable[Comparison], dataset: str) -> dict[tuple[str, str], Comparison]:
    """The comparisons on a dataset by their rows, in either order of the two."""
    table: dict[tuple[str, str], Comparison] = {}
    for one in comparisons:
        if one.dataset == dataset:
            table[one.a, one.b], table[one.b, one.a] = one, one.mirrored()
    return table


class Summary(Record):
    """Everything a report shows; ``summary.json`` of a run."""

    run_id: str
    suite: str
    profile: str | None
    description: str = ""
    created: str
    command: str
    ferbench_version: str
    seed: int
    environment: dict[str, Any]
    environments: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="of a merged run: that of each run in it, by the run's id"
    )
    datasets: list[DatasetSummary]
    rows: list[RowSummary]
    comparisons: list[Comparison]
    n_cells: int
    n_failed: int
    n_skipped: int
    n_missing: int = Field(default=0, description="planned cells of which nothing is there; 0 in older runs")
    across: AcrossDatasets | None = None
    robustness: list[RobustnessSummary] = Field(default_factory=list)
    transfers: list[TransferSummary] = Field(default_factory=list, description="the cross-dataset matrix, cell by cell")
    generalisation: list[GeneralisationSummary] = Field(default_factory=list)
    checks: list[CheckResult] = Field(default_factory=list, description="in the order of the codes; empty: not checked")
    ignored_checks: list[str] = Field(default_factory=list, description="codes that the user chose not to be told of")
    schema_version: int = SCHEMA

    @property
    def cells_text(self) -> str:
        """``"11 cells, 0 failed, 0 skipped"``, and how many were not done where some were not."""
        missing = f", {self.n_missing:,} not done" if self.n_missing else ""
        return f"{self.n_cells:,} cells, {self.n_failed:,} failed, {self.n_skipped:,} skipped{missing}"
