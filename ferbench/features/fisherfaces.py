"""Fisherfaces: the directions in which the expressions are furthest apart for their spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from ferbench.checks import check_integer
from ferbench.errors import DataError, ParameterError
from ferbench.features.base import Crops, Matrix, check_crops, require_fitted
from ferbench.features.pca import PCAFeatures
from ferbench.features.union import make_features
from ferbench.registry import check_values

__all__ = ["Fisherfaces"]


class Fisherfaces(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Principal components, then linear discriminant analysis [1]_: one feature less than there are expressions.

    Parameters
    ----------
    n_components : int
        Principal components in which the discriminants are sought. They must be fewer than the training faces; few
        keep the discriminants from fitting the training faces' noise.
    of : str or sequence of str
        Spec of the features to project, or a list of specs to join first.
    random_state : int
        Seed of the principal components.

    Attributes
    ----------
    pca_ : PCAFeatures
    projection_ : (n_components, C - 1) float32
        Discriminants as columns, the strongest first.
    offset_ : (C - 1,) float32
        What the mean projects to; subtracted.

    References
    ----------
    .. [1] P. Belhumeur, J. Hespanha, D. Kriegman: Eigenfaces vs. Fisherfaces: recognition using class specific linear
           projection. IEEE TPAMI 19(7), 1997.
    """

    is_stateless = False

    def __init__(self, n_components: int = 200, of: str | Sequence[str] = "pixels", random_state: int = 0) -> None:
        self.n_components = n_components
        self.of = of
        self.random_state = random_state

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be, in ``of``, too."""
        check_integer("n_components", self.n_components, 1)
        check_values(make_features(self.of))

    def fit(self, X: Crops, y: Any = None) -> Self:
        """Find the discriminants of the labels ``y`` (N,).

        Raises
        ------
        DataError
            No labels, not one for each crop, or a single expression.
        """
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        check_integer("n_components", self.n_components, 1)
        crops = check_crops(X)
        labels = np.asarray(y)
        if y is None or labels.shape != (len(crops),) or len(np.unique(labels)) < 2:
            raise DataError(
                "fisherfaces cannot tell expressions apart without labels",
                got="none" if y is None else f"{labels.shape}, {len(np.unique(labels))} different",
                expected=f"({len(crops)},), at least 2 different",
            )
        if self.n_components > len(crops) - len(np.unique(labels)):
            raise ParameterError(
                "parameter n_components",
                got=self.n_components,
                expected=f"at most {len(crops) - len(np.unique(labels))}, the crops less the expressions",
            )
        self.pca_ = PCAFeatures(
            self.n_components, of=self.of, whiten=True, max_fit_samples=None, random_state=self.random_state
        ).fit(crops, labels)
        rows = self.pca_.transform(crops).astype(np.float64)
        lda = LinearDiscriminantAnalysis(solver="svd").fit(rows, labels)
        discriminants = lda.scalings_[:, : len(lda.classes_) - 1]
        self.projection_ = np.ascontiguousarray(discriminants, dtype=np.float32)
        self.offset_ = (lda.xbar_ @ discriminants).astype(np.float32)
        return self

    def transform(self, X: Crops) -> Matrix:
        """(N, C - 1) float32; within an expression each feature has about unit variance."""
        require_fitted(self, "projection_")
        return np.asarray(self.pca_.transform(X) @ self.projection_ - self.offset_)
