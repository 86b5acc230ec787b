"""Flicker against lag of smoothings, as SVG that follows the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ferbench.reports.colours import colour
from ferbench.reports.drawing import NARROW, as_svg, canvas, drawing_style
from ferbench.reports.formatting import number
from ferbench.reports.placement import place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ferbench.realtime.temporal import SmoothingScores

__all__ = ["kind_of", "temporal_svg"]

_MARKERS = {"baseline": "D", "classical": "o", "deep": "s"}
_FLOOR = 0.005
"""No flicker at all has no place on a log axis; it is drawn here."""


def kind_of(smoothing: str) -> str:
    """Colour and marker of a smoothing, by the page's names: unsmoothed, plain, or with hysteresis."""
    return "deep" if "hysteresis" in smoothing else "baseline" if smoothing == "none" else "classical"


def temporal_svg(rows: Sequence[SmoothingScores], chosen: str, width: int) -> str:
    """Lag across, flicker upwards on a log scale, with 95 % intervals; points bear their number in the table.

    Parameters
    ----------
    rows : sequence of SmoothingScores
        In the order of the table.
    chosen : str
        The smoothing that is named first where room is scarce.
    width : int
        CSS pixels.
    """
    drawn = [(i, one) for i, one in enumerate(rows, start=1) if {"lag_ms", "flicker"} <= set(one.metrics)]
    with drawing_style():
        is_wide = width > NARROW
        figure, axes = canvas(width, 560 if is_wide else 420, left=52, right=16, top=28, bottom=46)
        _prepare(axes, [one for _, one in drawn])
        # The chosen one last: it lies on top where points crowd.
        for i, one in sorted(drawn, key=lambda numbered: numbered[1].smoothing == chosen):
            _draw(axes, i, one, is_chosen=one.smoothing == chosen)
        if is_wide:
            _name(figure, axes, [one for _, one in drawn])
        said = "; ".join(
            f"{i} {one.smoothing}: {number(one.metrics['flicker'].value)} a second, "
            f"{number(one.metrics['lag_ms'].value, 0)} ms"
            for i, one in drawn
        )
        label = f"Label changes a second that the face did not make, against lag in milliseconds. {said}."
        return as_svg(figure, label, prefix=f"temporal-{width}", titles={})


def _x(one: SmoothingScores) -> float:
    return one.metrics["lag_ms"].value


def _y(one: SmoothingScores) -> float:
    return max(_FLOOR, one.metrics["flicker"].value)


def _prepare(axes: Axes, rows: Sequence[SmoothingScores]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_yscale("log")
    if rows:
        xs, ys = [_x(one) for one in rows], [_y(one) for one in rows]
        air = 0.1 * (max(xs) - min(xs)) + 10
        axes.set_xlim(max(0.0, min(xs) - air), max(xs) + 1.6 * air)
        axes.set_ylim(max(_FLOOR, min(ys)) / 2, max(ys) * 1.8)
    axes.yaxis.set_major_locator(FixedLocator([m * 10.0**e for e in range(-3, 3) for m in (1, 2, 5)]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(True, color=colour("grid"), linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=colour("muted"), length=0, labelsize=12, pad=6)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(colour("muted"))
        spine.set_linewidth(0.8)
    axes.set_xlabel("mean lag, ms  (left is faster)", color=colour("muted"), size=12, labelpad=6)
    axes.annotate(
        "superfluous label changes a second, log scale",
        xy=(0, 1),
        xycoords="axes fraction",
        xytext=(-44, 12),
        textcoords="offset points",
        color=colour("muted"),
        size=12,
    )


def _draw(axes: Axes, i: int, one: SmoothingScores, *, is_chosen: bool) -> None:
    x, y, kind = _x(one), _y(one), kind_of(one.smoothing)
    for xs, ys in _bars(one):
        axes.plot(xs, ys, color=colour(kind), linewidth=1.4, alpha=0.4, zorder=3)
    level = 6 if is_chosen else 4
    size, edge, line = (330, colour("ink"), 2.2) if is_chosen else (190, colour("surface"), 1.2)
    axes.scatter([x], [y], s=size, marker=_MARKERS[kind], color=colour(kind), edgecolor=edge, lw=line, zorder=level)
    axes.text(
        x,
        y,
        str(i),
        color=colour("surface"),
        size=10,
        weight="bold",
        ha="center",
        va="center_baseline",
        zorder=level + 1,
    )


def _bars(one: SmoothingScores) -> list[tuple[list[float], list[float]]]:
    """The two intervals of a point as lines: both ends' x, both ends' y."""
    x, y, lag, flicker = _x(one), _y(one), one.metrics["lag_ms"], one.metrics["flicker"]
    bars = []
    if lag.low is not None and lag.high is not None:
        bars.append(([lag.low, lag.high], [y, y]))
    if flicker.low is not None and flicker.high is not None:
        bars.append(([x, x], [max(_FLOOR, flicker.low), max(_FLOOR, flicker.high)]))
    return bars


def _name(figure: Figure, axes: Axes, rows: Sequence[SmoothingScores]) -> None:
    """Names beside their points where there is room; all points bear their number."""
    centres = [axes.transData.transform((_x(one), _y(one))) for one in rows]
    box = axes.get_window_extent()
    lines = [axes.transData.transform(list(zip(*bar, strict=True))) for one in rows for bar in _bars(one)]
    places = place_labels(
        [(float(x), float(y)) for x, y in centres],
        [(6.4 * len(one.smoothing) + 2, 13.0) for one in rows],
        obstacles=[(float(x0), float(y0) - 2, float(x1), float(y1) + 2) for (x0, y0), (x1, y1) in lines],
        bounds=(box.x0, box.y0, box.x1 + 14, box.y1),
    )
    for one, place in zip(rows, places, strict=True):
        if place is not None:
            x, y, anchor = place
            figure.text(
                x / figure.bbox.width,
                y / figure.bbox.height,
                one.smoothing,
                size=12,
                color=colour("ink"),
                ha=anchor,
                va="center",
                zorder=6,
            )
