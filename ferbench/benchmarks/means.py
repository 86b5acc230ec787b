"""Figures that are made of means over faces, such as a ratio of two accuracies, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.evidence import Estimate
from ferbench.benchmarks.statistics import N_RESAMPLES, resample_weights

__all__ = ["estimate_of_means", "ratio"]

MOST_UNDEFINED = 0.01
"""Share of resamples in which a figure may be undefined and still have an interval: more would move its ends."""


def ratio(above: npt.NDArray[np.float64], below: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``above / below``, NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def estimate_of_means(
    table: npt.NDArray[np.float64],
    groups: npt.NDArray[np.str_],
    figures: Callable[[npt.NDArray[np.float64]], dict[str, npt.NDArray[np.float64]]],
    seed: int,
) -> dict[str, Estimate]:
    """Functions of column means, with 95 % percentile intervals over groups.

    Parameters
    ----------
    table : (N, K) float64
        One row per face.
    groups : (N,) str
        What is resampled: subjects, or faces.
    figures : callable
        ``(B, K) column means -> {name: (B,)}``; NaN where a figure is not defined.
    seed : int

    Returns
    -------
    dict of str to Estimate
        A single group has no interval, nor has a figure that is not defined, or not in 1 % of the resamples.
    """
    who = np.unique(groups, return_inverse=True)[1]
    n_groups = int(who.max()) + 1
    sums = np.zeros((n_groups, table.shape[1] + 1))
    np.add.at(sums, who, np.column_stack([np.ones(len(table)), table]))
    total = sums.sum(axis=0, keepdims=True)
    point = figures(total[:, 1:] / total[:, :1])
    if n_groups < 2:
        return {name: Estimate(value=float(value[0])) for name, value in point.items()}
    drawn = []
    for weights in resample_weights(n_groups, N_RESAMPLES, seed):
        totals = weights @ sums
        drawn.append(figures(totals[:, 1:] / totals[:, :1]))
    result = {}
    for name, value in point.items():
        values = np.concatenate([one[name] for one in drawn])
        low = high = None
        if not np.isnan(value[0]) and np.isnan(values).mean() <= MOST_UNDEFINED:
            low, high = (float(v) for v in np.nanpercentile(values, [2.5, 97.5]))
        result[name] = Estimate(value=float(value[0]), low=low, high=high)
    return result
