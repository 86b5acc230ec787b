"""What checks look at: the finished summary, and what else the run stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ferbench.benchmarks.cells import Part
from ferbench.benchmarks.checks.leaks import Leaks
from ferbench.benchmarks.checks.results import Severity
from ferbench.benchmarks.records import DatasetSummary, RowSummary, Summary

__all__ = ["Evidence", "Found", "NotApplicable", "Protocol"]


@dataclass(frozen=True)
class Found:
    """One thing that a check found.

    Attributes
    ----------
    text : str
        What was found, with its numbers: whole sentences that need not name the data set.
    dataset : str or None
        Spec of the data set; None for the whole run.
    rows : tuple of str
        Rows concerned.
    action : str
        What to do, where the check's own advice does not fit.
    severity : "error", "warning", "note" or None
        Where it is not the check's own.
    """

    text: str
    dataset: str | None = None
    rows: tuple[str, ...] = ()
    action: str = ""
    severity: Severity | None = None


@dataclass(frozen=True)
class NotApplicable:
    """A check had nothing to look at, and why."""

    reason: str


@dataclass(frozen=True)
class Protocol:
    """Which splits of a data set a run learnt from, chose settings on, and scored."""

    train: str
    tune: str | None
    test: str
    is_folded: bool

    @property
    def scored(self) -> str:
        """The split that was scored; ``all`` under folds."""
        return "all" if self.is_folded else self.test


@dataclass(frozen=True)
class Evidence:
    """A run as checks see it.

    Attributes
    ----------
    summary : Summary
    plan : mapping
        ``plan.json``; empty where it is not known.
    parts : mapping of cell id to Part
        Outcomes of the cells, with what the workers measured; empty where they were not read.
    leaks : mapping of dataset spec to Leaks or str
        What training and scored faces have in common, or why that is not known.
    """

    summary: Summary
    plan: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    leaks: Mapping[str, Leaks | str] = field(default_factory=dict)

    def datasets(self) -> Iterator[tuple[DatasetSummary, list[RowSummary]]]:
        """Every data set with its scored rows, most accurate first."""
        for info in self.summary.datasets:
            rows = [row for row in self.summary.rows if row.dataset == info.spec and row.quality is not None]
            yield info, sorted(rows, key=lambda row: -accuracy(row))

    def timed(self) -> Iterator[tuple[DatasetSummary, list[RowSummary]]]:
        """Every data set with those of its rows that have a latency, in the order of the suite."""
        for info in self.summary.datasets:
            yield info, [row for row in self.summary.rows if row.dataset == info.spec and row.latency]

    def protocol(self, dataset: str) -> Protocol | None:
        """The splits that a data set was used by; None where the plan does not say."""
        suite = self.plan.get("suite") or {}
        for entry in suite.get("datasets", []):
            if entry.get("name") == dataset:
                is_folded = entry.get("protocol") == "subject-kfold"
                return Protocol(entry.get("train", "train"), entry.get("tune"), entry.get("test", "test"), is_folded)
        return None


def accuracy(row: RowSummary) -> float:
    """End-to-end accuracy; 0 for a row without scores."""
    return row.quality.end_to_end["accuracy"].value if row.quality is not None else 0.0
