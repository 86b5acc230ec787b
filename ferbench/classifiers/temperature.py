"""One number that makes probabilities honest: scores are divided by it before the softmax, so that which label is the
most probable does not change (Guo, Pleiss, Sun and Weinberger 2017, *On calibration of modern neural networks*)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.errors import ParameterError

__all__ = ["best_temperature", "check_calibration_labels", "consistent_temperature", "hold_out"]


def best_temperature(scores: npt.NDArray[np.floating[Any]], truth: npt.NDArray[np.intp]) -> float:
    """The temperature of least log loss on held-out rows, between 0.01 and 100.

    Parameters
    ----------
    scores : (N, C) float
        Decision scores or log probabilities.
    truth : (N,) int
        Columns of the true classes.
    """
    from scipy.optimize import minimize_scalar

    def log_loss(log_temperature: float) -> float:
        scaled = scores.astype(np.float64) / np.exp(log_temperature)
        top = scaled.max(axis=1)
        normaliser = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float((normaliser - scaled[np.arange(len(truth)), truth]).mean())

    best = minimize_scalar(log_loss, bounds=(np.log(0.01), np.log(100)), method="bounded")
    return float(np.exp(best.x))


def consistent_temperature(scores: npt.NDArray[np.floating[Any]], truth: npt.NDArray[np.intp]) -> float:
    """The temperature at which the mean probability of what is predicted is the accuracy, between 0.01 and 100.

    Clarté, Loureiro, Krzakala and Zdeborová 2023, *Expectation consistency for calibration of neural networks*. Where
    labels are noisy, the temperature of least log loss leaves a network too sure of its answers.

    Parameters
    ----------
    scores : (N, C) float
        Decision scores or log probabilities of held-out rows.
    truth : (N,) int
        Columns of the true classes.
    """
    from scipy.optimize import brentq
    from scipy.special import softmax

    accuracy = float((scores.argmax(axis=1) == truth).mean())

    def excess(log_temperature: float) -> float:
        p = softmax(scores.astype(np.float64) / np.exp(log_temperature), axis=1)
        return float(p.max(axis=1).mean()) - accuracy

    coldest, hottest = np.log(0.01), np.log(100)
    if excess(coldest) <= 0 or excess(hottest) >= 0:
        # All right, or no better than chance: no temperature makes the two equal, and one end is nearest.
        return 0.01 if excess(coldest) <= 0 else 100.0
    return float(np.exp(brentq(excess, coldest, hottest)))


def hold_out(
    labels: npt.NDArray[Any], seed: int, held_out: float = 0.1, share: float = 0.9
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows for a first fit and rows held out to find its temperature, each with every class.

    Parameters
    ----------
    labels : (N,)
    seed : int
    held_out, share : float
        Shares of each class that are held out, and that are fitted to.

    Returns
    -------
    fitted, held_out : (n,) int
        Ascending positions; both empty where there are fewer than ten rows, or a class of fewer than two.
    """
    rng = np.random.default_rng(seed)
    part, out = [], []
    for name in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == name))
        if len(labels) < 10 or len(mine) < 2:
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        n_out = max(1, round(held_out * len(mine)))
        out.append(mine[:n_out])
        part.append(mine[n_out : n_out + max(1, round(share * len(mine)))])
    return np.sort(np.concatenate(part)), np.sort(np.concatenate(out))


def check_calibration_labels(labels: npt.ArrayLike, learnt: npt.ArrayLike) -> None:
    """Refuse faces for calibration that show what a classifier does not learn.

    Parameters
    ----------
    labels : (N,) str
        Of the faces for calibration.
    learnt : (M,) str
        Of the faces that are learnt from, or the classes alone.
    """
    if unknown := sorted(set(np.unique(labels).tolist()) - set(np.unique(learnt).tolist())):
        raise ParameterError("faces for calibration have labels that are not learnt", got=", ".join(unknown))
