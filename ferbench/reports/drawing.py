"""What all figures of a page share: their size, their style, and the way from matplotlib to an inline ``<svg>``."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

from ferbench.reports.colours import themed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["NARROW", "WIDE", "as_svg", "blank", "canvas", "drawing_style"]

WIDE, NARROW = 960, 360
"""Widths in CSS pixels of the two drawings of each figure: for a screen or paper, and for a phone."""

_RC: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "ferbench", "text.parse_math": False, "font.size": 12}


def drawing_style() -> AbstractContextManager[None]:
    """Settings for as long as texts are made: one with dollar signs in it is a name, not a formula."""
    import matplotlib as mpl

    return mpl.rc_context(_RC)


def blank(width: int, height: int) -> Figure:
    """A figure measured in CSS pixels (one point each), without pyplot's global state."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0)
    return figure


def canvas(width: int, height: int, *, left: int, right: int, top: int, bottom: int) -> tuple[Figure, Axes]:
    """A blank figure with one pair of axes; margins in CSS pixels."""
    figure = blank(width, height)
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    axes = figure.add_axes(box)
    axes.patch.set_alpha(0)
    return figure, axes


def as_svg(figure: Figure, label: str, *, prefix: str, titles: dict[str, str]) -> str:
    """The figure as one inline ``<svg>``: no prologue or metadata, ids of its own, theme colours, a spoken label."""
    # The parts of an image have no names of their own; those of a group, the links, do.
    role = "group" if titles else "img"
    buffer = StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        rf'<svg viewBox="\1" role="{role}" aria-label="{_quoted(label)}">',
        text,
        count=1,
    )
    # matplotlib's style sheet would reach the whole page; the page has the same rule for its figures.
    text = re.sub(r"<defs>\s*<style.*?</defs>", "", text, count=1, flags=re.DOTALL)
    text = text.replace("xlink:href", "href")
    text = re.sub(r"font: ([^;\"]*?)(\d[\d.]*px) [^;\"]*", r"font: \1\2 var(--font)", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", text)
    for gid, title in titles.items():
        before, group, after = text.partition(f'<g id="{gid}">')
        # matplotlib's links open a new window; these lead to a line of the same page.
        after = after.replace(' target="_blank">', f' aria-label="{escape(title, quote=True)}">', 1)
        text = f"{before}{group}<title>{escape(title)}</title>{after}"
    text = re.sub(r'<g id="pointer-none">', '<g class="no-pointer">', text)
    text = re.sub(r'(id="|url\(#|href="#)(?!d\d+-r\d+")(?!point-)', rf"\1{prefix}-", text)
    return themed(text)


def _quoted(label: str) -> str:
    # The text goes through re.sub as a replacement, where a backslash would be read as a group.
    return escape(label, quote=True).replace("\\", r"\\")
