"""What all feature extractors share: the check of their input, and the manners of a stateless transformer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from ferbench.errors import NotFittedError, ParameterError, ShapeError

__all__ = [
    "Crops",
    "Matrix",
    "StatelessFeatures",
    "cell_shares",
    "check_choice",
    "check_crops",
    "check_flag",
    "check_integer",
    "check_number",
    "check_numbers",
    "grid_means",
    "require_fitted",
]

Crops = npt.NDArray[np.uint8]
"""(N, h, w) uint8 gray face crops."""

Matrix = npt.NDArray[np.float32]
"""(N, D) float32 features, C-contiguous."""


def check_crops(crops: object, *, minimum: int = 1) -> Crops:
    """Return ``crops`` if they are (N, h, w) uint8 with h and w of at least ``minimum`` pixels; N may be 0.

    Raises
    ------
    ShapeError
        Anything else: a list, floats, colour, or crops too small for the features.
    """
    expected = "(N, h, w) uint8 gray"
    if not isinstance(crops, np.ndarray):
        raise ShapeError("crops are not one array", got=type(crops).__name__, expected=expected)
    if crops.ndim != 3 or crops.dtype != np.uint8:
        raise ShapeError("crops have the wrong form", got=f"{crops.shape} {crops.dtype}", expected=expected)
    if min(crops.shape[1:]) < minimum:
        raise ShapeError(
            "crops are too small for these features",
            got=f"{crops.shape[2]}×{crops.shape[1]}",
            expected=f"at least {minimum}×{minimum} pixels",
        )
    return crops


def check_integer(name: str, value: object, minimum: int, maximum: int | None = None) -> int:
    """Return ``value`` if it is an integer within the bounds; raise :class:`ParameterError` if not."""
    is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_integer or value < minimum or (maximum is not None and value > maximum):  # type: ignore[operator]
        upper = "" if maximum is None else f" to {maximum}"
        raise ParameterError(
            f"parameter {name}", got=repr(value), expected=f"an integer, {minimum}{upper or ' or more'}"
        )
    return int(value)  # type: ignore[call-overload,no-any-return]


def check_number(name: str, value: object, minimum: float, maximum: float) -> float:
    """Return ``value`` if it is a number within the bounds, both included."""
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not minimum <= value <= maximum:  # type: ignore[operator]
        raise ParameterError(f"parameter {name}", got=repr(value), expected=f"a number from {minimum:g} to {maximum:g}")
    return float(value)  # type: ignore[arg-type]


def check_numbers(name: str, values: object, minimum: float, maximum: float) -> tuple[float, ...]:
    """Return one number or a sequence of them as a tuple, each within the bounds, both included."""
    several = tuple(values) if isinstance(values, Sequence | np.ndarray) and not isinstance(values, str) else (values,)
    if not several:
        raise ParameterError(f"parameter {name}", got=repr(values), expected="at least one number")
    return tuple(check_number(name, value, minimum, maximum) for value in several)


def check_choice(name: str, value: object, known: Sequence[str]) -> str:
    """Return ``value`` if it is one of the known words."""
    if not isinstance(value, str) or value not in known:
        raise ParameterError(f"parameter {name}", got=repr(value), expected=f"one of {', '.join(known)}")
    return value


def check_flag(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ParameterError(f"parameter {name}", got=repr(value), expected="True or False")
    return bool(value)


def require_fitted(features: object, attribute: str) -> None:
    """Raise :class:`NotFittedError` where ``fit`` has not yet set the attribute."""
    if not hasattr(features, attribute):
        raise NotFittedError(f"{type(features).__name__} was used before it was fitted", fix="call fit first")


def grid_means(maps: npt.NDArray[np.float32], grid: int) -> npt.NDArray[np.float32]:
    """(..., grid, grid) means of (..., h, w) maps over cells; row ``r`` belongs to grid row ``r * grid // h``."""
    h, w = maps.shape[-2:]
    return np.asarray(cell_shares(h, grid) @ maps @ cell_shares(w, grid).T)


@lru_cache(maxsize=64)
def cell_shares(length: int, grid: int) -> Matrix:
    """(grid, length): what each pixel contributes to the mean of each cell."""
    belongs = np.arange(length) * grid // length == np.arange(grid)[:, None]
    return np.asarray(belongs / belongs.sum(axis=1, keepdims=True), np.float32)


class StatelessFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """A transformer that learns nothing: ``fit`` only checks, and ``transform`` works on an unfitted object.

    Attributes
    ----------
    is_stateless : bool
        True: features depend on the crop and the parameters alone, so the harness may cache them by spec.
    """

    is_stateless = True

    def fit(self, X: Crops, y: Any = None) -> Self:
        """Check parameters and crops by describing the first crop; learn nothing."""
        self.transform(check_crops(X)[:1])
        return self

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be, whatever the size of the crops."""
        self.transform(np.zeros((0, 512, 512), np.uint8))

    def transform(self, X: Crops) -> Matrix:
        """Features (N, D) float32 of crops (N, h, w) uint8."""
        raise NotImplementedError

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags
