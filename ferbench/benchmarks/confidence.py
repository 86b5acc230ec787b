"""What confidence is worth: risk against coverage and its area, and reliability in bins of equal mass.

The risk-coverage curve [1]_ says how often a pipeline errs if it may abstain from the faces it is least sure of.

.. [1] Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017; the area (AURC) and
   its optimum: Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR
   2019.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.evidence import ConfidenceSummary, Estimate, ReliabilityBin
from ferbench.benchmarks.metrics import equal_mass_bins
from ferbench.benchmarks.statistics import resample_weights

__all__ = ["aurc", "risk_coverage", "summarise_confidence"]

Array = npt.NDArray[np.float64]

N_BINS = 10
"""Bins of the reliability diagram: fewer than the calibration error's 15, so that each interval says something."""

N_POINTS = 40
"""Points of the risk-coverage curve; it begins at a fortieth of the faces, since the risk of a few is noise."""

_N_RESAMPLES = 1000
_CACHED_VALUES = 1 << 15  # 256 KiB


def risk_coverage(confidence: Array, wrong: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Share of errors among the most confident faces, for every coverage at which the confidence changes.

    Faces of one confidence come together: which of them would be kept is not defined.

    Parameters
    ----------
    confidence : (N,) float64
        Probability of the predicted class.
    wrong : (N,) bool

    Returns
    -------
    coverage, risk : (M,) float64
        Coverage ascends to 1.
    """
    order, first = _order(confidence)
    sizes, errors = _levels(np.ones((1, len(wrong))), order, wrong[order].astype(np.float64), first)
    covered = sizes.cumsum(axis=1)
    return (covered / covered[:, -1:])[0], (errors.cumsum(axis=1) / covered)[0]


def aurc(confidence: Array, wrong: npt.NDArray[np.bool_], weights: Array | None = None) -> Array:
    """Area under the risk-coverage curve: the mean over n = 1..N of the risk of the n most confident faces.

    Faces of one confidence count in random order, exactly: the expectation over all their orders.

    Parameters
    ----------
    confidence : (N,) float64
    wrong : (N,) bool
    weights : (B, N) float64, optional
        How often each face counts in each of B resamples, a whole number; once where left out.

    Returns
    -------
    (B,) float64
        NaN for a resample without faces.
    """
    return _areas(confidence, wrong, np.ones((1, len(wrong))) if weights is None else weights, np.arange(len(wrong)))


def _areas(confidence: Array, wrong: npt.NDArray[np.bool_], drawn: Array, groups: npt.NDArray[np.int64]) -> Array:
    """As :func:`aurc`, of (B, G) weights of groups of faces."""
    order, first = _order(confidence)
    members, is_wrong = groups[order], wrong[order].astype(np.float64)
    harmonic = np.zeros(1)
    areas = [np.zeros(0)]
    # As many resamples at once as the processor's cache holds: there are a dozen passes over them.
    size = max(1, _CACHED_VALUES // len(confidence))
    for start in range(0, len(drawn), size):
        sizes, errors = _levels(drawn[start : start + size], members, is_wrong, first)
        covered, failed = sizes.cumsum(axis=1), errors.cumsum(axis=1)
        before, failed_before = covered - sizes, failed - errors
        rate = errors / np.maximum(sizes, 1)
        # The sum over j = 1..size of (failed_before + rate·j) / (before + j), by differences of harmonic numbers.
        if len(harmonic) <= (most := int(covered[:, -1].max())):
            harmonic = np.r_[0.0, (1 / np.arange(1, most + 1)).cumsum()]
        steps = np.diff(harmonic[covered.astype(np.intp)], axis=1, prepend=0.0)
        with np.errstate(invalid="ignore"):
            areas.append((errors + (failed_before - rate * before) * steps).sum(axis=1) / covered[:, -1])
    return np.concatenate(areas)


def _order(confidence: Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions of the faces, the surest first, and where in them each distinct confidence begins."""
    order = np.argsort(-confidence, kind="stable")
    return order, np.flatnonzero(np.r_[True, np.diff(confidence[order]) != 0])


def _levels(
    weights: Array, members: npt.NDArray[np.int64], is_wrong: Array, first: npt.NDArray[np.int64]
) -> tuple[Array, Array]:
    """(B, M) weight, and weight of the errors, of each distinct confidence, the highest first."""
    ordered = np.take(weights, members, axis=1)
    errors = ordered * is_wrong
    if len(first) == len(members):
        return ordered, errors
    return np.add.reduceat(ordered, first, axis=1), np.add.reduceat(errors, first, axis=1)


def summarise_confidence(
    confidence: Array, right: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64], seed: int
) -> ConfidenceSummary | None:
    """Risk against coverage, its area with an interval, and reliability.

    Parameters
    ----------
    confidence : (N,) float64
        Probability of the predicted class, of the faces that were found.
    right : (N,) bool
    groups : (N,) int64
        Group of each face, 0..G-1, the unit of resampling; equal to a range where every face stands for itself.
    seed : int

    Returns
    -------
    ConfidenceSummary or None
        None without a face. Intervals of bins are Wilson's where every face stands for itself, otherwise percentiles
        over resampled groups.
    """
    n = len(confidence)
    if not n:
        return None
    wrong = ~right
    n_groups = int(groups.max()) + 1
    is_single = len(np.unique(groups)) == n
    which = equal_mass_bins(confidence, N_BINS)
    in_bin = (which[:, None] == np.unique(which)[None, :]).astype(np.float64)
    areas, accuracies = [], []
    for drawn in resample_weights(n_groups, _N_RESAMPLES, seed) if n_groups > 1 else ():
        areas.append(_areas(confidence, wrong, drawn, groups))
        if not is_single:
            weights = drawn[:, groups]
            with np.errstate(invalid="ignore"):
                accuracies.append((weights * right) @ in_bin / (weights @ in_bin))
    area = float(aurc(confidence, wrong)[0])
    low = high = None
    if areas:
        low, high = (float(x) for x in np.nanpercentile(np.concatenate(areas), [2.5, 97.5]))
    coverage, risk = risk_coverage(confidence, wrong)
    at = np.unique(np.searchsorted(coverage, np.linspace(1 / N_POINTS, 1, N_POINTS) - 1e-9))
    best = aurc(-wrong.astype(np.float64) - np.arange(n) / (2 * n), wrong)
    return ConfidenceSummary(
        aurc=Estimate(value=area, low=low, high=high),
        best_aurc=float(best[0]),
        coverage=[round(float(x), 5) for x in coverage[at]],
        risk=[round(float(x), 5) for x in risk[at]],
        bins=_bins(confidence, right, in_bin, np.concatenate(accuracies) if accuracies else None),
    )


def _bins(
    confidence: Array, right: npt.NDArray[np.bool_], in_bin: Array, accuracies: Array | None
) -> list[ReliabilityBin]:
    bins = []
    for i, member in enumerate(in_bin.T.astype(bool)):
        n, k = int(member.sum()), int(right[member].sum())
        if accuracies is None:
            low, high = _wilson(k, n)
        else:
            low, high = np.nanpercentile(accuracies[:, i], [2.5, 97.5])
        mean = float(confidence[member].mean())
        bins.append(ReliabilityBin(n=n, confidence=mean, accuracy=k / n, low=float(low), high=float(high)))
    return bins


@lru_cache(maxsize=4096)
def _wilson(k: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of k right of n. Bins of equal mass have few sizes, and scipy takes a millisecond each."""
    from scipy.stats import binomtest

    low, high = binomtest(k, n).proportion_ci(0.95, method="wilson")
    return float(low), float(high)
