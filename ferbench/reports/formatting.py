"""Numbers as a reader sees them: one place decides decimals, signs and the dash for what was not measured."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from math import isfinite

from ferbench.benchmarks.records import Estimate

__all__ = [
    "DASH",
    "bytes_text",
    "count",
    "date_text",
    "decimals_for",
    "interval",
    "listing",
    "milliseconds",
    "number",
    "p_value",
    "percent",
    "points",
    "scientific",
    "seconds",
]

DASH = "–"
"""Stands for a value that was not measured, or that too few frames carry."""

MINUS = "\N{MINUS SIGN}"

# Not strftime("%B"), which follows the locale.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def number(value: float | None, decimals: int = 2) -> str:
    """``value`` with that many decimals and thin thousands; a dash for None, NaN and infinities."""
    if value is None or not isfinite(value):
        return DASH
    # Adding 0.0 turns a rounded -0.0 into 0.0.
    return f"{round(value, decimals) + 0.0:,.{decimals}f}".replace("-", MINUS)


def count(value: int | None) -> str:
    """A whole number with thousands separators."""
    return number(value, 0)


def percent(value: float | None, decimals: int = 1) -> str:
    """A share in [0, 1] as a percentage, without the sign ``%``."""
    return DASH if value is None else number(100 * value, decimals)


def points(value: float | None) -> str:
    """A difference of shares, signed, in percentage points."""
    if value is None or not isfinite(value):
        return DASH
    text = number(100 * value, 1)
    return f"+{text}" if round(100 * value, 1) > 0 else text


def interval(estimate: Estimate | None, scale: float = 100.0, decimals: int = 1) -> str:
    """The 95 % interval of an estimate, ``"59.6–62.8"``; empty where there is none."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    return f"{number(scale * estimate.low, decimals)}–{number(scale * estimate.high, decimals)}"


def decimals_for(values: Iterable[float | None]) -> int:
    """Decimals for a column of milliseconds or seconds, after its largest value, so that the column aligns."""
    largest = max((abs(value) for value in values if value is not None and isfinite(value)), default=0.0)
    return 3 if largest < 1 else 2 if largest < 200 else 1


def milliseconds(value: float | None) -> str:
    """Milliseconds on their own, with about three digits: ``0.042``, ``2.61``, ``84.3``, ``1,204``."""
    size = abs(value or 0.0)
    return number(value, 3 if 0 < size < 0.1 else 2 if size < 10 else 1 if size < 100 else 0)


def seconds(value: float | None) -> str:
    """Seconds with about three digits."""
    return number(value, 2 if value is None or value < 10 else 1 if value < 100 else 0)


def scientific(value: float | None) -> str:
    """A small number with two digits and its power of ten: ``"1.5e-08"``; plain zero stays ``"0"``."""
    return DASH if value is None else f"{value:.1e}" if value else "0"


def bytes_text(value: int | None) -> str:
    """A file size in decimal units: ``"412 kB"``, ``"1.9 MB"``."""
    if value is None:
        return DASH
    if value < 1000:
        return f"{value} B"
    if value < 999_500:
        return f"{value / 1e3:.0f} kB"
    return f"{value / 1e6:,.1f} MB" if value < 999_950_000 else f"{value / 1e9:,.1f} GB"


def p_value(value: float) -> str:
    """A p value with three decimals, or ``"< 0.001"``."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def date_text(iso: str) -> str:
    """``"21 November 2026, 03:12 UTC"`` from ISO 8601; other text is returned as it is."""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M} UTC"


def listing(words: Iterable[str]) -> str:
    """``"a, b and c"``."""
    items = list(words)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
