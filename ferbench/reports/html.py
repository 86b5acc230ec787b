"""The report as one HTML file that needs nothing else: styles, script and figures are inside."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ferbench.reports import formatting
from ferbench.reports.colours import STAGE_ORDER
from ferbench.reports.context import DatasetView, ReportContext, RowView, StageBar
from ferbench.reports.figures import NARROW, WIDE, scatter_svg, stages_svg
from ferbench.reports.pages import render

__all__ = ["MAX_MATRICES", "render_html"]

MAX_MATRICES = 12
"""Confusion matrices shown for each dataset, best rows first; all of them are in ``summary.json``."""


def render_html(context: ReportContext) -> str:
    """The page of a run; loads nothing, runs from a file, follows the reader's theme."""
    return render(
        "report.html.j2",
        context,
        is_html=True,
        scatter=_scatter,
        stages=_stages,
        axis=_accuracy_axis,
        share=_share_of_row,
        ms_decimals=_ms_decimals,
        max_matrices=MAX_MATRICES,
        stage_order=STAGE_ORDER,
    )


def _scatter(view: DatasetView) -> tuple[Markup, Markup] | None:
    wide, narrow = scatter_svg(view, WIDE), scatter_svg(view, NARROW)
    # figures.py escapes every name that it writes into its SVG.
    return (Markup(wide), Markup(narrow)) if wide and narrow else None


def _stages(bars: Sequence[StageBar], anchor: str) -> tuple[Markup, Markup] | None:
    wide, narrow = stages_svg(bars, WIDE, anchor=anchor), stages_svg(bars, NARROW, anchor=anchor)
    return (Markup(wide), Markup(narrow)) if wide and narrow else None


def _ms_decimals(rows: Sequence[RowView]) -> int:
    """Decimals of a column of latencies."""
    return formatting.decimals_for(row.p50 for row in rows)


def _accuracy_axis(view: DatasetView) -> tuple[float, float]:
    """Ends of the leaderboard's interval strip: all intervals with a little air, in shares."""
    ends = [
        end
        for row in view.scored
        if row.accuracy
        for end in (row.accuracy.low, row.accuracy.value, row.accuracy.high)
        if end is not None
    ]
    low, high = min(ends), max(ends)
    air = 0.04 * (high - low) or 0.01
    return low - air, high + air


def _share_of_row(counts: Sequence[int], column: int) -> float:
    """Share of a true class that was predicted as ``column``; zero for a class without faces."""
    total = sum(counts)
    return counts[column] / total if total else 0.0
