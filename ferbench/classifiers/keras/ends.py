"""What the networks of the literature begin and end with: gray crops scaled inside the graph, probabilities."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from ferbench.checks import is_number
from ferbench.errors import ParameterError

__all__ = ["CropShape", "Tensor", "check_share", "gray_crops", "probabilities"]

Tensor = Any

CropShape = tuple[int | None, int | None]
"""(h, w) of the crops; None where it may vary."""


def gray_crops(shape: CropShape, network: str, *, smallest: int, is_fixed: bool = False) -> tuple[Tensor, Tensor]:
    """The input, (N, h, w, 1) float32 with values 0..255, and the same in [0, 1].

    Parameters
    ----------
    shape : (h, w)
    network : str
        Its name, for messages.
    smallest : int
        Least side that leaves a feature map at the end.
    is_fixed : bool
        Whether a dense layer ties the network to one size of crops.

    Raises
    ------
    ParameterError
        The crops are too small, or may vary where they must not.
    """
    sides = [side for side in shape if side is not None]
    if is_fixed and len(sides) < 2:
        raise ParameterError(f"{network} takes crops of one size", got="a size that varies", fix="leave side at 0")
    if min(sides, default=smallest) < smallest:
        raise ParameterError(
            f"the crops are too small for {network}", got=f"{shape[0]}×{shape[1]}", expected=f"{smallest} or more"
        )
    image = keras.Input((*shape, 1), name="gray")
    return image, layers.Rescaling(1 / 255, name="scale")(image)


def probabilities(image: Tensor, features: Tensor, n_classes: int, name: str) -> keras.Model:
    """The network from the input to the softmax over a dense layer on (N, D) features."""
    scores = layers.Dense(n_classes, name="scores")(features)
    # In float32 whatever the precision of the rest, and apart from the scores, whose scale calibration sets.
    return keras.Model(image, layers.Softmax(dtype="float32", name="probabilities")(scores), name=name)


def check_share(network: str, **shares: float) -> None:
    """Raise :class:`ParameterError` unless every value is a share below 1, as dropout rates are."""
    for name, value in shares.items():
        if not is_number(value) or not 0 <= value < 1:
            raise ParameterError(f"{name} of {network} is a share", got=repr(value), expected="0 <= value < 1")
