"""Transfer learning: a network of ``keras.applications`` that was trained on ImageNet, under a new last layer.

Gray to three channels, the size and the preprocessing that the base expects are parts of the graph. Weights come from a
file, or from where Keras keeps or fetches its own; nothing is fetched unless ``weights=imagenet`` asks for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from keras import layers

from ferbench.checks import is_integer
from ferbench.classifiers.keras.ends import CropShape, Tensor, check_share, gray_crops, probabilities
from ferbench.errors import ModelFileError, ParameterError, UnknownNameError

__all__ = ["BASES", "Base", "transfer"]


SMALLEST = 32
"""Least side that every base takes, pixels."""


@dataclass(frozen=True)
class Base:
    """A network of ``keras.applications`` as a base.

    Attributes
    ----------
    build : callable
        Its builder.
    scale, offset : tuple of float, one a channel
        What makes of gray values 0..255 in three channels the input that it was trained with.
    file_scale, file_offset : tuple of float
        The same where its weights come from a file.
    """

    build: Callable[..., keras.Model]
    scale: tuple[float, ...] = (1.0, 1.0, 1.0)
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)
    file_scale: tuple[float, ...] | None = None
    file_offset: tuple[float, ...] | None = None


_MEAN, _VARIANCE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE = (-103.939, -116.779, -123.68)
"""Means of blue, green and red, in the order of the original weights."""

BASES: dict[str, Base] = {
    "mobilenet": Base(keras.applications.MobileNet, scale=(1 / 127.5,) * 3, offset=(-1.0,) * 3),
    "mobilenet-v2": Base(keras.applications.MobileNetV2, scale=(1 / 127.5,) * 3, offset=(-1.0,) * 3),
    "efficientnet-b0": Base(
        keras.applications.EfficientNetB0,
        # Keras 3.15 divides by the root of what is a deviation already, and mends it by one more layer that it adds for
        # weights="imagenet" alone; where the same weights come from a file, the same has to happen before.
        file_scale=tuple(v**-0.5 for v in _VARIANCE),
        file_offset=tuple(255 * m * (1 - v**-0.5) for m, v in zip(_MEAN, _VARIANCE, strict=True)),
    ),
    "vgg16": Base(keras.applications.VGG16, offset=_CAFFE),
    "resnet50": Base(keras.applications.ResNet50, offset=_CAFFE),
}
"""Bases by name."""


def transfer(
    shape: CropShape,
    n_classes: int,
    *,
    base: str = "mobilenet-v2",
    weights: str = "imagenet",
    freeze: str | int = "all",
    size: int = 96,
    enlarge: int = 0,
    dropout: float = 0.2,
) -> keras.Model:
    """A network of keras.applications, trained on ImageNet, under a new last layer.

    Parameters
    ----------
    shape : (h, w)
        Size of the crops; None where it may vary.
    n_classes : int
        Number of expressions.
    base : str
        mobilenet, mobilenet-v2, efficientnet-b0, vgg16 or resnet50.
    weights : str
        ``imagenet`` (Keras' own, fetched once and kept), the path of a weights file without the top, or ``none``.
    freeze : "all", "none" or int
        What of the base stays as it is: all, nothing, or this many layers from its input.
    size : int
        Side to which crops are resized, pixels; 32 or more.
    enlarge : int
        Instead of ``size``: make crops of any size this many times larger, as training with ``side`` needs.
    dropout : float
        Share of features dropped before the last layer.

    Raises
    ------
    UnknownNameError, ParameterError
        No such base, or a value that cannot be.
    ModelFileError
        The weights are not there, cannot be fetched, or are another network's.
    """
    if base not in BASES:
        raise UnknownNameError("base of transfer", str(base), BASES)
    check_share("transfer", dropout=dropout)
    chosen = BASES[base]
    if not is_integer(size) or size < SMALLEST:
        raise ParameterError("size of transfer", got=repr(size), expected=f"{SMALLEST} pixels or more")
    if not is_integer(enlarge) or enlarge < 0:
        raise ParameterError("enlarge of transfer", got=repr(enlarge), expected="a whole number, or 0 for size instead")
    image, _ = gray_crops(shape, "transfer", smallest=-(-SMALLEST // enlarge) if enlarge else 8)
    network = _with_weights(chosen, base, weights, None if enlarge else size)
    _freeze(network, freeze)
    if enlarge:
        # Linear interpolation, but for half a pixel's shift: Keras 3.15 has its own for sides known beforehand only.
        x = layers.UpSampling2D(enlarge, name="enlarge")(image)
        x = layers.AveragePooling2D(enlarge, strides=1, padding="same", name="interpolate")(x)
    else:
        x = layers.Resizing(size, size, name="resize")(image)
    x = layers.Concatenate(name="three_channels")([x, x, x])
    x = _preprocessed(x, chosen, weights)
    x = layers.Dropout(dropout)(network(x))
    return probabilities(image, x, n_classes, f"transfer_{base.replace('-', '_')}")


def _preprocessed(x: Tensor, base: Base, weights: str) -> Tensor:
    from_file = weights not in ("imagenet", "none") and base.file_scale is not None
    scale, offset = (base.file_scale, base.file_offset) if from_file else (base.scale, base.offset)
    return layers.Rescaling(list(scale or ()), offset=list(offset or ()), name="preprocess")(x)


def _with_weights(base: Base, name: str, weights: str, size: int | None) -> keras.Model:
    """The base without its top, averaged over its last maps."""
    arguments: dict[str, Any] = {"include_top": False, "input_shape": (size, size, 3), "pooling": "avg"}
    if weights == "none":
        return base.build(weights=None, **arguments)
    if weights == "imagenet":
        try:
            with redirect_stdout(sys.stderr):  # Keras tells there that it downloads
                return base.build(weights="imagenet", **arguments)
        except Exception as error:  # Keras 3.15 raises no narrower class where it cannot fetch
            if "URL fetch failure" not in str(error):
                raise
            raise ModelFileError(
                f"the ImageNet weights of {name} cannot be fetched from here",
                got=str(error).rpartition(" -- ")[2],
                fix="give the path of their file as weights=PATH, or weights=none to learn from nothing",
            ) from error
    path = Path(weights).expanduser()
    if not path.is_file():
        raise ModelFileError(f"the weights of {name} are not there", got=str(path), expected="imagenet, none or a file")
    made = base.build(weights=None, **arguments)
    try:
        made.load_weights(path)
    except (ValueError, OSError) as error:
        raise ModelFileError(
            f"{path} has no weights for {name} without its top", got=str(error).strip().partition("\n")[0]
        ) from error
    return made


def _freeze(network: keras.Model, freeze: str | int) -> None:
    if freeze not in ("all", "none") and not (is_integer(freeze) and freeze >= 0):
        raise ParameterError("freeze of transfer", got=repr(freeze), expected="all, none, or a number of layers")
    n = {"all": len(network.layers), "none": 0}.get(str(freeze), freeze)
    for layer in network.layers[: int(n)]:
        layer.trainable = False
