"""Checks of parameters' values: each returns the value as it is used, or raises :class:`ParameterError` in one line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import TypeGuard

from ferbench.errors import ParameterError

__all__ = [
    "check_choice",
    "check_flag",
    "check_integer",
    "check_number",
    "check_numbers",
    "check_positive",
    "is_integer",
    "is_number",
]


def is_integer(value: object) -> TypeGuard[int]:
    """Whether it is an integer, Python's or numpy's; True and False are none."""
    return not isinstance(value, bool) and isinstance(value, Integral)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite real number, Python's or numpy's; True and False are none."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def check_integer(name: str, value: object, minimum: int, maximum: int | None = None) -> int:
    """An integer within the bounds, both included."""
    if not is_integer(value) or value < minimum or (maximum is not None and value > maximum):
        expected = f"an integer from {minimum} {'up' if maximum is None else f'to {maximum}'}"
        raise ParameterError(f"parameter {name}", got=repr(value), expected=expected)
    return int(value)


def check_number(name: str, value: object, minimum: float = -math.inf, maximum: float = math.inf) -> float:
    """A number within the bounds, both included."""
    if not is_number(value) or not minimum <= value <= maximum:
        bounds = "" if math.isinf(maximum) else f" from {minimum:g} to {maximum:g}"
        raise ParameterError(f"parameter {name}", got=repr(value), expected=f"a number{bounds}")
    return float(value)


def check_positive(name: str, value: object) -> float:
    """A number above 0."""
    if not is_number(value) or value <= 0:
        raise ParameterError(f"parameter {name}", got=repr(value), expected="a number above 0")
    return float(value)


def check_numbers(name: str, values: object, minimum: float, maximum: float) -> tuple[float, ...]:
    """One number or several as a tuple, each within the bounds, both included."""
    is_one = isinstance(values, str) or not hasattr(values, "__len__")
    several = (values,) if is_one else tuple(values)  # type: ignore[arg-type]
    if not several:
        raise ParameterError(f"parameter {name}", got=repr(values), expected="at least one number")
    return tuple(check_number(name, value, minimum, maximum) for value in several)


def check_choice(name: str, value: object, known: Sequence[str]) -> str:
    """One of the known words."""
    if not isinstance(value, str) or value not in known:
        raise ParameterError(f"parameter {name}", got=repr(value), expected=f"one of {', '.join(known)}")
    return value


def check_flag(name: str, value: object) -> bool:
    """True or False, Python's or numpy's."""
    import numpy as np

    if not isinstance(value, bool | np.bool_):
        raise ParameterError(f"parameter {name}", got=repr(value), expected="True or False")
    return bool(value)
