"""What a report shows of how sure a run is: its order, its confidence, its ranks over data sets."""

from __future__ import annotations

from ferbench.benchmarks.evidence import ConfidenceSummary, OmnibusTest
from ferbench.benchmarks.records import Comparison, Summary
from ferbench.benchmarks.significance import MIN_DATASETS, MIN_ROWS
from ferbench.reports.context import DatasetView, RowView
from ferbench.reports.formatting import number, p_value

__all__ = [
    "MAX_PANELS",
    "confident_rows",
    "has_confidence",
    "has_folds",
    "omnibus_text",
    "pairs_of",
    "risk_at",
    "why_no_ranks",
]

MAX_PANELS = 8
"""Rows whose confidence is drawn, best first: as many lines as readers tell apart."""


def confident_rows(view: DatasetView) -> list[RowView]:
    """Rows with something to say of their confidence, best first."""
    return [row for row in view.scored if row.record.confidence is not None]


def has_confidence(views: tuple[DatasetView, ...]) -> bool:
    """Whether any row has."""
    return any(confident_rows(view) for view in views)


def risk_at(confidence: ConfidenceSummary, coverage: float) -> float | None:
    """Error rate among that share of the surest faces; None where so few cannot be picked, as of equal confidence."""
    kept = [risk for at, risk in zip(confidence.coverage, confidence.risk, strict=True) if at <= coverage + 0.02]
    return kept[-1] if kept and confidence.coverage[len(kept) - 1] >= coverage - 0.05 else None


def pairs_of(summary: Summary, view: DatasetView) -> list[Comparison]:
    """Comparisons on a data set, in the order in which they were made."""
    return [one for one in summary.comparisons if one.dataset == view.info.spec]


def has_folds(pairs: list[Comparison]) -> bool:
    """Whether any of the pairs was tested over folds."""
    return any(one.folds is not None for one in pairs)


def omnibus_text(view: DatasetView) -> str | None:
    """A sentence on all rows together, said before any two of them are compared; None where it was not tested."""
    test: OmnibusTest | None = view.info.evidence.omnibus if view.info.evidence else None
    if test is None:
        return None
    p = p_value(test.p)
    p = f"p {p}" if p.startswith("<") else f"p = {p}"
    name = (
        f"Cochran’s Q of {len(test.rows)} rows is {number(test.statistic, 1)} ({p})"
        if test.method == "cochran"
        else f"Exchanging {len(test.rows)} rows for whole persons gives {p}"
    )
    found = "they differ" if test.p < 0.05 else "no difference among them is shown, so trust no single pair below"
    return f"All together: {name}: {found}."


def why_no_ranks(summary: Summary) -> str | None:
    """Why there are no ranks over data sets; None where there are."""
    if summary.across is not None:
        return None
    if len(summary.datasets) < MIN_DATASETS:
        n = len(summary.datasets)
        return (
            f"No ranks over data sets: this run has {n}, and Friedman’s test with Nemenyi’s critical difference says "
            f"too little below {MIN_DATASETS}."
        )
    return f"No ranks over data sets: fewer than {MIN_ROWS} rows were scored on all {len(summary.datasets)} of them."
