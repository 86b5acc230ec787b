"""Convolutions with filters that nobody trained on labels: random ones, patches of faces, or k-means of patches."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from ferbench.checks import check_choice, check_integer, check_number
from ferbench.errors import ParameterError
from ferbench.features.base import Crops, Matrix, check_crops, require_fitted

__all__ = ["FILTERS", "RandomConvolutions"]

FILTERS = ("random", "patches", "k-means")
_CHUNK = 4
"""Crops whose patches exist at once: those of four crops take 1.7 MB."""
_CONTRAST = 10.0
"""Variance, in squared gray values, added to that of a patch before it is divided by: flat patches stay small."""
_MAX_DIMENSIONS = 200_000


class RandomConvolutions(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """One layer of convolutions whose filters no label has seen, rectified and pooled: the null model of FER2013 [2]_.

    Every patch of the crop is brought to mean 0 and variance 1, whitened by the training patches' covariance, and
    compared with each filter, a unit vector. What exceeds a threshold, on either side, is averaged over the cells of
    a grid [1]_.

    Parameters
    ----------
    n_filters : int
        Filters, each of which gives two values a cell; fit and prediction grow in proportion.
    filters : {"random", "patches", "k-means"}
        ``random``: Gaussian noise; ``patches``: whitened patches of training crops; ``k-means``: directions around
        which those cluster.
    size : int
        Side of a filter in pixels.
    step : int
        Pixels between neighbouring patches.
    threshold : float
        What a response must exceed to count.
    grid : int
        Cells along each side over which responses are averaged.
    whitening : float
        Added to the eigenvalues of the patches' covariance before the square roots of whitening.
    sample : int
        Training patches that the whitening and the filters are learnt from.
    random_state : int
        Seed of the patches drawn and of the filters.

    Attributes
    ----------
    filters_ : (size * size, K) float32
        Whitening and filters in one; columns sum to zero.
    offset_ : (K,) float32
        Responses to the mean patch, subtracted.

    References
    ----------
    .. [1] A. Coates, A. Ng, H. Lee: An analysis of single-layer networks in unsupervised feature learning. AISTATS
           2011.
    .. [2] J. Bergstra, D. Cox: Hyperparameter optimization and boosting for classifying facial expressions: how good
           can a "null" model be? ICML workshop on representation learning, 2013.
    """

    is_stateless = False

    def __init__(
        self,
        n_filters: int = 400,
        filters: str = "k-means",
        size: int = 8,
        step: int = 1,
        threshold: float = 0.5,
        grid: int = 4,
        whitening: float = 0.1,
        sample: int = 100_000,
        random_state: int = 0,
    ) -> None:
        self.n_filters = n_filters
        self.filters = filters
        self.size = size
        self.step = step
        self.threshold = threshold
        self.grid = grid
        self.whitening = whitening
        self.sample = sample
        self.random_state = random_state

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        check_integer("n_filters", self.n_filters, 1)
        check_choice("filters", self.filters, FILTERS)
        check_integer("size", self.size, 2, 64)
        check_integer("step", self.step, 1)
        check_number("threshold", self.threshold, 0, 100)
        check_integer("grid", self.grid, 1)
        check_number("whitening", self.whitening, 1e-6, 1e6)
        check_integer("sample", self.sample, self.size**2)
        if 2 * self.n_filters * self.grid**2 > _MAX_DIMENSIONS:
            raise ParameterError(
                "these convolutions make too many features",
                got=2 * self.n_filters * self.grid**2,
                expected=f"at most {_MAX_DIMENSIONS}",
                fix="use fewer filters or a smaller grid",
            )

    def _check_size(self, X: object) -> Crops:
        return check_crops(X, minimum=self.size + self.step * (self.grid - 1))

    def fit(self, X: Crops, y: Any = None) -> Self:
        """Learn the whitening, and the filters where they are not random, from patches of the crops."""
        self.check_parameters()
        crops = self._check_size(X)
        rng = np.random.default_rng(self.random_state)
        patches = self._draw(crops, rng)
        mean = patches.mean(axis=0)
        centred = patches - mean
        values, vectors = np.linalg.eigh((centred.T @ centred / max(1, len(patches))).astype(np.float64))
        whiten = (vectors / np.sqrt(np.maximum(values, 0) + self.whitening)) @ vectors.T
        filters = self._make_filters((centred @ whiten).astype(np.float32), rng)
        filters /= np.maximum(np.linalg.norm(filters, axis=1, keepdims=True), 1e-12)
        combined = whiten @ filters.T
        combined -= combined.mean(axis=0)  # so that the mean of a patch need not be subtracted from each patch
        self.filters_ = np.ascontiguousarray(combined, dtype=np.float32)
        self.offset_ = (mean @ combined).astype(np.float32)
        return self

    def _draw(self, crops: Crops, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """(S, size * size) patches of mean 0 and variance 1 from random places of random crops."""
        n = min(self.sample, len(crops) * (crops.shape[1] - self.size + 1) * (crops.shape[2] - self.size + 1))
        which = rng.integers(0, len(crops), n) if len(crops) else np.zeros(0, np.intp)
        top, left = (rng.integers(0, side - self.size + 1, n) for side in crops.shape[1:])
        along = np.arange(self.size)
        taken = crops[which[:, None, None], (top[:, None] + along)[:, :, None], (left[:, None] + along)[:, None, :]]
        patches = np.asarray(taken.reshape(n, -1), np.float64)
        patches -= patches.mean(axis=1, keepdims=True)
        patches /= np.sqrt(patches.var(axis=1, keepdims=True) + _CONTRAST)
        return patches

    def _make_filters(self, whitened: Matrix, rng: np.random.Generator) -> Matrix:
        """(K, size * size) directions among whitened patches."""
        if self.filters == "random":
            return rng.normal(size=(self.n_filters, self.size**2)).astype(np.float32)
        whitened = whitened[np.linalg.norm(whitened, axis=1) > 1e-3]  # a flat patch points nowhere
        if len(whitened) < self.n_filters:
            raise ParameterError(
                "too few crops for so many filters",
                got=f"{len(whitened)} patches for {self.n_filters} filters",
                fix="fit to more crops, or use fewer filters",
            )
        if self.filters == "patches":
            return whitened[rng.choice(len(whitened), self.n_filters, replace=False)]
        from sklearn.cluster import MiniBatchKMeans

        directions = whitened / np.linalg.norm(whitened, axis=1, keepdims=True)
        means = MiniBatchKMeans(
            self.n_filters, init="random", n_init=1, max_iter=20, batch_size=4096, random_state=self.random_state
        )
        return np.asarray(means.fit(directions).cluster_centers_, dtype=np.float32)

    def transform(self, X: Crops) -> Matrix:
        """(N, 2 * n_filters * grid * grid) float32: cell by cell, in each what exceeds and then what falls below."""
        require_fitted(self, "filters_")
        self.check_parameters()
        crops = self._check_size(X)
        rows, columns = ((side - self.size) // self.step + 1 for side in crops.shape[1:])
        down, across = _starts(rows, self.grid), _starts(columns, self.grid)
        # The response to the mean patch is taken off after pooling: a limit moves instead of every response.
        above, below = self.offset_ + np.float32(self.threshold), self.offset_ - np.float32(self.threshold)
        out = np.empty((len(crops), self.grid, self.grid, 2, self.n_filters), np.float32)
        for start in range(0, len(crops), _CHUNK):
            for crop, to in zip(self._patches(crops[start : start + _CHUNK]), out[start:], strict=False):
                response = (crop.reshape(-1, self.size**2) @ self.filters_).reshape(rows, columns, -1)
                for i, j in np.ndindex(self.grid, self.grid):
                    # What is read, written and added again, 168 KB by default, stays in a core's cache.
                    cell = response[down[i] : down[i + 1], across[j] : across[j + 1]]
                    beyond = np.maximum(cell, above)
                    np.add.reduce(beyond.reshape(-1, self.n_filters), axis=0, out=to[i, j, 0])
                    np.minimum(cell, below, out=beyond)
                    np.add.reduce(beyond.reshape(-1, self.n_filters), axis=0, out=to[i, j, 1])
                    to[i, j] /= np.float32(len(beyond) * beyond.shape[1])
        out[:, :, :, 0] -= above
        np.subtract(below, out[:, :, :, 1], out=out[:, :, :, 1])
        return out.reshape(len(crops), self.grid**2 * 2 * self.n_filters)

    def _patches(self, crops: Crops) -> npt.NDArray[np.float32]:
        """(N, rows, columns, size * size) patches of variance 1; the filters take off their means."""
        windows = np.lib.stride_tricks.sliding_window_view(crops, (self.size, self.size), axis=(1, 2))
        windows = windows[:, :: self.step, :: self.step]
        patches = windows.reshape(*windows.shape[:3], self.size**2).astype(np.float32)
        gray, n = crops.astype(np.int64), self.size**2
        total, square = (_window_sums(values, self.size, self.step) for values in (gray, gray * gray))
        patches /= np.sqrt((square - total * total / n) / n + _CONTRAST).astype(np.float32)[..., None]
        return np.asarray(patches)


def _starts(length: int, grid: int) -> list[int]:
    """Where each of the cells begins, and the last one ends: position ``p`` belongs to cell ``p * grid // length``."""
    return [-(-cell * length // grid) for cell in range(grid + 1)]


def _window_sums(values: npt.NDArray[np.int64], size: int, step: int) -> npt.NDArray[np.int64]:
    """(N, rows, columns) sums over square windows of (N, h, w) values, from the table of sums from the top left."""
    sums = np.pad(values.cumsum(axis=1).cumsum(axis=2), ((0, 0), (1, 0), (1, 0)))
    bands = sums[:, size::step] - sums[:, :-size:step]
    return np.asarray(bands[:, :, size::step] - bands[:, :, :-size:step])
