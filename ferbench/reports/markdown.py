"""The report as markdown for a repository or a pull-request comment."""

from __future__ import annotations

import re

from ferbench.reports.context import ReportContext, StageBar
from ferbench.reports.pages import render

__all__ = ["code", "plain", "render_markdown"]

_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")
_BLANKS = re.compile(r"[ \t\r\n\f\v]+")
"""Blanks that become one; a no-break space stays."""
_FULL = 24


def render_markdown(context: ReportContext) -> str:
    """The page of a run in GitHub's markdown: tables and text only, nothing to load."""
    text = render("report.md.j2", context, is_html=False, code=code, plain=plain, fenced=_fenced, strip=_strip)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def code(text: object) -> str:
    """A code span that holds any text, also inside a table: pipeline ids contain ``@`` and could contain ``|``."""
    words = " ".join(str(text).split()).replace("|", "\\|")
    if not words:
        return ""
    longest = max((len(run) for run in re.findall(r"`+", words)), default=0)
    fence, air = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{air}{words}{air}{fence}"


def plain(text: object) -> str:
    """Text that markdown shows as it is: no markup, no HTML, no mention of a user, no second table cell."""
    words = _SPECIAL.sub(r"\\\1", _BLANKS.sub(" ", str(text)))
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")


def _strip(bar: StageBar, longest: float) -> str:
    """A bar of text, as long as its share of the longest."""
    return "█" * max(1, round(_FULL * bar.total / longest)) if longest > 0 else ""


def _fenced(text: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}sh\n{text}\n{fence}"
