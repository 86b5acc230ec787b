"""Folds for cross-validation in which nobody is on both sides."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from ferbench.checks import is_integer
from ferbench.errors import ParameterError
from ferbench.samples import Samples

__all__ = ["subject_folds"]

Index = npt.NDArray[np.int64]


def subject_folds(samples: Samples, n_folds: int, seed: int = 0) -> list[tuple[Index, Index]]:
    """Split samples into folds by subject, with the classes balanced as far as the subjects allow.

    Adjacent frames of one person are all but copies of each other: random folds measure memory, not recognition.
    Samples without known subjects are each their own.

    Parameters
    ----------
    samples : Samples
    n_folds : int
        At least 2, at most the number of subjects.
    seed : int
        The same seed gives the same folds.

    Returns
    -------
    list of (train, test)
        Index arrays (K,) int64 into ``samples``, ascending. Every sample is in exactly one test set, and none is empty.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    groups = np.unique(samples.groups)
    if not is_integer(n_folds) or not 2 <= n_folds <= len(groups):
        raise ParameterError(
            f"cannot make {n_folds!r} folds of {samples.dataset}", expected=f"2 to {len(groups)}, its subjects"
        )
    labels, counts = np.unique(samples.labels, return_counts=True)
    if counts.max() < n_folds:  # scikit-learn asks for one class that is in every fold
        raise ParameterError(
            f"cannot make {n_folds} folds of {samples.dataset}",
            got=f"{counts.max()} faces of {labels[counts.argmax()]}, its largest class",
            expected=f"{n_folds} or more",
            fix="take fewer folds or more faces",
        )
    subjects = samples.subjects
    splitter = (StratifiedKFold if subjects is None else StratifiedGroupKFold)(
        n_splits=n_folds, shuffle=True, random_state=seed
    )
    with warnings.catch_warnings():
        # A class rarer than the number of folds cannot be in each of them; that is a fact of the data, not a fault.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        folds = [
            (np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64))
            for train, test in splitter.split(np.zeros(len(samples)), samples.labels, subjects)
        ]
    if any(len(train) == 0 or len(test) == 0 for train, test in folds):
        raise ParameterError(
            f"{n_folds} folds of {samples.dataset} leave one empty", got=f"{len(groups)} subjects", fix="take fewer"
        )
    return folds
