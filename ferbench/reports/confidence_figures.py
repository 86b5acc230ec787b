"""Figures of confidence: risk against coverage, a line for each row, and reliability, a panel for each."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, nan
from typing import TYPE_CHECKING

from ferbench.benchmarks.evidence import ConfidenceSummary, ReliabilityBin
from ferbench.reports.colours import colour
from ferbench.reports.context import DatasetView, RowView
from ferbench.reports.drawing import NARROW, WIDE, as_svg, blank, canvas, drawing_style
from ferbench.reports.evidence import MAX_PANELS
from ferbench.reports.formatting import number, percent
from ferbench.reports.multiples import DASHES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["reliability_svg", "risk_svg"]

_PANEL, _HEAD, _FOOT, _GAP, _LEFT = 150, 30, 40, 16, 40
_MAX_NAME = 26


def risk_svg(view: DatasetView, width: int = WIDE) -> str | None:
    """Share of errors among the most confident faces, against the share of faces that are kept; None without rows."""
    rows = _drawn(view)
    if not rows:
        return None
    with drawing_style():
        figure, axes = canvas(width, 300, left=_LEFT, right=10, top=24, bottom=44)
        for i, (_, confidence) in enumerate(rows):
            line = axes.plot(
                [100 * x for x in confidence.coverage],
                [100 * x for x in confidence.risk],
                color=colour(f"line-{i + 1}"),
                linewidth=1.9,
                # A row of one confidence has one point: all faces, and its error rate.
                marker="o" if len(confidence.coverage) == 1 else None,
                markersize=5,
            )[0]
            if dashes := DASHES[i % len(DASHES)]:
                line.set_dashes(dashes)
        _plain_axes(axes)
        axes.set_xlim(0, 101)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("% of found faces kept, the surest first", color=colour("muted"), size=12, labelpad=6)
        _title(axes, "% of them wrong")
        said = "; ".join(f"{row.name}: area {number(one.aurc.value, 3)}" for row, one in rows)
        label = f"Risk against coverage on {view.info.title}. {said}."
        return as_svg(figure, label, prefix=f"{view.anchor}-risk-{width}", titles={})


def reliability_svg(view: DatasetView, width: int = WIDE) -> str | None:
    """Accuracy against confidence in bins of equal mass, with 95 % intervals, a panel for each row; None without."""
    rows = _drawn(view)
    if not rows:
        return None
    columns = 4 if width > NARROW else 2
    lines = ceil(len(rows) / columns)
    height = lines * (_PANEL + _HEAD) + _FOOT
    with drawing_style():
        figure = blank(width, height)
        panel = (width - _LEFT - (columns - 1) * _GAP - 8) / columns
        for i, (row, confidence) in enumerate(rows):
            left = _LEFT + (i % columns) * (panel + _GAP)
            bottom = height - (i // columns + 1) * (_PANEL + _HEAD)
            axes = figure.add_axes((left / width, bottom / height, panel / width, _PANEL / height))
            _draw_bins(axes, row.name, confidence.bins, i)
            axes.tick_params(labelleft=i % columns == 0, labelbottom=i + columns >= len(rows))
        figure.text(_LEFT / width, 6 / height, "confidence, %", color=colour("muted"), size=12, va="bottom")
        said = "; ".join(
            f"{row.name}: "
            + ", ".join(
                f"{percent(one.confidence, 0)} % sure, {percent(one.accuracy, 0)} % right" for one in confidence.bins
            )
            for row, confidence in rows
        )
        label = f"Accuracy against confidence on {view.info.title}. {said}."
        return as_svg(figure, label, prefix=f"{view.anchor}-reliability-{width}", titles={})


def _drawn(view: DatasetView) -> list[tuple[RowView, ConfidenceSummary]]:
    every = [(row, row.record.confidence) for row in view.scored]
    return [(row, confidence) for row, confidence in every if confidence is not None][:MAX_PANELS]


def _draw_bins(axes: Axes, name: str, bins: Sequence[ReliabilityBin], i: int) -> None:
    tint = colour(f"line-{i + 1}")
    axes.plot([0, 100], [0, 100], color=colour("muted"), linewidth=1, dashes=(2, 3), zorder=1)
    # One line with gaps looks like one for each bin, and is drawn sooner.
    ends = [(100 * one.confidence, 100 * end) for one in bins for end in (one.low, one.high, nan)]
    axes.plot(*zip(*ends, strict=True), color=tint, linewidth=1.6, alpha=0.55)
    axes.plot(
        [100 * one.confidence for one in bins],
        [100 * one.accuracy for one in bins],
        color=tint,
        marker="o",
        markersize=4,
        linewidth=1.2,
    )
    axes.set_xlim(0, 101)
    axes.set_ylim(0, 101)
    axes.set_xticks([0, 50, 100])
    axes.set_yticks([0, 50, 100])
    _plain_axes(axes)
    shown = name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"
    axes.text(0.0, 1.03, shown, transform=axes.transAxes, color=colour("ink"), size=12, va="bottom")


def _plain_axes(axes: Axes) -> None:
    axes.patch.set_alpha(0)
    axes.grid(True, color=colour("grid"), linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=colour("muted"), length=0, labelsize=11, pad=5)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(colour("muted"))
        spine.set_linewidth(0.8)


def _title(axes: Axes, text: str) -> None:
    axes.annotate(
        text,
        xy=(0, 1),
        xycoords="axes fraction",
        xytext=(-30, 10),
        textcoords="offset points",
        color=colour("muted"),
        size=12,
    )
