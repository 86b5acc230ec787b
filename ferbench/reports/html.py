"""The report as one HTML file that needs nothing else: styles, script and figures are inside."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from ferbench.reports import formatting
from ferbench.reports.colours import STAGE_ORDER
from ferbench.reports.confidence_figures import reliability_svg, risk_svg
from ferbench.reports.context import DatasetView, ReportContext, StageBar
from ferbench.reports.critical_difference import critical_svg
from ferbench.reports.drawing import NARROW, WIDE
from ferbench.reports.figures import scatter_svg
from ferbench.reports.multiples import multiples_svg, stroke_svg
from ferbench.reports.pages import render
from ferbench.reports.shifts import RobustnessView
from ferbench.reports.waterfall import stages_svg

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
        multiples=_multiples,
        risk=lambda view: _two_widths(lambda width: risk_svg(view, width)),
        reliability=lambda view: _two_widths(lambda width: reliability_svg(view, width)),
        critical=lambda across: _two_widths(lambda width: critical_svg(across, width)),
        stroke=lambda i: Markup(stroke_svg(i)),
        axis=_accuracy_axis,
        share=_share_of_row,
        stage_decimals=_stage_decimals,
        breakable=_breakable,
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


def _multiples(view: RobustnessView) -> tuple[Markup, Markup] | None:
    wide, narrow = multiples_svg(view, WIDE), multiples_svg(view, NARROW)
    return (Markup(wide), Markup(narrow)) if wide and narrow else None


def _two_widths(draw: Callable[[int], str | None]) -> tuple[Markup, Markup]:
    return Markup(draw(WIDE) or ""), Markup(draw(NARROW) or "")


def _breakable(name: str) -> Markup:
    """A pipeline id that may break after its separators, and nowhere in a word."""
    return Markup(re.sub(r"([/,(@])", r"\1<wbr>", str(escape(name))))


def _stage_decimals(bars: Sequence[StageBar], stage: str) -> int:
    """Decimals of a column of the stage table."""
    times = (bar.latency.stages.get(stage) for bar in bars)
    return formatting.decimals_for(one.p50 for one in times if one)


def _accuracy_axis(view: DatasetView) -> tuple[float, float]:
    """Ends of the leaderboard's interval strip: all intervals but the baselines', with a little air, in shares."""
    rivals = [row for row in view.scored if row.record.family != "baseline"] or view.scored
    ends = [
        end
        for row in rivals
        if row.accuracy
        for end in (row.accuracy.low, row.accuracy.value, row.accuracy.high)
        if end is not None
    ]
    low, high = min(ends), max(ends)
    air = 0.04 * (high - low) or 0.01
    return max(low - air, 0.0), min(high + air, 1.0)


def _share_of_row(counts: Sequence[int], column: int) -> float:
    """Share of a true class that was predicted as ``column``; zero for a class without faces."""
    total = sum(counts)
    return counts[column] / total if total else 0.0
