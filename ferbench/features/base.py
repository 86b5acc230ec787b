"""What all feature extractors share: the check of their input, and the manners of a stateless transformer."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from ferbench.errors import NotFittedError, ShapeError

__all__ = [
    "Crops",
    "Matrix",
    "StatelessFeatures",
    "cell_shares",
    "check_crops",
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
