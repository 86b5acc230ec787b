"""Kernel support vector machines: Gaussian, χ² and histogram intersection.

References
----------
.. [1] J. Zhang, M. Marszałek, S. Lazebnik, C. Schmid: Local features and kernels for classification of texture and
   object categories. International Journal of Computer Vision 73(2), 2007.
.. [2] S. Maji, A. Berg, J. Malik: Classification using intersection kernel support vector machines is efficient.
   CVPR 2008.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.checks import check_positive
from ferbench.classifiers.kernel_machine import Approximation, KernelSVM
from ferbench.classifiers.kernels import additive_map, chi2_distance, gaussian, intersection
from ferbench.errors import DataError, ParameterError

__all__ = ["RBFSVM", "Chi2SVM", "IntersectionSVM"]

Matrix = npt.NDArray[np.float32]

_SCALE_ROWS = 500
"""Training rows among which the mean χ² distance is taken: 125,000 pairs."""


class _GammaSVM(KernelSVM):
    """A kernel with a width."""

    def __init__(
        self,
        C: float | None = None,
        gamma: float | str = "scale",
        balanced: bool = False,
        approximation: Approximation = None,
        n_components: int = 1000,
        memory_mb: int = 4000,
        cache_mb: int = 500,
        random_state: int = 0,
    ) -> None:
        super().__init__(C, balanced, approximation, n_components, memory_mb, cache_mb, random_state)
        self.gamma = gamma

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        super().check_parameters()
        if self.gamma != "scale":
            check_positive("gamma", self.gamma)

    def _learn_scale(self, rows: Matrix) -> None:
        self.gamma_ = self._usual_gamma(rows) if self.gamma == "scale" else float(self.gamma)

    def _usual_gamma(self, rows: Matrix) -> float:
        """The width that ``gamma="scale"`` stands for."""
        raise NotImplementedError


class RBFSVM(_GammaSVM):
    """Support vector machine with a Gaussian kernel, with temperature-scaled probabilities.

    How it is fitted, and what memory that takes, is that of :class:`KernelSVM`, which has the other parameters.

    Parameters
    ----------
    C : float or None
        Inverse strength of regularisation: larger fits the training faces more closely. None: 10.
    gamma : float or "scale"
        Of the kernel ``exp(-gamma |a - b|²)``: larger makes a row's influence end sooner. ``scale``: 1 / (D × variance
        of the features).
    approximation : None or "nystroem"
        None: exact; N training rows of D features need N² D / 2 steps for kernel values, and a face one comparison
        with each of S support vectors. ``nystroem``: a linear machine on the kernel values with ``n_components``
        training rows, which is all that N and a face are compared with.

    Attributes
    ----------
    center_ : (D,) float32
        Mean training row, which is subtracted from all rows: no distance changes.
    support_vectors_ : (S, D) float32
        Support vectors, or landmarks, less the mean.
    coef_ : (S, P) float32
        Weight of each in each of the P = C (C - 1) / 2 pairs; (S, C) of an approximation.
    """

    def _learn_scale(self, rows: Matrix) -> None:
        super()._learn_scale(rows)
        # Distances are differences of squared lengths: far from the origin float32 would have no digits left for them.
        self.center_ = rows.mean(axis=0, dtype=np.float64).astype(np.float32)

    def _prepared(self, rows: Matrix) -> Matrix:
        return np.asarray(rows - getattr(self, "center_", np.float32(0)))  # what older versions saved has none

    def _usual_gamma(self, rows: Matrix) -> float:
        return 1.0 / (int(rows.shape[1]) * (float(rows.var()) or 1.0))

    def _norms(self, rows: Matrix) -> Matrix:
        return np.asarray(np.einsum("ij,ij->i", rows, rows))

    def _kernel(self, rows: Matrix, others: Matrix, norms: Matrix) -> Matrix:
        return gaussian(rows, others, norms, self.gamma_)


class _HistogramSVM(KernelSVM):
    """A kernel that compares histograms: features that are nowhere negative."""

    # Chosen on training faces of FER2013, see docs/classifiers.md.
    _additive_c = 0.1
    _approximations = (None, "nystroem", "additive")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _check_rows(self, rows: Matrix) -> None:
        if rows.size and rows.min() < 0:
            raise DataError(
                f"{type(self).__name__} compares histograms",
                got=f"a feature of {rows.min():.3g}",
                expected="features that are 0 or more, such as lbp's or hog's",
                fix="use rbf-svm for other features",
            )


class Chi2SVM(_HistogramSVM, _GammaSVM):
    """Support vector machine with the exponential χ² kernel, with temperature-scaled probabilities.

    The kernel is ``exp(-gamma Σ (a - b)² / (a + b))`` [1]_. How it is fitted, and what memory that takes, is that of
    :class:`KernelSVM`, which has the other parameters.

    Parameters
    ----------
    C : float or None
        Inverse strength of regularisation: larger fits the training faces more closely. None: 10 for the exact kernel
        and ``nystroem``, 0.1 for ``additive``, which has more features.
    gamma : float or "scale"
        Of the kernel ``exp(-gamma χ²)``: larger makes a row's influence end sooner. ``scale``: 1 / mean χ² distance of
        training rows [1]_. Not with ``additive``.
    approximation : None, "nystroem" or "additive"
        None: exact; N training rows of D features need N² D / 2 steps for kernel values, and a face one comparison
        with each of S support vectors. ``nystroem``: a linear machine on the kernel values with ``n_components``
        training rows, which is all that N and a face are compared with. ``additive``: a linear machine on three
        features for each, whose kernel is ``Σ 2 a b / (a + b)``, not its exponential: 12 N D bytes to fit, 3 D
        products for each class of a face.
    """

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        super().check_parameters()
        if self.approximation == "additive" and self.gamma != "scale":
            raise ParameterError(
                "the additive χ² kernel has no gamma", got=repr(self.gamma), fix="leave gamma out, or use nystroem"
            )

    def _learn_scale(self, rows: Matrix) -> None:
        if self.approximation == "additive":
            self.scale_ = _mean_length(rows)
        else:
            super()._learn_scale(rows)

    def _usual_gamma(self, rows: Matrix) -> float:
        chosen = np.random.default_rng(self.random_state).permutation(len(rows))[:_SCALE_ROWS]
        some = rows[np.sort(chosen)]
        total = float(chi2_distance(some, some, self._norms(some)).sum())
        return len(some) * (len(some) - 1) / total if total > 0 else 1.0

    def _norms(self, rows: Matrix) -> Matrix:
        return np.asarray(rows.sum(axis=1))

    def _kernel(self, rows: Matrix, others: Matrix, norms: Matrix) -> Matrix:
        values = chi2_distance(rows, others, norms)
        values *= np.float32(-self.gamma_)
        return np.asarray(np.exp(values, out=values))

    def _map(self, rows: Matrix) -> Matrix:
        return additive_map(rows / np.float32(self.scale_), "chi2")


class IntersectionSVM(_HistogramSVM):
    """Support vector machine with the histogram intersection kernel, with temperature-scaled probabilities.

    The kernel is ``Σ min(a, b)`` [2]_, divided by the mean sum of a training row: ``C`` does not depend on how features
    are scaled. How it is fitted, and what memory that takes, is that of :class:`KernelSVM`, which has the other
    parameters.

    Parameters
    ----------
    C : float or None
        Inverse strength of regularisation: larger fits the training faces more closely. None: 10 for the exact kernel
        and ``nystroem``, 0.3 for ``additive``, which has more features.
    approximation : None, "nystroem" or "additive"
        None: exact; N training rows of D features need N² D / 2 steps for kernel values, and a face one comparison
        with each of S support vectors. ``nystroem``: a linear machine on the kernel values with ``n_components``
        training rows, which is all that N and a face are compared with. ``additive``: a linear machine on three
        features for each, whose kernel is nearly this one: 12 N D bytes to fit, 3 D products for each class of a face.
    """

    _additive_c = 0.3

    def _learn_scale(self, rows: Matrix) -> None:
        self.scale_ = _mean_length(rows)

    def _norms(self, rows: Matrix) -> Matrix:
        return np.zeros(len(rows), np.float32)

    def _kernel(self, rows: Matrix, others: Matrix, norms: Matrix) -> Matrix:
        return np.asarray(intersection(rows, others) / np.float32(self.scale_))

    def _map(self, rows: Matrix) -> Matrix:
        return additive_map(rows / np.float32(self.scale_), "intersection")


def _mean_length(rows: Matrix) -> float:
    """Mean sum of a row: what a row's kernel value with itself is before it is scaled."""
    return float(rows.sum(axis=1, dtype=np.float64).mean()) or 1.0
