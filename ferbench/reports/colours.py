"""Names of the theme's colours and the placeholders under which matplotlib draws them.

matplotlib wants fixed colours; a page that follows the reader's theme wants CSS variables. Figures are therefore drawn
in placeholder colours that nothing else uses, and each is replaced by its variable in the finished SVG.
"""

from __future__ import annotations

import re

__all__ = ["STAGE_ORDER", "TOKENS", "colour", "themed"]

STAGE_ORDER = ("decode", "detect", "align", "features", "classify", "other")

_NAMES = (
    "ink",
    "muted",
    "grid",
    "surface",
    "front",
    "baseline",
    "classical",
    "deep",
    *(f"stage-{stage}" for stage in STAGE_ORDER),
    *(f"line-{i}" for i in range(1, 9)),
)
TOKENS = {name: f"#0102{i:02x}" for i, name in enumerate(_NAMES, start=1)}
"""``{name of the CSS variable: placeholder}``."""

_BY_PLACEHOLDER = {placeholder: name for name, placeholder in TOKENS.items()}


def colour(name: str) -> str:
    """The placeholder of a theme colour, for matplotlib."""
    return TOKENS[name]


def themed(svg: str) -> str:
    """``svg`` with every placeholder replaced by ``var(--name)``."""
    return re.sub(r"#0102[0-9a-f]{2}", lambda match: f"var(--{_BY_PLACEHOLDER[match.group()]})", svg)
