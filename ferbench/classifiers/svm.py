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

from ferbench.checks import check_integer, check_positive
from ferbench.classifiers.temperature import best_temperature, hold_out
from ferbench.errors import DataError, NotFittedError, ShapeError

__all__ = [
    "LinearSVM",
    "TemperatureScaled",
    "check_rows",
    "check_training_set",
    "fit_linear",
    "softmax",
]

Scores = npt.NDArray[np.float32]


def softmax(scores: npt.NDArray[np.floating[Any]]) -> Scores:
    """Rows that sum to 1; the largest score is subtracted first, so that nothing overflows."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def check_rows(fitted: Any, X: Any) -> npt.NDArray[np.float32]:
    """Return features (N, D) float32 for a fitted classifier, or say what is wrong with them."""
    if not hasattr(fitted, "n_features_in_"):
        raise NotFittedError(f"{type(fitted).__name__} was used before it was fitted", fix="call fit first")
    rows = np.asarray(X, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != fitted.n_features_in_:
        raise ShapeError("features have the wrong shape", got=rows.shape, expected=f"(N, {fitted.n_features_in_})")
    return rows


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


class TemperatureScaled(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
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
        self.check_parameters()
        self.classes_ = np.unique(labels)
        part, held_out = hold_out(labels, self.random_state, self._held_out, self._calibration_share)
        self.temperature_ = 1.0
        if len(held_out):
            self._fit_scores(rows[part], labels[part])
            self.temperature_ = best_temperature(
                self.decision_function(rows[held_out]), np.searchsorted(self.classes_, labels[held_out])
            )
        self._fit_scores(rows, labels)
        return self

    def predict_proba(self, X: npt.NDArray[np.float32]) -> Scores:
        """(N, C) float32 probabilities in the order of ``classes_``."""
        return softmax(self.decision_function(X) / np.float32(self.temperature_))

    def predict(self, X: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """(N,) most probable labels."""
        return np.asarray(self.classes_[self.decision_function(X).argmax(axis=1)])

    def decision_function(self, X: npt.NDArray[np.float32]) -> Scores:
        """(N, C) float32 scores, one column a class even for two classes; higher is likelier."""
        return self._scores(check_rows(self, X))

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        raise NotImplementedError

    def _fit_scores(self, rows: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> None:
        raise NotImplementedError

    def _scores(self, rows: npt.NDArray[np.float32]) -> Scores:
        raise NotImplementedError


def fit_linear(
    rows: npt.NDArray[np.float32],
    index: npt.NDArray[np.intp],
    n_classes: int,
    *,
    C: float,
    balanced: bool,
    max_iter: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], int]:
    """Fit a linear support vector machine, one against the rest, with the squared hinge.

    Parameters
    ----------
    rows : (N, D) float32
    index : (N,) int
        Class of each row.
    n_classes : int
    C, balanced, max_iter
        As those of :class:`LinearSVM`.

    Returns
    -------
    coef : (D, C) float32
    intercept : (C,) float32
    n_iter : int
        Steps taken.
    """
    from scipy.optimize import minimize

    n, d = rows.shape
    sign = np.where(index[:, None] == np.arange(n_classes), 1, -1).astype(np.float32)
    weight = np.full((n, 1), C, np.float32)
    if balanced:
        weight *= (n / (n_classes * np.bincount(index)))[index, None].astype(np.float32)
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
        np.zeros((d + 1) * n_classes),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iter, "ftol": 1e-6, "gtol": 1e-4 * C},
    )
    w = found.x.reshape(d + 1, -1)
    intercept = (w[-1] - mean @ w[:-1]).astype(np.float32)
    return np.ascontiguousarray(w[:-1], dtype=np.float32), intercept, int(found.nit)


class LinearSVM(TemperatureScaled):
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

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        check_positive("C", self.C)
        check_integer("max_iter", self.max_iter, 1)

    def _fit_scores(self, rows: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> None:
        self.coef_, self.intercept_, self.n_iter_ = fit_linear(
            rows,
            np.searchsorted(self.classes_, labels),
            len(self.classes_),
            C=self.C,
            balanced=self.balanced,
            max_iter=self.max_iter,
        )
        self.n_features_in_ = rows.shape[1]

    def _scores(self, rows: npt.NDArray[np.float32]) -> Scores:
        return np.asarray(rows @ self.coef_ + self.intercept_)
