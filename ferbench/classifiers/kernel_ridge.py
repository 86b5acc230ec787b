"""Kernel ridge regression on the classes, which with all of FER2013 is the strongest of the kernel machines here.

The least squares have one solution in closed form, by one Cholesky factor of all pairs of faces, in float32 and in
place: LAPACK takes a minute where a support vector machine's solver takes many, and nothing has to converge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.checks import check_flag, check_positive
from ferbench.classifiers.kernels import gaussian
from ferbench.classifiers.svm import Scores, TemperatureScaled
from ferbench.errors import DataError, ShapeError

__all__ = ["KernelRidge"]

Matrix = npt.NDArray[np.float32]

_BLOCK = 1024
"""Rows whose kernel values exist at once while fitting: beside 28,700 others they take 118 MB."""


class KernelRidge(TemperatureScaled):
    """Regression of each class's indicator on a Gaussian kernel [1]_, with temperature-scaled probabilities.

    Mirrored, a kernel value is the mean of those between either view of one face and either view of the other [2]_:
    what is learnt is then the same for a face and its mirror image, at the price of one factorisation, not of one
    with twice as many rows.

    The temperature comes from a model fitted to half of the rows: it costs a quarter of the fit, and errs towards
    caution.

    Parameters
    ----------
    alpha : float
        Ridge: added to the diagonal of the kernel matrix, whose values are up to 1.
    gamma : float
        The kernel is ``exp(-gamma |a - b|²)``.
    mirrored : bool
        The first half of each row describes a face, the second its mirror image, as the features ``mirrored`` do.
    memory_mb : int
        Refuse to fit more rows than this allows; 4 N² bytes are needed, 3.3 GB for FER2013's training split.
    random_state : int
        Seed of the rows held out.

    Attributes
    ----------
    views_ : (V, N, D) float32
        The training rows: each face, and where ``mirrored`` its mirror image.
    squared_length_ : (V, N) float32
        Of the rows of ``views_``.
    dual_ : (N, C) float32
        Weight of each training face in each class's score.
    intercept_ : (C,) float32
        Shares of the classes.

    References
    ----------
    .. [1] C. Saunders, A. Gammerman, V. Vovk: Ridge regression learning algorithm in dual variables. ICML 1998.
    .. [2] B. Haasdonk, H. Burkhardt: Invariant kernel functions for pattern analysis and machine learning.
       Machine Learning 68(1), 2007.
    """

    _calibration_share = 0.5

    def __init__(
        self,
        alpha: float = 0.1,
        gamma: float = 1.0,
        mirrored: bool = False,
        memory_mb: int = 4000,
        random_state: int = 0,
    ) -> None:
        self.alpha = alpha
        self.gamma = gamma
        self.mirrored = mirrored
        self.memory_mb = memory_mb
        self.random_state = random_state

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        for name in ("alpha", "gamma", "memory_mb"):
            check_positive(name, getattr(self, name))
        check_flag("mirrored", self.mirrored)

    def _fit_scores(self, rows: Matrix, labels: npt.NDArray[Any]) -> None:
        from scipy.linalg import LinAlgError, cho_factor, cho_solve

        n, self.n_features_in_ = rows.shape
        if (needed := 4 * n * n / 1e6) > self.memory_mb:
            raise DataError(
                f"the kernel matrix of {n:,} faces takes {needed:,.0f} MB",
                expected=f"at most memory_mb={self.memory_mb}",
                fix="learn from fewer faces, or allow more",
            )
        self.views_ = self._views_of(rows)
        self.squared_length_: Matrix = np.einsum("vij,vij->vi", self.views_, self.views_)
        indicator = (labels[:, None] == self.classes_).astype(np.float32)
        self.intercept_ = indicator.mean(axis=0)
        # The lower triangle by rows, which LAPACK sees as the upper one by columns: nothing is copied.
        matrix = np.empty((n, n), np.float32)
        for start in range(0, n, _BLOCK):
            stop = min(start + _BLOCK, n)
            matrix[start:stop, :stop] = self._kernel(self.views_[:, start:stop], stop)
        matrix[np.diag_indices(n)] += np.float32(self.alpha)
        try:
            factor = cho_factor(matrix.T, lower=False, overwrite_a=True, check_finite=False)
        except LinAlgError:
            raise DataError(
                "the kernel matrix is not positive in float32", got=f"alpha={self.alpha}", fix="choose a larger alpha"
            ) from None
        self.dual_ = np.ascontiguousarray(cho_solve(factor, indicator - self.intercept_, check_finite=False))

    def _scores(self, rows: Matrix) -> Scores:
        views, scores = self._views_of(rows), np.empty((len(rows), len(self.classes_)), np.float32)
        for start in range(0, len(rows), _BLOCK):
            block = views[:, start : start + _BLOCK]
            scores[start : start + _BLOCK] = self._kernel(block, len(self.dual_)) @ self.dual_
        return np.asarray(scores + self.intercept_, np.float32)

    def _views_of(self, rows: Matrix) -> Matrix:
        """(V, N, D) float32: each face, and where mirrored its mirror image."""
        if not self.mirrored:
            return rows[None]
        if rows.shape[1] % 2:
            raise ShapeError(
                "mirrored rows have two halves", got=f"{rows.shape[1]} features", fix="take the features mirrored(of=…)"
            )
        return np.ascontiguousarray(rows.reshape(len(rows), 2, -1).transpose(1, 0, 2))

    def _kernel(self, views: Matrix, n: int) -> Matrix:
        """(M, n): (V, M, D) faces against the first n of the training set, the mean over the views of both."""
        rows, total = np.concatenate(list(views)), np.zeros((views.shape[1], n), np.float32)
        for other, squared_length in zip(self.views_, self.squared_length_, strict=True):
            values = gaussian(rows, other[:n], squared_length[:n], self.gamma)
            for view in values.reshape(len(views), -1, n):
                total += view
        total /= len(views) ** 2
        return total
