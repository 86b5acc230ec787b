"""The training set of one epoch: drawn, transformed, mixed and weighed, from ``(seed, epoch)`` alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ferbench.classifiers.keras.augmentation import augment
from ferbench.classifiers.keras.recipe import Recipe

__all__ = ["EpochData", "epoch_data"]


class EpochData(NamedTuple):
    """What one epoch learns from, in the order in which it does.

    Attributes
    ----------
    x : (N, h, w, 1) uint8
        Transformed crops; the copies of a face follow one another.
    y : (N, C) float32
        Targets.
    weights : (N,) float32, or None
        Weights of the faces in the loss, 1 on average over the training set; None where all are 1.
    """

    x: npt.NDArray[np.uint8]
    y: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32] | None


def epoch_data(crops: npt.NDArray[np.uint8], targets: npt.NDArray[np.float32], recipe: Recipe, epoch: int) -> EpochData:
    """The training set of an epoch, ``transforms`` times as many as there are faces.

    Parameters
    ----------
    crops : (n, h, w) uint8, gray
    targets : (n, C) float32
    recipe : Recipe
    epoch : int
        Counted from 0.
    """
    rng = np.random.default_rng([recipe.seed, epoch])
    shares = _class_shares(targets)
    if recipe.balance == "sampling":
        chance = 1 / shares[targets.argmax(axis=1)]
        order = rng.choice(len(crops), len(crops), p=chance / chance.sum())
    else:
        order = rng.permutation(len(crops))
    if recipe.transforms > 1:
        order = np.repeat(order, recipe.transforms)
    narrow = recipe.side and epoch < recipe.epochs - max(1, recipe.epochs // 4)
    x: npt.NDArray[Any] = augment(crops[order], recipe.augmentation, rng, side=recipe.side if narrow else None)
    y = targets[order]
    if recipe.mixup:
        share = rng.beta(recipe.mixup, recipe.mixup, len(x)).astype(np.float32)
        share = np.maximum(share, 1 - share)
        other = rng.permutation(len(x))
        mixed = x * share[:, None, None] + x[other] * (1 - share)[:, None, None]
        x = (mixed + 0.5).astype(np.uint8)
        y = y * share[:, None] + y[other] * (1 - share)[:, None]
    weights = None
    if recipe.balance == "weights":
        present = int((shares < np.inf).sum())
        weights = (y @ (1 / (present * shares))).astype(np.float32)
    return EpochData(x[..., None], y, weights)


def _class_shares(targets: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """(C,) share of the faces whose most probable label is each class; infinite for a class that none has."""
    counts = np.bincount(targets.argmax(axis=1), minlength=targets.shape[1]).astype(float)
    counts[counts == 0] = np.inf
    shares: npt.NDArray[np.float64] = counts / len(targets)
    return shares
