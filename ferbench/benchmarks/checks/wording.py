"""Numbers and lists as findings write them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["capital", "ms", "named", "percent", "points", "some", "times"]

_NBSP = "\N{NO-BREAK SPACE}"
MOST_NAMED = 3
"""Rows that a sentence names; a finding's ``rows`` has all of them."""


def percent(share: float, decimals: int = 1) -> str:
    """``"12.3 %"`` of 0.123."""
    return f"{100 * share:.{decimals}f}{_NBSP}%"


def points(difference: float) -> str:
    """A difference of shares in percentage points: ``"1.3 points"``."""
    return f"{100 * difference:.1f}{_NBSP}points"


def capital(text: str) -> str:
    """The text with its first letter large, and nothing else changed: names keep theirs."""
    return text[:1].upper() + text[1:]


def ms(milliseconds: float) -> str:
    """Three digits: ``"0.213 ms"``, ``"2.61 ms"``, ``"84.3 ms"``, ``"1,204 ms"``."""
    decimals = 3 if milliseconds < 1 else 2 if milliseconds < 10 else 1 if milliseconds < 100 else 0
    return f"{milliseconds:,.{decimals}f}{_NBSP}ms"


def times(ratio: float) -> str:
    """``"2.4 times"``, ``"31 times"``."""
    return f"{ratio:,.{1 if ratio < 10 else 0}f} times"


def some(count: int, of: int, noun: str) -> str:
    """``"2 of 8 rows"``, ``"all 8 rows"``, ``"the only row"``."""
    if count == of:
        return f"the only {noun}" if of == 1 else f"all {of:,} {noun}s"
    return f"{count:,} of {of:,} {noun}s"


def named(names: Sequence[str], most: int = MOST_NAMED) -> str:
    """``"a, b and c"``; beyond ``most``, ``"a, b, c and 5 more"``. Names come in once each."""
    once = list(dict.fromkeys(names))
    if len(once) > most:
        return f"{', '.join(once[:most])} and {len(once) - most} more"
    return once[0] if len(once) == 1 else f"{', '.join(once[:-1])} and {once[-1]}" if once else ""
