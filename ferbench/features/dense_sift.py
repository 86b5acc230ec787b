"""Bags of visual words: dense SIFT descriptors, a learnt vocabulary, and a spatial pyramid."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from ferbench.checks import check_choice, check_flag, check_integer, check_number, check_numbers
from ferbench.errors import ParameterError, ShapeError
from ferbench.features.base import Crops, Matrix, check_crops, require_fitted
from ferbench.features.encoding import (
    accumulate,
    cell_indices,
    count_words,
    gaussian_shares,
    mixture_shares,
    nearest_words,
    one_hot,
)
from ferbench.features.sift import DIMENSIONS, grid_centres, orientation_planes, sift_of_planes

__all__ = ["ENCODINGS", "DenseSIFT"]

ENCODINGS = ("histogram", "soft", "presence", "vlad", "fisher")
_CHUNK = 16
"""Crops described at once: their orientation planes, 1.2 MB, stay in the cache."""
_MAX_DIMENSIONS = 200_000
_SOFTNESS = 0.05
"""Variance of a soft share in units of the mean squared distance to the nearest word."""


class DenseSIFT(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """A bag of visual words over dense SIFT [1]_, as in the best handcrafted entry of FER2013's contest [2]_.

    Upright SIFT descriptors on a grid, at one or more patch sizes, are reduced by PCA and compared with a vocabulary
    learnt from a sample of the training crops' descriptors. What the crop's descriptors say about each word is summed
    over the cells of a pyramid; square roots are taken, and each cell has unit length.

    Parameters
    ----------
    sizes : float or sequence of float
        Sides of the patches in pixels; one vocabulary serves all.
    step : int
        Pixels between neighbouring patches.
    blur : float
        Standard deviation of the smoothing before gradients are taken, in pixels.
    root : bool
        RootSIFT instead of SIFT.
    components : int or None
        Principal components kept of the 128 values of a descriptor; None: all values, as they are.
    words : int
        Words of the vocabulary (for ``fisher``: Gaussians of the mixture).
    encoding : {"histogram", "soft", "presence", "vlad", "fisher"}
        ``histogram``: how many descriptors are nearest to each word; ``soft``: descriptors shared between words by
        their distance; ``presence``: whether a word occurs at all. These have ``words`` values a cell. ``vlad``: sums
        of differences from the nearest word (``words * components`` values). ``fisher``: Fisher vector (twice that).
    levels : int or sequence of int
        The pyramid: cells along each side of each division of the crop; (1, 2, 3) makes 14 cells.
    sample : int
        Training descriptors that the vocabulary is learnt from, drawn at random; no others are kept in memory.
    random_state : int
        Seed of the draw and of the vocabulary.

    Attributes
    ----------
    projection_, offset_ : (128, D) and (D,) float32
        Principal components as columns, and what the mean projects to.
    words_ : (K, D) float32
        Words, or the mixture's means.
    variances_, weights_ : (K, D) and (K,) float32
        Of the mixture, with ``fisher``.
    spread_ : float
        Mean squared distance between a sampled descriptor and its nearest word; not with ``fisher``.

    References
    ----------
    .. [1] S. Lazebnik, C. Schmid, J. Ponce: Beyond bags of features: spatial pyramid matching. CVPR 2006.
    .. [2] R. Ionescu, M. Popescu, C. Grozea: Local learning to improve bag of visual words model for facial expression
           recognition. ICML workshop on representation learning, 2013.
    """

    is_stateless = False

    def __init__(
        self,
        sizes: float | Sequence[float] = (12, 16, 24),
        step: int = 3,
        blur: float = 0.6,
        root: bool = True,
        components: int | None = 64,
        words: int = 500,
        encoding: str = "histogram",
        levels: int | Sequence[int] = (1, 2, 3),
        sample: int = 200_000,
        random_state: int = 0,
    ) -> None:
        self.sizes = sizes
        self.step = step
        self.blur = blur
        self.root = root
        self.components = components
        self.words = words
        self.encoding = encoding
        self.levels = levels
        self.sample = sample
        self.random_state = random_state

    def _sizes_and_levels(self) -> tuple[tuple[float, ...], tuple[int, ...]]:
        sizes = check_numbers("sizes", self.sizes, 4, 512)
        check_integer("step", self.step, 1)
        check_number("blur", self.blur, 0, 10)
        check_flag("root", self.root)
        values = DIMENSIONS
        if self.components is not None:
            values = check_integer("components", self.components, 1, DIMENSIONS)
        check_integer("words", self.words, 2)
        check_choice("encoding", self.encoding, ENCODINGS)
        given = self.levels if isinstance(self.levels, Sequence) and len(self.levels) else (self.levels,)
        levels = tuple(check_integer("levels", level, 1, 16) for level in given)
        check_integer("sample", self.sample, self.words)
        per_word = {"vlad": values, "fisher": 2 * values}.get(self.encoding, 1)
        dimensions = sum(level**2 for level in levels) * self.words * per_word
        if dimensions > _MAX_DIMENSIONS:
            raise ParameterError(
                f"dense-sift with encoding={self.encoding} makes too many features",
                got=dimensions,
                expected=f"at most {_MAX_DIMENSIONS}",
                fix="use fewer words, levels or components",
            )
        return sizes, levels

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        self._sizes_and_levels()

    def fit(self, X: Crops, y: Any = None) -> Self:
        """Learn principal components and vocabulary from descriptors of the crops."""
        sizes, _ = self._sizes_and_levels()
        drawn = self._draw(check_crops(X), sizes)
        if len(drawn) < max(self.words, self.components or 0):
            raise ParameterError(
                "too few crops for this vocabulary",
                got=f"{len(drawn)} descriptors for {self.words} words",
                fix="fit to more crops, or use fewer words and components",
            )
        self._fit_projection(drawn)
        rows = self._project(drawn)
        if self.encoding == "fisher":
            self._fit_mixture(rows)
        else:
            self._fit_words(rows)
        return self

    def _draw(self, crops: Crops, sizes: tuple[float, ...]) -> Matrix:
        """(S, 128) descriptors of some of the crops, a quarter of each at most, where the crops suffice for that."""
        rng = np.random.default_rng(self.random_state)
        per_crop = sum(len(part) for part in self._positions(crops.shape[1:], sizes))
        n = min(len(crops), -(-self.sample // max(1, per_crop // 4)))
        each = min(per_crop, -(-self.sample // max(1, n)))
        chosen = crops[np.sort(rng.choice(len(crops), n, replace=False))]
        parts = []
        for start in range(0, n, _CHUNK):
            described = self._describe(chosen[start : start + _CHUNK], sizes)
            at = rng.random(described.shape[:2]).argpartition(each - 1, axis=1)[:, :each]
            parts.append(np.take_along_axis(described, at[:, :, None], axis=1).reshape(-1, DIMENSIONS))
        drawn = np.concatenate(parts) if parts else np.zeros((0, DIMENSIONS), np.float32)
        # Flat patches, all zeros, would draw words to themselves.
        drawn = drawn[drawn.any(axis=1)]
        return drawn[rng.permutation(len(drawn))[: self.sample]]

    def _positions(self, shape: tuple[int, ...], sizes: tuple[float, ...]) -> list[npt.NDArray[np.float64]]:
        """For each patch size, (P, 2) centres as row, column, in the order of the descriptors."""
        grids = [[grid_centres(side, size, self.step) for side in shape] for size in sizes]
        return [np.stack(np.meshgrid(*grid, indexing="ij"), axis=-1).reshape(-1, 2) for grid in grids]

    def _describe(self, crops: Crops, sizes: tuple[float, ...]) -> Matrix:
        """(N, P, 128) descriptors of all sizes."""
        planes = orientation_planes(crops, float(self.blur))
        parts = [sift_of_planes(planes, size, self.step, bool(self.root)) for size in sizes]
        return np.concatenate([part.reshape(len(crops), -1, DIMENSIONS) for part in parts], axis=1)

    def _fit_projection(self, drawn: Matrix) -> None:
        if self.components is None:
            self.projection_, self.offset_ = np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
            return
        mean = drawn.mean(axis=0, dtype=np.float64)
        centred = drawn - mean.astype(np.float32)
        _, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        components = vectors[:, ::-1][:, : self.components]
        self.projection_ = np.ascontiguousarray(components, dtype=np.float32)
        self.offset_ = (mean @ components).astype(np.float32)

    def _project(self, rows: Matrix) -> Matrix:
        return rows @ self.projection_ - self.offset_ if len(self.projection_) else rows

    def _fit_words(self, rows: Matrix) -> None:
        from sklearn.cluster import MiniBatchKMeans

        # The time of k-means++ grows with the square of the words; words that attract little are drawn anew instead.
        means = MiniBatchKMeans(
            self.words,
            init="random",
            n_init=1,
            max_iter=20,
            batch_size=max(1024, 2 * self.words),
            random_state=self.random_state,
        ).fit(rows)
        self.words_ = np.ascontiguousarray(means.cluster_centers_, dtype=np.float32)
        part = rows[:20_000]
        squared = ((part - self.words_[nearest_words(part, self.words_)]) ** 2).sum(axis=1)
        self.spread_ = max(float(squared.mean()), 1e-6)

    def _fit_mixture(self, rows: Matrix) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        mixture = GaussianMixture(
            self.words, covariance_type="diag", reg_covar=1e-4, max_iter=20, random_state=self.random_state
        )
        with warnings.catch_warnings():
            # A mixture after 20 steps is what is asked for, converged or not.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(rows)
        self.words_ = np.ascontiguousarray(mixture.means_, dtype=np.float32)
        self.variances_ = np.ascontiguousarray(mixture.covariances_, dtype=np.float32)
        self.weights_ = np.asarray(mixture.weights_, dtype=np.float32)

    def transform(self, X: Crops) -> Matrix:
        """(N, D) float32: level by level, in each its cells from the top left, in each the words."""
        require_fitted(self, "words_")
        sizes, levels = self._sizes_and_levels()
        crops = check_crops(X)
        centres = np.concatenate(self._positions(crops.shape[1:], sizes))
        _, height, width = crops.shape
        cells = [cell_indices(centres, height, width, level) for level in levels]
        if any(len(np.unique(cell)) < level**2 for cell, level in zip(cells, levels, strict=True)):
            raise ShapeError(
                "crops have pyramid cells without a patch",
                got=f"{crops.shape[2]}×{crops.shape[1]}",
                expected=f"patches in all {max(levels) ** 2} cells",
                fix="use a smaller step, smaller patches or fewer levels",
            )
        out = np.empty((len(crops), self._width(levels)), np.float32)
        for start in range(0, len(crops), _CHUNK):
            described = self._describe(crops[start : start + _CHUNK], sizes)
            out[start : start + _CHUNK] = self._encode(described, cells)
        return out

    def _width(self, levels: tuple[int, ...]) -> int:
        n_words, values = self.words_.shape
        per_word = {"vlad": values, "fisher": 2 * values}.get(self.encoding, 1)
        return int(sum(level**2 for level in levels) * n_words * per_word)

    def _encode(self, described: Matrix, cells: list[npt.NDArray[np.intp]]) -> Matrix:
        n, per_crop, _ = described.shape
        rows = self._project(described.reshape(-1, DIMENSIONS))
        if self.encoding in ("histogram", "presence"):
            words = nearest_words(rows, self.words_).reshape(n, per_crop)
            return count_words(words, cells, len(self.words_), presence=self.encoding == "presence")
        if self.encoding == "fisher":
            shares = mixture_shares(rows, self.words_, self.variances_, self.weights_)
        elif self.encoding == "vlad":
            shares = one_hot(rows, self.words_)
        else:
            shares = gaussian_shares(rows, self.words_, _SOFTNESS * self.spread_)
        shares, rows = shares.reshape(n, per_crop, -1), rows.reshape(n, per_crop, -1)
        if self.encoding == "soft":
            return accumulate(shares, rows, cells)
        if self.encoding == "vlad":
            return accumulate(shares, rows, cells, self.words_)
        return accumulate(shares, rows, cells, self.words_, self.variances_, self.weights_)
