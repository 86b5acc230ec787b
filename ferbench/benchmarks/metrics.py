"""Quality metrics from one table of faces, written so that thousands of bootstrap resamples cost one matrix product.

Every metric here is a function of sums over faces (counts of the confusion matrix, sums of losses, sums per
calibration bin). A resample only reweights the faces, or the groups they belong to, so :class:`Sufficient` holds the
sums for each group and :func:`evaluate_weights` turns group weights into metric values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ferbench.errors import ShapeError

__all__ = [
    "DETECTED_METRICS",
    "END_TO_END_METRICS",
    "Sufficient",
    "calibration_noise",
    "class_scores",
    "confusion_metrics",
    "equal_mass_bins",
    "evaluate_weights",
    "sufficient",
]

Array = npt.NDArray[np.float64]

END_TO_END_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")
DETECTED_METRICS = (*END_TO_END_METRICS, "log_loss", "brier", "ece")

N_BINS = 15
"""Calibration bins of equal mass (the usual number in the calibration literature since Guo et al., 2017)."""

_SMALLEST_PROBABILITY = 1e-7
"""Probabilities are float32; a smaller one is rounding, and would let one face decide the log loss."""


@dataclass(frozen=True)
class Sufficient:
    """Sums per group from which every metric follows.

    Attributes
    ----------
    confusion : (G, C, C + 1) float64
        Counts by group, true label and predicted label; the last column counts missed faces.
    losses : (G, 2) float64
        Sums of log loss and Brier score over detected faces.
    bins : (G, N_BINS, 3) float64
        Per calibration bin: number, sum of confidence, number right; detected faces only.
    """

    confusion: Array
    losses: Array
    bins: Array


def sufficient(
    truth: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.floating],
    groups: npt.NDArray[np.int64],
) -> Sufficient:
    """Sums per group.

    Parameters
    ----------
    truth : (N,) int64
        True class of each face.
    predicted : (N,) int64
        Predicted class; -1 where the face was missed.
    probabilities : (N, C) float
        Probability of each class; rows of missed faces are ignored.
    groups : (N,) int64
        Group of each face, 0..G-1: the unit of resampling.
    """
    n, n_classes = probabilities.shape
    if not (len(truth) == len(predicted) == len(groups) == n):
        raise ShapeError("truth, predictions and groups differ in length", got=(len(truth), len(predicted), n))
    n_groups = int(groups.max()) + 1 if n else 0
    found = predicted >= 0
    column = np.where(found, predicted, n_classes)
    confusion = np.zeros((n_groups, n_classes, n_classes + 1))
    np.add.at(confusion, (groups, truth, column), 1.0)

    p, t, g = probabilities[found].astype(np.float64), truth[found], groups[found]
    at = np.arange(len(t))
    log_loss = -np.log(np.maximum(p[at, t], _SMALLEST_PROBABILITY))
    brier = (p**2).sum(axis=1) - 2 * p[at, t] + 1
    losses = np.zeros((n_groups, 2))
    np.add.at(losses, g, np.stack([log_loss, brier], axis=1))

    bins = np.zeros((n_groups, N_BINS, 3))
    if len(t):
        confidence = p.max(axis=1)
        right = (column[found] == t).astype(np.float64)
        np.add.at(bins, (g, equal_mass_bins(confidence)), np.stack([np.ones(len(t)), confidence, right], axis=1))
    return Sufficient(confusion, losses, bins)


def equal_mass_bins(confidence: Array, n_bins: int = N_BINS) -> npt.NDArray[np.int64]:
    """(N,) bin of each face; bins hold equal numbers of faces, equal confidences share a bin."""
    order = np.argsort(confidence, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    # Faces of one confidence (a majority baseline has only one) must not be torn apart by their order.
    _, first, inverse = np.unique(confidence[order], return_index=True, return_inverse=True)
    rank[order] = first[inverse]
    return rank * min(n_bins, len(order)) // len(order)


def evaluate_weights(sums: Sufficient, weights: Array | None = None) -> dict[str, dict[str, Array]]:
    """Metrics of weighted groups.

    Parameters
    ----------
    sums : Sufficient
    weights : (B, G) float, optional
        How often each group counts in each of B resamples; every group once where left out.

    Returns
    -------
    dict
        ``{"detected": {metric: (B,)}, "end_to_end": {metric: (B,)}}``; NaN where a metric has no faces to speak of.
        Macro averages are over the classes that occur. F1 of a class that is never right is 0.
    """
    w = np.ones((1, len(sums.confusion))) if weights is None else weights
    n_classes = sums.confusion.shape[1]
    counts = (w @ sums.confusion.reshape(len(sums.confusion), -1)).reshape(len(w), n_classes, n_classes + 1)
    losses = w @ sums.losses
    bins = (w @ sums.bins[:, :, 1:].reshape(len(sums.bins), -1)).reshape(len(w), N_BINS, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        end_to_end = confusion_metrics(counts)
        if counts[:, :, -1].any():
            counts[:, :, -1] = 0
            detected = confusion_metrics(counts)
        else:
            detected = dict(end_to_end)  # no face was missed
        n_seen = counts.sum(axis=(1, 2))
        detected["log_loss"] = losses[:, 0] / n_seen
        detected["brier"] = losses[:, 1] / n_seen
        detected["ece"] = np.abs(bins[:, :, 0] - bins[:, :, 1]).sum(axis=1) / n_seen
        return {"detected": detected, "end_to_end": end_to_end}


def calibration_noise(sums: Sufficient, weights: Array) -> Array:
    """(B,) float64: what sampling alone adds to the calibration error, in each of B resamples of (B, G) weights.

    Each resample's gap per bin is taken from the gap of all faces, so a constant miscalibration drops out: this is the
    calibration error that a perfectly calibrated pipeline would show by chance.
    """
    gaps = sums.bins[:, :, 1] - sums.bins[:, :, 2]
    return np.asarray(np.abs((weights - 1) @ gaps).sum(axis=1) / sums.bins[:, :, 0].sum())


def confusion_metrics(counts: Array) -> dict[str, Array]:
    """Accuracy and averages of (B, C, C + 1) counts: ``{metric: (B,)}``, as :func:`evaluate_weights` gives them."""
    right = np.diagonal(counts[:, :, :-1], axis1=1, axis2=2)
    support = counts.sum(axis=2)
    called = counts[:, :, :-1].sum(axis=1)
    total = support.sum(axis=1)
    occurs = support > 0
    n_occurring = occurs.sum(axis=1)
    recall = np.divide(right, support, out=np.zeros(right.shape), where=occurs)
    # 2·TP / (support + called) is F1 without the 0/0 of precision where a class is never predicted.
    f1 = np.divide(2 * right, support + called, out=np.zeros(right.shape), where=occurs)
    return {
        "accuracy": right.sum(axis=1) / total,
        "balanced_accuracy": recall.sum(axis=1) / n_occurring,
        "macro_f1": f1.sum(axis=1) / n_occurring,
        "weighted_f1": (f1 * support).sum(axis=1) / total,
    }


def class_scores(confusion: npt.NDArray[np.int64]) -> list[tuple[float, float, float, int]]:
    """Precision, recall, F1 and support of each class of a (C, C + 1) confusion matrix; 0 where undefined."""
    right = np.diagonal(confusion)
    support, called = confusion.sum(axis=1), confusion[:, :-1].sum(axis=0)
    scores = []
    for tp, n_true, n_called in zip(right.tolist(), support.tolist(), called.tolist(), strict=True):
        f1 = 2 * tp / (n_true + n_called) if n_true + n_called else 0.0
        scores.append((tp / n_called if n_called else 0.0, tp / n_true if n_true else 0.0, f1, int(n_true)))
    return scores
