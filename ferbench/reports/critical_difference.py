"""The critical-difference diagram: mean ranks over data sets, and bars over rows that cannot be told apart.

Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006, figure 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import TYPE_CHECKING

from ferbench.benchmarks.evidence import AcrossDatasets
from ferbench.reports.colours import colour
from ferbench.reports.drawing import NARROW, WIDE, as_svg, canvas, drawing_style
from ferbench.reports.formatting import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["cliques", "critical_svg"]

_STEP = 26
_BAR_STEP = 9


def cliques(ranks: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """Largest runs of rows, best first, whose first and last cannot be told apart.

    Parameters
    ----------
    ranks : sequence of float
        Mean ranks, ascending.
    critical : float
        Difference from which on two rows are told apart.

    Returns
    -------
    list of (first, last)
        Positions of runs of two rows or more, none inside another.

    Examples
    --------
    >>> cliques([1.0, 1.5, 2.4, 4.0], 1.2)
    [(0, 1), (1, 2)]
    """
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(i for i, other in enumerate(ranks) if i >= first and other - rank < critical)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def critical_svg(across: AcrossDatasets, width: int = WIDE) -> str:
    """The diagram: a name a line, its mean rank on a common axis, bars that join what cannot be told apart."""
    n, groups = len(across.rows), cliques(across.mean_ranks, across.critical_difference)
    bars = _BAR_STEP * len(groups) + 10
    names = 230 if width > NARROW else 132
    height = 46 + bars + _STEP * n + 6
    low, high = 1, max(n, ceil(1 + across.critical_difference))
    with drawing_style():
        figure, axes = canvas(width, height, left=names, right=24, top=46, bottom=6)
        axes.set_xlim(low - 0.1, high + 0.1)
        axes.set_ylim(bars + _STEP * n, 0)
        for i, (first, last) in enumerate(groups):
            y = 8.0 + _BAR_STEP * i
            joined = [across.mean_ranks[first] - 0.03, across.mean_ranks[last] + 0.03]
            axes.plot(joined, [y, y], color=colour("ink"), linewidth=4, solid_capstyle="butt")
        for i, (row, rank) in enumerate(zip(across.rows, across.mean_ranks, strict=True)):
            y = bars + _STEP * i + _STEP / 2
            axes.plot([rank, rank], [0, y], color=colour("grid"), linewidth=1, zorder=1)
            axes.plot([low - 0.1, rank], [y, y], color=colour("grid"), linewidth=1, zorder=1)
            axes.plot([rank], [y], marker="o", color=colour("classical"), markersize=7)
            _beside(axes, rank, y - 6, number(rank, 2))
            axes.annotate(
                row if len(row) <= names // 7 else f"{row[: names // 7 - 1]}…",
                xy=(0, y),
                xycoords=("axes fraction", "data"),
                xytext=(-8, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                color=colour("ink"),
                size=12,
            )
        axes.xaxis.tick_top()
        axes.set_xticks(range(floor(low), ceil(high) + 1))
        axes.yaxis.set_visible(False)
        axes.tick_params(colors=colour("muted"), length=4, labelsize=12)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "top")
            spine.set_color(colour("muted"))
        ends = [low, low + across.critical_difference]
        axes.plot(ends, [-34, -34], color=colour("muted"), linewidth=2, clip_on=False, marker="|", markersize=8)
        text = f"critical difference {number(across.critical_difference, 2)}"
        _beside(axes, ends[1], -34, text)
        said = ", ".join(f"{row} {number(rank, 2)}" for row, rank in zip(across.rows, across.mean_ranks, strict=True))
        label = f"Mean ranks over {len(across.datasets)} data sets: {said}. {text.capitalize()}."
        return as_svg(figure, label, prefix=f"critical-difference-{width}", titles={})


def _beside(axes: Axes, x: float, y: float, text: str) -> None:
    axes.annotate(
        text, xy=(x, y), xytext=(7, 0), textcoords="offset points", va="center", color=colour("muted"), size=11
    )
