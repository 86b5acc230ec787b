"""Figures as SVG that follows the page: text stays text, colours are the theme's, points link to their rows."""

from __future__ import annotations

from itertools import pairwise
from math import log10
from typing import TYPE_CHECKING

from ferbench.reports.colours import colour
from ferbench.reports.context import DatasetView, RowView
from ferbench.reports.drawing import NARROW, WIDE, as_svg, canvas, drawing_style
from ferbench.reports.formatting import interval, milliseconds, number, percent
from ferbench.reports.placement import Box, place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["scatter_svg"]

_MARKERS = {"baseline": "D", "classical": "o", "deep": "s"}
_REALTIME_MS = 1000 / 30
_FLOOR_MS = 1e-3
"""A latency of zero has no place on a log axis; it is drawn here."""

_MAX_LABEL = 34
_CHARACTER, _LINE = 6.4, 13.0
"""Room for a character of a label, in pixels."""


def scatter_svg(view: DatasetView, width: int = WIDE) -> str | None:
    """Accuracy against median latency with 95 % intervals and the Pareto front.

    Parameters
    ----------
    view : DatasetView
        The rows; those without an accuracy or a latency are left out.
    width : int
        CSS pixels; on a narrow drawing points carry their number only.

    Returns
    -------
    str or None
        An ``<svg>`` element, or None where no row has both values.
    """
    rows = [row for row in view.scored if row.p50 is not None and row.accuracy is not None]
    if not rows:
        return None
    with drawing_style():
        return _draw_scatter(view, rows, width)


def _draw_scatter(view: DatasetView, rows: list[RowView], width: int) -> str:
    is_wide = width > NARROW
    figure, axes = canvas(width, 440 if is_wide else 380, left=48, right=16, top=30, bottom=46)
    _scatter_axes(axes, view, rows, is_wide)
    _draw_front(axes, [row for row in rows if row.is_on_front])
    for row in rows:
        _draw_point(axes, row)
    if is_wide:
        _label_points(figure, axes, view, rows)
    summary = "; ".join(
        f"{row.rank} {row.name}: {percent(row.accuracy.value)} % at {milliseconds(row.p50)} ms"
        for row in rows
        if row.accuracy
    )
    label = f"Accuracy against latency on {view.info.title}. {summary}."
    titles = {_gid(row, width): _tooltip(row) for row in rows}
    return as_svg(figure, label, prefix=f"{view.anchor}-scatter-{width}", titles=titles)


def _x(row: RowView) -> float:
    return max(row.p50 or 0.0, _FLOOR_MS)


def _y(row: RowView) -> float:
    return 100 * row.accuracy.value if row.accuracy else 0.0


def _scatter_axes(axes: Axes, view: DatasetView, rows: list[RowView], is_wide: bool) -> None:
    xs, ys = [_x(row) for row in rows], [_y(row) for row in rows]
    highs = [100 * row.accuracy.high for row in rows if row.accuracy and row.accuracy.high is not None]
    lows = [100 * row.accuracy.low for row in rows if row.accuracy and row.accuracy.low is not None]
    reference = 100 * view.majority_share if view.majority_share is not None else None
    bottom = min([*ys, *lows, *([reference] if reference is not None else [])])
    top = max([*ys, *highs, *(percentage for percentage, _ in _levels(view, is_wide))])
    pad = max(2.0, 0.07 * (top - bottom))
    axes.set_ylim(max(0.0, bottom - pad), min(100.0, top + pad) if top < 100 else 102)
    axes.set_xscale("log")
    margin = max(0.14 * log10(max(xs) / min(xs)), 0.22)
    axes.set_xlim(min(xs) / 10**margin, max(xs) * 10 ** (margin * (1.5 if is_wide else 1.1)))
    _log_ticks(axes, few=not is_wide)
    axes.grid(True, color=colour("grid"), linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=colour("muted"), length=0, labelsize=12, pad=6)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(colour("muted"))
        spine.set_linewidth(0.8)
    axes.set_xlabel("median ms per frame, log scale  (left is faster)", color=colour("muted"), size=12, labelpad=6)
    title = "% of all faces right, end to end" if is_wide else "% right, end to end"
    axes.annotate(
        title,
        xy=(0, 1),
        xycoords="axes fraction",
        xytext=(-44, 14),
        textcoords="offset points",
        color=colour("muted"),
        size=12,
    )
    for percentage, text in _levels(view, is_wide):
        _level(axes, percentage, text)
    low, high = axes.get_xlim()
    if reference is not None and low < _REALTIME_MS < high:
        _realtime_line(axes)


def _log_ticks(axes: Axes, *, few: bool) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    low, high = axes.get_xlim()
    steps = [1, 2, 5] if not few else [1] if high / low > 300 else [1, 3]
    ticks = [m * 10.0**e for e in range(-4, 6) for m in steps if low <= m * 10.0**e <= high]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _levels(view: DatasetView, is_wide: bool) -> list[tuple[float, str]]:
    """Percentages that a line goes across at, with its name."""
    levels = []
    if view.majority_share is not None:
        share = f"always the commonest class, {number(100 * view.majority_share, 1)} %"
        levels.append((100 * view.majority_share, share if is_wide else "commonest class"))
    if view.annotators:
        text = "one annotator against the others" if is_wide else "one annotator"
        levels.append((100 * view.annotators.value, f"{text}, {percent(view.annotators.value)} %"))
    return levels


