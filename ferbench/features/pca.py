"""Principal components of pixels (eigenfaces) or of other features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from ferbench.checks import check_flag, check_integer
from ferbench.errors import NotFittedError, ParameterError, ShapeError
from ferbench.features.base import Crops, Matrix, check_crops
from ferbench.features.union import make_features
from ferbench.registry import check_values

__all__ = ["PCAFeatures"]

_CHUNK = 1024
"""Crops described at once in ``transform``: the long rows before projection never exist for all crops together."""


class PCAFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Projection onto the principal components of a training set; over pixels: eigenfaces [1]_.

    Parameters
    ----------
    n_components : int
        Components kept; no more than the training crops and the dimension of ``of`` allow.
    of : str or sequence of str
        Spec of the features to project, or a list of specs to join first.
    whiten : bool
        Give every component unit variance over the training crops.
    normalise : bool
        Scale each row to unit length, so that Gaussian kernels compare directions (after ``whiten``, where both).
    max_fit_samples : int or None
        Estimate the components from at most so many crops, drawn at random; None: from all. A few thousand suffice
        for a few hundred components, and cost a fraction of the time and memory.
    random_state : int
        Seed of the draw and of the randomized solver [2]_.

    Attributes
    ----------
    features_ : object
        The fitted ``of``.
    projection_ : (D, K) float32
        Components, as columns, divided by their standard deviation where ``whiten``.
    offset_ : (K,) float32
        What the mean projects to; subtracted.
    explained_variance_ratio_ : (K,) float32

    References
    ----------
    .. [1] M. Turk, A. Pentland: Eigenfaces for recognition. Journal of Cognitive Neuroscience 3(1), 1991.
    .. [2] N. Halko, P.-G. Martinsson, J. Tropp: Finding structure with randomness. SIAM Review 53(2), 2011.
    """

    is_stateless = False

    def __init__(
        self,
        n_components: int = 100,
        of: str | Sequence[str] = "pixels",
        whiten: bool = False,
        normalise: bool = False,
        max_fit_samples: int | None = 10_000,
        random_state: int = 0,
    ) -> None:
        self.n_components = n_components
        self.of = of
        self.whiten = whiten
        self.normalise = normalise
        self.max_fit_samples = max_fit_samples
        self.random_state = random_state

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be, in ``of``, too."""
        self._check_own()
        check_values(make_features(self.of))

    def _check_own(self) -> None:
        check_integer("n_components", self.n_components, 1)
        check_flag("whiten", self.whiten)
        check_flag("normalise", self.normalise)
        if self.max_fit_samples is not None:
            check_integer("max_fit_samples", self.max_fit_samples, 2)

    def fit(self, X: Crops, y: Any = None) -> Self:
        """Find the components of the crops' features."""
        from sklearn.decomposition import PCA

        self._check_own()
        crops, most = check_crops(X), self.max_fit_samples
        if most is not None and len(crops) > most:
            drawn = np.random.default_rng(self.random_state).choice(len(crops), most, replace=False)
            drawn.sort()
            crops, y = crops[drawn], None if y is None else np.asarray(y)[drawn]
        self.features_ = make_features(self.of).fit(crops, y)
        rows = self.features_.transform(crops)
        if self.n_components > min(rows.shape):
            raise ParameterError(
                "parameter n_components",
                got=self.n_components,
                expected=f"at most {min(rows.shape)} for {rows.shape[0]} crops of {rows.shape[1]} features",
            )
        # Three power iterations (scikit-learn takes four to seven): the last kept components of gradient and texture
        # histograms have near-equal variance, where more precision in their order buys nothing.
        pca = PCA(self.n_components, svd_solver="randomized", iterated_power=3, random_state=self.random_state)
        pca.fit(rows)
        components = pca.components_.astype(np.float64)
        if self.whiten:
            # A direction without variance stays as it is: dividing by a deviation of zero would make noise of it.
            deviation = np.sqrt(pca.explained_variance_)
            components /= np.where(deviation > 1e-6 * deviation[0], deviation, 1)[:, None]
        self.projection_ = np.ascontiguousarray(components.T, dtype=np.float32)
        self.offset_ = (components @ pca.mean_).astype(np.float32)
        self.explained_variance_ratio_ = pca.explained_variance_ratio_.astype(np.float32)
        return self

    def transform(self, X: Crops) -> Matrix:
        """(N, n_components) float32."""
        if not hasattr(self, "projection_"):
            raise NotFittedError("PCA features were used before they were fitted", fix="call fit first")
        crops = check_crops(X)
        out = np.empty((len(crops), self.projection_.shape[1]), np.float32)
        for start in range(0, len(crops), _CHUNK):
            rows = self.features_.transform(crops[start : start + _CHUNK])
            if rows.shape[1] != len(self.projection_):
                raise ShapeError(
                    "crops of another size than those PCA was fitted to",
                    got=f"{crops.shape[2]}×{crops.shape[1]} pixels, {rows.shape[1]} features",
                    expected=f"{len(self.projection_)} features",
                )
            np.matmul(rows, self.projection_, out=out[start : start + _CHUNK])
        out -= self.offset_
        if self.normalise:
            length = np.linalg.norm(out, axis=1, keepdims=True)
            out /= np.where(length > 0, length, 1)
        return out
