"""One number that makes probabilities honest (Guo, Pleiss, Sun and Weinberger 2017, *On calibration of modern neural
networks*): scores are divided by it before the softmax, so that which label is the most probable does not change."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["best_temperature"]


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
