"""Accuracy against severity as small multiples: a panel for each corruption, a line for each pipeline."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from ferbench.reports.colours import colour
from ferbench.reports.drawing import NARROW, WIDE, as_svg, blank, drawing_style
from ferbench.reports.formatting import percent
from ferbench.reports.shifts import RobustnessView

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DASHES", "multiples_svg", "stroke_svg"]

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Besides colours, so that lines are told apart on paper and by every reader."""

DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (2, 2), (7, 2, 2, 2))
"""Of lines, by their order."""

_PANEL, _HEAD, _FOOT, _GAP, _LEFT = 128, 24, 40, 14, 34


def multiples_svg(view: RobustnessView, width: int = WIDE) -> str | None:
    """The figure, or None where nothing was measured. Severity 0 is the face as it is."""
    if not view.rows:
        return None
    columns = 4 if width > NARROW else 2
    lines = ceil(len(view.names) / columns)
    height = lines * (_PANEL + _HEAD) + _FOOT
    ends = [100 * one.value for row in view.drawn for levels in row.accuracy.values() for one in levels]
    ends += [100 * row.clean.value for row in view.drawn if row.clean]
    low, high = max(0.0, min(ends) - 4), min(100.0, max(ends) + 4)
    with drawing_style():
        figure = blank(width, height)
        panel = (width - _LEFT - (columns - 1) * _GAP - 6) / columns
        for i, name in enumerate(view.names):
            left = _LEFT + (i % columns) * (panel + _GAP)
            bottom = height - (i // columns + 1) * (_PANEL + _HEAD)
            axes = figure.add_axes((left / width, bottom / height, panel / width, _PANEL / height))
            axes.set_ylim(low, high)
            is_last = i + columns >= len(view.names)
            _draw_panel(axes, view, name, has_scale=i % columns == 0, has_levels=is_last)
        figure.text(
            _LEFT / width, 6 / height, "severity; 0 is the face as it is", color=colour("muted"), size=12, va="bottom"
        )
        said = "; ".join(f"{row.row}: mean {percent(row.mean.value)} %" for row in view.drawn if row.mean)
        label = f"Accuracy in percent against severity of each corruption on {view.info.title}. {said}."
        return as_svg(figure, label, prefix=f"{view.anchor}-robustness-{width}", titles={})


def _draw_panel(axes: Axes, view: RobustnessView, name: str, *, has_scale: bool, has_levels: bool) -> None:
    axes.patch.set_alpha(0)
    levels = [0, *view.severities]
    for i, row in enumerate(view.drawn):
        values = [row.clean, *row.accuracy[name]]
        points = [100 * one.value for one in values if one is not None]
        (line,) = axes.plot(
            levels, points, color=colour(f"line-{i + 1}"), marker=_MARKERS[i], markersize=4.5, linewidth=1.7
        )
        if dashes := DASHES[i % len(DASHES)]:
            line.set_dashes(dashes)
    axes.set_xlim(-0.35, 5.35)
    axes.set_xticks(levels)
    axes.tick_params(colors=colour("muted"), length=0, labelsize=11, labelleft=has_scale, labelbottom=has_levels)
    axes.grid(True, axis="y", color=colour("grid"), linewidth=0.8)
    axes.set_axisbelow(True)
    axes.locator_params(axis="y", nbins=4)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(colour("muted"))
        spine.set_linewidth(0.8)
    axes.text(0.0, 1.03, name, transform=axes.transAxes, color=colour("ink"), size=12, va="bottom")


def stroke_svg(i: int) -> str:
    """The line of row ``i``, for the legend: its colour and its dashes."""
    dashes = " ".join(f"{1.7 * length:g}" for length in DASHES[i % len(DASHES)])
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        '<span class="stroke"><svg viewBox="0 0 30 12" aria-hidden="true">'
        f'<line x1="0" y1="6" x2="30" y2="6" stroke="var(--line-{i + 1})" stroke-width="2.4"{dashed}/></svg></span>'
    )
