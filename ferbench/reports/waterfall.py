"""The stages of a frame as a waterfall: each begins where the one before it ends, its name and time beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ferbench.reports.colours import colour
from ferbench.reports.context import StageBar
from ferbench.reports.drawing import WIDE, as_svg, canvas, drawing_style
from ferbench.reports.formatting import decimals_for, milliseconds, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["stages_svg"]

_STEP, _BAR = 15, 9
"""CSS pixels from one stage to the next, and the height of a bar."""

_HEAD, _FOOT = 21, 14
"""CSS pixels for a row's name, and between two rows."""

_TEXT, _ROOM = 11, 92
"""Font size of a stage's text, and CSS pixels kept free for that of the last."""


def stages_svg(bars: Sequence[StageBar], width: int = WIDE, *, anchor: str = "stages") -> str | None:
    """Median milliseconds per frame, stage after stage, a waterfall for each row.

    Parameters
    ----------
    bars : sequence of StageBar
    width : int
        CSS pixels.
    anchor : str
        Prefix of the ids in the drawing.

    Returns
    -------
    str or None
        An ``<svg>`` element, or None where there is no bar.
    """
    if not bars:
        return None
    with drawing_style():
        return _draw(bars, width, anchor)


def _draw(bars: Sequence[StageBar], width: int, anchor: str) -> str:
    heights = [_HEAD + _STEP * len(bar.stages) + _FOOT for bar in bars]
    figure, axes = canvas(width, sum(heights) + 28, left=4, right=4, top=2, bottom=26)
    decimals = decimals_for(bar.total for bar in bars)
    longest = max(sum(ms for _, ms in bar.stages) for bar in bars) or 1.0
    right = longest * (width - 8) / (width - 8 - _ROOM)
    axes.set_xlim(0, right)
    axes.set_ylim(sum(heights), 0)
    top = 0
    for bar, height in zip(bars, heights, strict=True):
        rank = f"{bar.row.rank}  " if bar.row.rank else ""
        name = rank + _shortened(bar.row.name, (width - 90) // 7)
        axes.text(0, top + _HEAD - 6, name, color=colour("ink"), va="bottom", size=12)
        total = f"{number(bar.total, decimals)} ms"
        axes.text(right, top + _HEAD - 6, total, color=colour("ink"), va="bottom", ha="right", size=12)
        _draw_stages(axes, bar, top + _HEAD, right / (width - 8))
        top += height
    axes.yaxis.set_visible(False)
    axes.set_xlabel("median ms per frame", color=colour("muted"), loc="left", labelpad=4)
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return as_svg(
        figure, f"Median milliseconds per frame by stage. {_spoken(bars)}.", prefix=f"{anchor}-{width}", titles={}
    )


def _draw_stages(axes: Axes, bar: StageBar, top: float, ms_per_pixel: float) -> None:
    """One row's stages from ``top`` down, each with a line to the one that follows, and its text after it."""
    end = 0.0
    for i, (stage, ms) in enumerate(bar.stages):
        y = top + _STEP * i + _BAR / 2
        axes.barh(y, max(ms, ms_per_pixel), left=end, height=_BAR, color=colour(f"stage-{stage}"))
        end += ms
        if i + 1 < len(bar.stages):
            axes.plot([end, end], [y + _BAR / 2, y + _STEP - _BAR / 2], color=colour("muted"), lw=0.8)
        text, x = f"{stage} {milliseconds(ms)}", end + 6 * ms_per_pixel
        axes.text(x, y, text, color=colour("muted"), va="center_baseline", size=_TEXT)


def _spoken(bars: Sequence[StageBar]) -> str:
    decimals = decimals_for(bar.total for bar in bars)
    return "; ".join(
        f"{bar.row.name}: {number(bar.total, decimals)} ms ("
        + ", ".join(f"{stage} {milliseconds(ms)}" for stage, ms in bar.stages)
        + ")"
        for bar in bars
    )


def _shortened(name: str, longest: int) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