def _realtime_line(axes: Axes) -> None:
    axes.axvline(_REALTIME_MS, color=colour("muted"), linewidth=1, dashes=(2, 3), zorder=1)
    axes.annotate(
        "30 fps",
        xy=(_REALTIME_MS, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        color=colour("muted"),
        size=11,
    )


def _level(axes: Axes, percentage: float, text: str) -> None:
    """A dotted line across, with its name at the right."""
    axes.axhline(percentage, color=colour("muted"), linewidth=1, dashes=(2, 3), zorder=1)
    axes.annotate(
        text,
        xy=(1, percentage),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 5),
        textcoords="offset points",
        ha="right",
        color=colour("muted"),
        size=11,
        bbox={"facecolor": colour("surface"), "edgecolor": "none", "pad": 1.5},
    )


def _draw_front(axes: Axes, front: list[RowView]) -> None:
    if not front:
        return
    ordered = sorted(front, key=_x)
    xs = [_x(row) for row in ordered] + [axes.get_xlim()[1]]
    ys = [_y(row) for row in ordered] + [_y(ordered[-1])]
    axes.step(xs, ys, where="post", color=colour("front"), linewidth=1.6, zorder=2, solid_joinstyle="round")


def _draw_point(axes: Axes, row: RowView) -> None:
    x, y, tint = _x(row), _y(row), colour(row.record.family)
    width = round(axes.figure.get_figwidth() * 72)  # type: ignore[union-attr]
    if row.accuracy and row.accuracy.low is not None and row.accuracy.high is not None:
        axes.plot([x, x], [100 * row.accuracy.low, 100 * row.accuracy.high], color=tint, linewidth=2, zorder=3)
    if (span := _latency_bar(row)) is not None:
        axes.plot(span, [y, y], color=tint, linewidth=2, zorder=3)
    points = axes.scatter(
        [x], [y], s=235, marker=_MARKERS[row.record.family], color=tint, edgecolor=colour("surface"), lw=1.5, zorder=4
    )
    points.set_urls([f"#{row.anchor}"])
    points.set_gid(_gid(row, width))
    number_text = axes.text(
        x,
        y,
        str(row.rank),
        color=colour("surface"),
        size=11,
        weight="bold",
        ha="center",
        va="center_baseline",
        zorder=5,
    )
    # The number lies on the marker; clicks and tooltips belong to the marker below it.
    number_text.set_gid("pointer-none")


def _latency_bar(row: RowView) -> tuple[float, float] | None:
    """Ends of the interval of the median, in ms."""
    if row.total is None or row.total.p50_low is None or row.total.p50_high is None:
        return None
    return max(row.total.p50_low, _FLOOR_MS), max(row.total.p50_high, _FLOOR_MS)


def _label_points(figure: Figure, axes: Axes, view: DatasetView, rows: list[RowView]) -> None:
    """Names beside their points, moved off other points, bars and names; a name without room is left out."""
    centres = [tuple(axes.transData.transform((_x(row), _y(row)))) for row in rows]
    names = [_shortened(row.name, _MAX_LABEL) for row in rows]
    box = axes.get_window_extent()
    places = place_labels(
        [(float(x), float(y)) for x, y in centres],
        [(_CHARACTER * len(name) + 2, _LINE) for name in names],
        obstacles=_obstacles(axes, view, rows),
        bounds=(box.x0, box.y0, box.x1 + 14, box.y1 + 10),
    )
    for name, place in zip(names, places, strict=True):
        if place is not None:
            x, y, anchor = place
            figure.text(
                x / figure.bbox.width,
                y / figure.bbox.height,
                name,
                size=12,
                color=colour("ink"),
                ha=anchor,
                va="center",
            )


def _obstacles(axes: Axes, view: DatasetView, rows: list[RowView]) -> list[Box]:
    """Boxes around what a label should not cross: interval bars, the front, the reference lines and their names."""
    lines = [
        (_x(row), 100 * row.accuracy.low, _x(row), 100 * row.accuracy.high)
        for row in rows
        if row.accuracy and row.accuracy.low is not None and row.accuracy.high is not None
    ]
    lines += [(bar[0], _y(row), bar[1], _y(row)) for row in rows if (bar := _latency_bar(row)) is not None]
    front = sorted((row for row in rows if row.is_on_front), key=_x)
    ends = [_x(row) for row in front[1:]] + [axes.get_xlim()[1]]
    lines += [(_x(row), _y(row), end, _y(row)) for row, end in zip(front, ends, strict=False)]
    lines += [(_x(b), _y(a), _x(b), _y(b)) for a, b in pairwise(front)]
    bottom, top = axes.get_ylim()
    lines.append((_REALTIME_MS, bottom, _REALTIME_MS, top))
    left_end, right_end = axes.get_xlim()
    levels = _levels(view, is_wide=True)
    lines += [(left_end, percentage, right_end, percentage) for percentage, _ in levels]
    boxes = []
    for x0, y0, x1, y1 in lines:
        (left, low), (right, high) = axes.transData.transform([(x0, y0), (x1, y1)])
        boxes.append((float(left) - 2, float(low) - 2, float(right) + 2, float(high) + 2))
    for percentage, text in levels:
        right, low = axes.transData.transform((right_end, percentage))
        boxes.append((float(right) - _CHARACTER * len(text), float(low), float(right), float(low) + _LINE + 5))
    return boxes


def _shortened(name: str, longest: int) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _gid(row: RowView, width: int) -> str:
    return f"point-{row.anchor}-{width}"


def _tooltip(row: RowView) -> str:
    within = interval(row.accuracy)
    accuracy = f"{percent(row.accuracy.value if row.accuracy else None)} %" + (f" ({within})" if within else "")
    return f"{row.name}: {accuracy}, {milliseconds(row.p50)} ms"
