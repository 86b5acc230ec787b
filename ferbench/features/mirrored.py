"""A face and its mirror image, described alike and side by side."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from ferbench.errors import NotFittedError
from ferbench.features.base import Crops, Matrix, check_crops
from ferbench.features.union import make_features
from ferbench.registry import check_values

__all__ = ["Mirrored"]


class Mirrored(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Features of the face, followed by those of its mirror image: for ``kernel-ridge(mirrored=true)``.

    What learns is learnt from the faces as they are.

    Parameters
    ----------
    of : str
        Spec of registered features.

    Attributes
    ----------
    features_ : object
        The fitted ``of``.

    Examples
    --------
    >>> import numpy as np
    >>> crops = np.zeros((2, 48, 48), np.uint8)
    >>> Mirrored("pixels").fit(crops).transform(crops).shape
    (2, 4608)
    """

    def __init__(self, of: str = "hog") -> None:
        self.of = of

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be, in ``of``, too."""
        check_values(make_features(self.of))

    def fit(self, X: Crops, y: Any = None) -> Self:
        """Fit the features to the crops."""
        self.features_ = make_features(self.of).fit(check_crops(X), y)
        return self

    def transform(self, X: Crops) -> Matrix:
        """(N, 2 D) float32."""
        if not hasattr(self, "features_"):
            raise NotFittedError("mirrored features were used before they were fitted", fix="call fit first")
        crops = check_crops(X)
        rows = self.features_.transform(np.concatenate([crops, crops[:, :, ::-1]]))
        side_by_side: Matrix = np.concatenate([rows[: len(crops)], rows[len(crops) :]], axis=1)
        return side_by_side

    @property
    def is_stateless(self) -> bool:
        """Whether the features learn nothing from the training crops."""
        return bool(getattr(make_features(self.of), "is_stateless", False))
