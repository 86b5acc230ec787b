"""Several features side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from ferbench.checks import check_numbers
from ferbench.errors import NotFittedError, ParameterError
from ferbench.features.base import Crops, Matrix, check_crops
from ferbench.registry import check_values, create

__all__ = ["Union", "make_features"]


def make_features(of: str | Sequence[str]) -> Any:
    """The features that a spec names; a list of specs makes their :class:`Union`."""
    if isinstance(of, str):
        return create("features", of)
    if isinstance(of, Sequence) and len(of) and all(isinstance(spec, str) for spec in of):
        return Union(of)
    raise ParameterError("parameter of", got=repr(of), expected="the spec of features, or a list of such specs")


class Union(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Features of several kinds, joined into one row.

    Parameters
    ----------
    of : sequence of str
        Specs of registered features, such as ``["hog(cell=6)", "hog(cell=12)", "lbp"]``.
    weights : sequence of float or None
        What each part is multiplied by; kernels and linear machines attend more to longer rows. None: 1 each.

    Attributes
    ----------
    parts_ : list
        The fitted features, in the order of ``of``.

    Examples
    --------
    >>> import numpy as np
    >>> crops = np.zeros((2, 48, 48), np.uint8)
    >>> Union(["pixels", "lbp(grid=2)"]).fit(crops).transform(crops).shape
    (2, 2540)
    """

    def __init__(self, of: Sequence[str] = ("hog(cell=6)", "lbp"), weights: Sequence[float] | None = None) -> None:
        self.of = of
        self.weights = weights

    def fit(self, X: Crops, y: Any = None) -> Self:
        """Make the parts and fit each to the crops."""
        self._check_own()
        self.parts_ = [make_features(spec).fit(check_crops(X), y) for spec in self.of]
        return self

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be, in the parts, too."""
        self._check_own()
        for spec in self.of:
            check_values(make_features(spec))

    def _check_own(self) -> None:
        if isinstance(self.of, str) or not isinstance(self.of, Sequence) or not len(self.of):
            raise ParameterError("parameter of", got=repr(self.of), expected="a list of specs of features")
        if self.weights is not None and len(check_numbers("weights", self.weights, 0, 1e6)) != len(self.of):
            raise ParameterError(
                "parameter weights", got=repr(self.weights), expected=f"{len(self.of)} numbers, one for each part"
            )

    def transform(self, X: Crops) -> Matrix:
        """(N, D1 + D2 + ...) float32."""
        if not hasattr(self, "parts_"):
            raise NotFittedError("the union of features was used before it was fitted", fix="call fit first")
        rows = [part.transform(X) for part in self.parts_]
        if self.weights is not None:
            rows = [row * np.float32(weight) for row, weight in zip(rows, self.weights, strict=True)]
        return np.concatenate(rows, axis=1)

    @property
    def is_stateless(self) -> bool:
        """Whether no part learns anything from the training crops."""
        return all(getattr(make_features(spec), "is_stateless", False) for spec in self.of)
