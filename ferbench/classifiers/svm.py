"""Support vector machines whose probabilities cost next to nothing.

scikit-learn's ways to a probability are dear: ``SVC(probability=True)`` fits six models and is deprecated since 1.9,
``CalibratedClassifierCV`` evaluates several per prediction. Here the decision scores of one model pass through a
softmax with one temperature [1]_, fitted on held-out rows; the most probable label is always the one with the highest
score. Prediction is a matrix product in float32, without the validation that costs scikit-learn 0.1 ms a call.

References
----------
.. [1] C. Guo, G. Pleiss, Y. Sun, K. Weinberger: On calibration of modern neural networks. ICML 2017.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin

from ferbench.classifiers.temperature import best_temperature
from ferbench.errors import DataError, NotFittedError, ParameterError, ShapeError

__all__ = ["RBFSVM", "LinearSVM", "check_training_set", "softmax"]

_CHUNK = 512
"""Rows whose kernel values exist at once: 512 rows against 25,000 support vectors are 51 MB."""

Scores = npt.NDArray[np.float32]


def softmax(scores: Scores) -> Scores:
    """Rows that sum to 1; the largest score is subtracted first, so that nothing overflows."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def check_training_set(X: Any, y: Any) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    """Return features (N, D) float32 and labels (N,), or say what is wrong with them."""
    rows, labels = np.ascontiguousarray(X, dtype=np.float32), np.asarray(y)
    if rows.ndim != 2 or labels.shape != rows.shape[:1]:
        raise ShapeError(
            "features and labels do not fit", got=f"{rows.shape} and {labels.shape}", expected="(N, D) and (N,)"
        )
    if not np.isfinite(rows).all():
        raise DataError(
            "features have values that are not finite", fix="look for the feature extractor that makes them"
        )
    if len(np.unique(labels)) < 2:
        raise DataError("too few classes to train on", got=len(np.unique(labels)), expected="at least 2")
    return rows, labels


class _TemperatureScaled(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """An SVM of which subclasses say how it is fitted and how it scores.

    Attributes
    ----------
    classes_ : (C,) str
    temperature_ : float
        What scores are divided by before the softmax. 1 where the training set is too small to hold rows out (fewer
        than ten, or a class of fewer than two).
    """

    _held_out = 0.1
    _calibration_share = 0.9
    random_state: int

    def fit(self, X: npt.NDArray[np.float32], y: npt.NDArray[np.str_]) -> Self:
        """Fit on a part of the rows, find the temperature on held-out rows, and fit on all rows.

        Raises
        ------
        DataError
            Values that are not finite, or a single class.
        """
        rows, labels = check_training_set(X, y)
        self._check_parameters()
        self.classes_ = np.unique(labels)
        part, held_out = self._divide(labels)
        self.temperature_ = 1.0
        if len(held_out):
            self._fit_scores(rows[part], labels[part])
            self.temperature_ = best_temperature(
                self.decision_function(rows[held_out]), np.searchsorted(self.classes_, labels[held_out])
            )
        self._fit_scores(rows, labels)
        return self

    def _divide(self, labels: npt.NDArray[Any]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Rows for the first fit and rows held out, each with every class; both empty where that cannot be."""
        rng = np.random.default_rng(self.random_state)
        part, held_out = [], []
        for name in self.classes_:
            mine = rng.permutation(np.flatnonzero(labels == name))
            if len(labels) < 10 or len(mine) < 2:
                return np.zeros(0, np.intp), np.zeros(0, np.intp)
            out = max(1, round(self._held_out * len(mine)))
            keep = max(1, round(self._calibration_share * len(mine)))
            held_out.append(mine[:out])
            part.append(mine[out : out + keep])
        return np.sort(np.concatenate(part)), np.sort(np.concatenate(held_out))

    def predict_proba(self, X: npt.NDArray[np.float32]) -> Scores:
        """(N, C) float32 probabilities in the order of ``classes_``."""
        return softmax(self.decision_function(X) / np.float32(self.temperature_))

    def predict(self, X: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """(N,) most probable labels."""
        return np.asarray(self.classes_[self.decision_function(X).argmax(axis=1)])

    def decision_function(self, X: npt.NDArray[np.float32]) -> Scores:
        """(N, C) float32 scores, one column a class even for two classes; higher is likelier."""
        if not hasattr(self, "n_features_in_"):
            raise NotFittedError(f"{type(self).__name__} was used before it was fitted", fix="call fit first")
        rows = np.asarray(X, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.n_features_in_:
            raise ShapeError("features have the wrong shape", got=rows.shape, expected=f"(N, {self.n_features_in_})")
        return self._scores(rows)

    def _check_parameters(self) -> None:
        raise NotImplementedError

    def _fit_scores(self, rows: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> None:
        raise NotImplementedError

    def _scores(self, rows: npt.NDArray[np.float32]) -> Scores:
        raise NotImplementedError


def _check_positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < np.inf:
        raise ParameterError(f"parameter {name}", got=repr(value), expected="a number above 0")


class LinearSVM(_TemperatureScaled):
    """Linear support vector machine, one against the rest, squared hinge, with temperature-scaled probabilities.

    Minimises what :class:`sklearn.svm.LinearSVC` minimises, but for the intercept, which is not penalised. All classes
    are fitted together, so that every step is two matrix products on the float32 rows as they are. LIBLINEAR's primal
    solver needs six times the processor time (8,000 rows of 2,891 LBP features), and copies the rows at 16 bytes a
    value: 1.3 GB for FER2013's training split.

    Parameters
    ----------
    C : float
        Inverse strength of regularisation.
    balanced : bool
        Weigh classes by the inverse of their frequency.
    max_iter : int
        Most steps of the solver (L-BFGS). Reaching them is no error: the weights are then less, not worse, trained.
    random_state : int
        Seed of the rows held out.

    Attributes
    ----------
    coef_ : (D, C) float32
    intercept_ : (C,) float32
    n_iter_ : int
        Steps taken.
    """

    def __init__(self, C: float = 0.01, balanced: bool = False, max_iter: int = 200, random_state: int = 0) -> None:
        self.C = C
        self.balanced = balanced
        self.max_iter = max_iter
        self.random_state = random_state

    def _check_parameters(self) -> None:
        _check_positive("C", self.C)
        _check_positive("max_iter", self.max_iter)

    def _fit_scores(self, rows: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> None:
        from scipy.optimize import minimize

        n, d = rows.shape
        index = np.searchsorted(self.classes_, labels)
        sign = np.where(index[:, None] == np.arange(len(self.classes_)), 1, -1).astype(np.float32)
        weight = np.full((n, 1), self.C, np.float32)
        if self.balanced:
            weight *= (n / (len(self.classes_) * np.bincount(index)))[index, None].astype(np.float32)
        # Centred features make the problem well conditioned; the mean ends up in the intercept, not in a copy.
        mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)

        def objective(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            w = flat.reshape(d + 1, -1).astype(np.float32)
            coef, intercept = w[:-1], w[-1]
            short = np.maximum(1 - sign * (rows @ coef + (intercept - mean @ coef)), 0)
            slope = -2 * weight * sign * short
            gradient = np.vstack([coef + rows.T @ slope - np.outer(mean, slope.sum(axis=0)), slope.sum(axis=0)])
            loss = 0.5 * np.vdot(flat[: coef.size], flat[: coef.size]) + np.sum(weight * short**2, dtype=np.float64)
            return float(loss), gradient.ravel().astype(np.float64)

        # The loss is exact to about 1e-7 of itself in float32; asking for more would make the line search fail.
        found = minimize(
            objective,
            np.zeros((d + 1) * len(self.classes_)),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self.max_iter, "ftol": 1e-6, "gtol": 1e-4 * self.C},
        )
        w = found.x.reshape(d + 1, -1)
        self.coef_ = np.ascontiguousarray(w[:-1], dtype=np.float32)
        self.intercept_ = (w[-1] - mean @ w[:-1]).astype(np.float32)
        self.n_iter_, self.n_features_in_ = int(found.nit), d

    def _scores(self, rows: npt.NDArray[np.float32]) -> Scores:
        return np.asarray(rows @ self.coef_ + self.intercept_)


class RBFSVM(_TemperatureScaled):
    """Support vector machine with a Gaussian kernel, one against one (LIBSVM), with temperature-scaled probabilities.

    A class's score is the sum of its margins against every other class, each clipped to [-1, 1]: beyond its margin a
    pair has no more to say, and a pair that knows neither class cannot outvote those that do.

    Kernel values of a pair are computed at once, as one matrix product: LIBSVM, which computes them one by one, needs
    many times as long. The largest pair of FER2013 (12,116 faces) takes 1.2 GB.

    The temperature comes from a model fitted to half of the rows, since fitting grows with their square: finding it
    costs a quarter of the fit, and errs towards caution.

    Parameters
    ----------
    C : float
        Inverse strength of regularisation.
    gamma : float or "scale"
        Width of the kernel ``exp(-gamma * |a - b|²)``; ``"scale"`` is 1 / (D * variance of the features).
    balanced : bool
        Weigh classes by the inverse of their frequency.
    cache_mb : int
        Memory for kernel values during the fit, in megabytes.
    random_state : int
        Seed of the rows held out.

    Attributes
    ----------
    support_vectors_ : (S, D) float32
    pair_coef_ : (S, P) float32
        Weight of each support vector in each of the P = C (C - 1) / 2 pairs.
    """

    _calibration_share = 0.5

    def __init__(
        self,
        C: float = 10.0,
        gamma: float | str = "scale",
        balanced: bool = False,
        cache_mb: int = 500,
        random_state: int = 0,
    ) -> None:
        self.C = C
        self.gamma = gamma
        self.balanced = balanced
        self.cache_mb = cache_mb
        self.random_state = random_state

    def _check_parameters(self) -> None:
        _check_positive("C", self.C)
        _check_positive("cache_mb", self.cache_mb)
        if self.gamma != "scale":
            _check_positive("gamma", self.gamma)

    def _fit_scores(self, rows: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> None:
        variance = float(rows.var())
        self.gamma_ = 1 / (rows.shape[1] * (variance or 1.0)) if self.gamma == "scale" else float(self.gamma)
        self.n_features_in_ = rows.shape[1]
        first, second = np.triu_indices(len(self.classes_), 1)
        coefficient = np.zeros((len(rows), len(first)), np.float32)
        intercept = np.zeros(len(first), np.float32)
        of_class = [np.flatnonzero(labels == name) for name in self.classes_]
        for pair, (i, j) in enumerate(zip(first, second, strict=True)):
            at = np.concatenate([of_class[i], of_class[j]])
            is_first = np.arange(len(at)) < len(of_class[i])
            weight = {k == 0: len(rows) / (len(of_class) * len(of_class[c])) for k, c in enumerate((i, j))}
            coefficient[at, pair], intercept[pair] = self._fit_pair(
                rows[at], is_first, weight if self.balanced else None
            )
        is_support = coefficient.any(axis=1)
        self.support_vectors_ = rows[is_support]
        self.squared_length_ = np.einsum("ij,ij->i", self.support_vectors_, self.support_vectors_)
        self.pair_coef_, self.pair_intercept_ = coefficient[is_support], intercept

    def _fit_pair(
        self, rows: npt.NDArray[np.float32], is_first: npt.NDArray[np.bool_], weight: dict[bool, float] | None
    ) -> tuple[npt.NDArray[np.float64], float]:
        """Weight of each row, and intercept, of the margin that is positive for the first class."""
        from sklearn.svm import SVC

        squared_length = np.einsum("ij,ij->i", rows, rows)
        kernel = np.empty((len(rows), len(rows)), np.float64)  # as LIBSVM reads it, without a copy
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            kernel[part] = _gaussian(rows[part], rows, squared_length, self.gamma_)
        model = SVC(C=self.C, kernel="precomputed", class_weight=weight, cache_size=self.cache_mb)
        model.fit(kernel, is_first)
        coefficient = np.zeros(len(rows))
        coefficient[model.support_] = model.dual_coef_[0]
        return coefficient, float(model.intercept_[0])

    def _scores(self, rows: npt.NDArray[np.float32]) -> Scores:
        n, c = len(rows), len(self.classes_)
        first, second = np.triu_indices(c, 1)
        to_class = np.zeros((len(first), c), np.float32)
        to_class[np.arange(len(first)), first], to_class[np.arange(len(first)), second] = 1, -1
        out = np.empty((n, c), np.float32)
        for start in range(0, n, _CHUNK):
            part = rows[start : start + _CHUNK]
            kernel = _gaussian(part, self.support_vectors_, self.squared_length_, self.gamma_)
            margin = kernel @ self.pair_coef_ + self.pair_intercept_
            out[start : start + _CHUNK] = np.clip(margin, -1, 1) @ to_class
        return out


def _gaussian(
    rows: npt.NDArray[np.float32],
    others: npt.NDArray[np.float32],
    squared_length: npt.NDArray[np.float32],
    gamma: float,
) -> npt.NDArray[np.float32]:
    """(N, M) kernel values; ``squared_length`` is that of the others."""
    values = rows @ others.T
    values *= -2
    values += squared_length
    values += np.einsum("ij,ij->i", rows, rows)[:, None]
    np.maximum(values, 0, out=values)  # rounding can make the distance of a row to itself negative
    values *= np.float32(-gamma)
    return np.asarray(np.exp(values, out=values))
