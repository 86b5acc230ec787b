"""A linear support vector machine for each face, learnt from the training faces nearest to it.

References
----------
.. [1] L. Bottou, V. Vapnik: Local learning algorithms. Neural Computation 4(6), 1992.
.. [2] R. T. Ionescu, M. Popescu, C. Grozea: Local learning to improve bag of visual words model for facial expression
   recognition. ICML workshop on challenges in representation learning, 2013.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.checks import check_integer, check_positive
from ferbench.classifiers.svm import Scores, TemperatureScaled

__all__ = ["LocalSVM"]

Matrix = npt.NDArray[np.float32]

_BATCH = 16
"""Faces whose neighbourhoods exist at once: 16 times 200 rows of 2,000 features are 26 MB."""


class LocalSVM(TemperatureScaled):
    """Local learning [1]_ [2]_: the nearest training rows of each face train a linear machine for it alone.

    One machine for each class against the rest, with the squared hinge, on neighbours moved to zero mean and scaled to
    unit mean squared length, so that ``C`` means the same everywhere. A class that no neighbour has scores like one
    that all of them speak against; a neighbourhood of one class gives that class the highest score. The scores become
    probabilities by one temperature, as those of the other machines.

    Nothing is learnt but the temperature, and every prediction pays for it: N D products to find k neighbours among N
    rows of D features, k² D / 2 for their inner products and ``n_iter`` k² C to solve for C classes. That is many
    times a linear machine's D C; all rows are kept in memory and in the saved file.

    Parameters
    ----------
    n_neighbors : int
        Rows that train each machine (Euclidean distance); all rows where there are fewer.
    C : float
        Inverse strength of regularisation.
    n_iter : int
        Steps of the solver, an accelerated projected gradient in the dual, for all classes and 16 faces at once.
    random_state : int
        Seed of the rows held out.

    Attributes
    ----------
    rows_ : (N, D) float32
        The training rows.
    index_ : (N,) int
        Their classes' places in ``classes_``.
    """

    def __init__(self, n_neighbors: int = 200, C: float = 1.0, n_iter: int = 100, random_state: int = 0) -> None:
        self.n_neighbors = n_neighbors
        self.C = C
        self.n_iter = n_iter
        self.random_state = random_state

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        check_positive("C", self.C)
        check_integer("n_neighbors", self.n_neighbors, 2)
        check_integer("n_iter", self.n_iter, 1)

    def _fit_scores(self, rows: Matrix, labels: npt.NDArray[Any]) -> None:
        self.rows_, self.index_ = rows, np.searchsorted(self.classes_, labels)
        self.squared_length_ = np.einsum("ij,ij->i", rows, rows)
        self.n_features_in_ = rows.shape[1]

    def _scores(self, rows: Matrix) -> Scores:
        out = [np.zeros((0, len(self.classes_)), np.float32)]
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            near = self._nearest(part)
            gram, own = _local_kernel(self.rows_[near], part)
            sign = np.where(self.index_[near][..., None] == np.arange(len(self.classes_)), 1, -1).astype(np.float32)
            weight = _solve(gram, sign, float(self.C), self.n_iter)
            out.append(np.einsum("bk,bkc->bc", own, weight))
        return np.concatenate(out)

    def _nearest(self, rows: Matrix) -> npt.NDArray[np.intp]:
        """(B, k) positions of the nearest training rows, ascending."""
        k = min(self.n_neighbors, len(self.rows_))
        distance = self.squared_length_ - 2 * (rows @ self.rows_.T)
        return np.sort(np.argpartition(distance, k - 1, axis=1)[:, :k], axis=1)


def _local_kernel(neighbours: Matrix, rows: Matrix) -> tuple[Matrix, Matrix]:
    """Inner products (B, k, k) of neighbours (B, k, D) among themselves, and (B, k) with their row; 1 is the bias."""
    mean = neighbours.mean(axis=1, keepdims=True)
    centred = neighbours - mean
    length = np.einsum("bkd,bkd->b", centred, centred) / centred.shape[1]
    scale = np.where(length > 0, 1 / np.maximum(length, np.finfo(np.float32).tiny), 0).astype(np.float32)
    gram = centred @ centred.transpose(0, 2, 1)
    own = (centred @ (rows[:, None] - mean).transpose(0, 2, 1))[..., 0]
    return gram * scale[:, None, None] + 1, own * scale[:, None] + 1


def _solve(gram: Matrix, sign: Matrix, C: float, n_iter: int) -> Matrix:
    """(B, k, C) signed weights of the machines with the squared hinge: minimise ``a'(Q + I / 2C)a / 2 - Σ a``, a ≥ 0.

    Nesterov's accelerated gradient with the momentum of a problem whose curvature lies between 1 / 2C and L. L is
    bounded by the Frobenius norm, which the largest eigenvalue does not exceed.
    """
    ridge = np.float32(1 / (2 * C))
    largest = (np.sqrt(np.einsum("bij,bij->b", gram, gram)) + ridge)[:, None, None]
    momentum = (np.sqrt(largest) - np.sqrt(ridge)) / (np.sqrt(largest) + np.sqrt(ridge))
    weight = ahead = np.zeros_like(sign)
    for _ in range(n_iter):
        gradient = sign * (gram @ (sign * ahead)) + ridge * ahead - 1
        new = np.maximum(ahead - gradient / largest, 0)
        ahead = new + momentum * (new - weight)
        weight = new
    return np.asarray(sign * weight)
