"""Honest probabilities for classifiers whose own are too sure or not sure enough.

Naive Bayes counts correlated features again and again, and is all but certain whatever it says; a forest's mean of
leaves shies away from 0 and 1 [1]_. One temperature, found on held-out rows, mends both, and changes no prediction. It
is that at which the mean confidence is the accuracy: where many shares are exactly 0, as those of trees and neighbours,
they would decide the temperature of least log loss.

References
----------
.. [1] A. Niculescu-Mizil, R. Caruana: Predicting good probabilities with supervised learning. ICML 2005.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from ferbench.classifiers.svm import Scores, check_rows, check_training_set, softmax
from ferbench.classifiers.temperature import consistent_temperature, hold_out
from ferbench.errors import ParameterError

__all__ = ["Calibrated"]


class Calibrated(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """A scikit-learn classifier whose probabilities pass through one temperature.

    A tenth of each class is held out from a first fit to find the temperature; the classifier that is kept is fitted
    to all rows. People who are on both sides make it too sure: labels are all that a classifier is told.

    Parameters
    ----------
    estimator : classifier
        Has ``predict_proba``.
    calibrate : bool
        Without, there is one fit, and its probabilities are passed on as they are.
    random_state : int
        Seed of the rows held out.

    Attributes
    ----------
    estimator_ : classifier
        Fitted.
    temperature_ : float
        What log probabilities are divided by. 1 without calibration, or where the training set is too small for it.
    floor_ : float
        Probability that stands in for a smaller one: 1 / N of N training rows, which cannot rule out more.
    """

    def __init__(self, estimator: Any, calibrate: bool = True, random_state: int = 0) -> None:
        self.estimator = estimator
        self.calibrate = calibrate
        self.random_state = random_state

    def fit(self, X: npt.NDArray[np.float32], y: npt.NDArray[np.str_]) -> Self:
        """Find the temperature, and fit to all rows.

        Raises
        ------
        DataError
            Values that are not finite, or a single class.
        ParameterError
            More neighbours are to be asked than there are.
        """
        rows, labels = check_training_set(X, y)
        if (asked := getattr(self.estimator, "n_neighbors", 1)) > len(rows):
            raise ParameterError("n_neighbors", got=asked, expected=f"at most {len(rows)}, the rows to learn from")
        self.classes_ = np.unique(labels)
        self.n_features_in_, self.floor_, self.temperature_ = rows.shape[1], 1 / len(rows), 1.0
        part, held_out = hold_out(labels, self.random_state)
        # Neighbours must be there to be asked.
        is_enough = len(held_out) > 0 and len(part) >= asked
        if self.calibrate and is_enough:
            self.estimator_ = clone(self.estimator).fit(rows[part], labels[part])
            truth = np.searchsorted(self.classes_, labels[held_out])
            self.temperature_ = consistent_temperature(self._log_probabilities(rows[held_out]), truth)
        self.estimator_ = clone(self.estimator).fit(rows, labels)
        return self

    def predict_proba(self, X: npt.NDArray[np.float32]) -> Scores:
        """(N, C) float32 probabilities in the order of ``classes_``."""
        rows = check_rows(self, X)
        if not self.calibrate:
            return np.asarray(self.estimator_.predict_proba(rows), dtype=np.float32)
        return softmax(self._log_probabilities(rows) / self.temperature_)

    def predict(self, X: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """(N,) most probable labels."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _log_probabilities(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """(N, C) up to a constant in each row."""
        if hasattr(self.estimator_, "predict_joint_log_proba"):  # naive Bayes: its probabilities round to 0 and 1
            return np.asarray(self.estimator_.predict_joint_log_proba(rows), dtype=np.float64)
        p = np.asarray(self.estimator_.predict_proba(rows), dtype=np.float64)
        return np.asarray(np.log(np.maximum(p, self.floor_)))
