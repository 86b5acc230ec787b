"""The three families that surveys name for real-time recognition, as small variants for small gray faces."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from ferbench.checks import is_integer
from ferbench.classifiers.keras.ends import CropShape, Tensor, check_share, gray_crops, probabilities
from ferbench.errors import ParameterError

__all__ = ["lenet", "resnet", "vgg"]


def lenet(shape: CropShape, n_classes: int, *, dropout: float = 0.0) -> keras.Model:
    """LeNet-5's layers with today's ReLU and max pooling; 168,971 parameters for seven classes on 48×48.

    LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition (1998).

    Parameters
    ----------
    shape : (h, w)
        Size of the crops, 16×16 or more.
    n_classes : int
        Number of expressions.
    dropout : float
        Share of features dropped after each of the two dense layers; the original drops none.
    """
    check_share("lenet", dropout=dropout)
    image, x = gray_crops(shape, "lenet", smallest=16, is_fixed=True)
    for filters in (6, 16):
        x = layers.MaxPooling2D(2)(layers.Conv2D(filters, 5, activation="relu")(x))
    x = layers.Flatten()(x)
    for n in (120, 84):
        x = layers.Dropout(dropout)(layers.Dense(n, activation="relu")(x))
    return probabilities(image, x, n_classes, "lenet")


def vgg(
    shape: CropShape,
    n_classes: int,
    *,
    width: int = 32,
    blocks: Sequence[int] = (2, 2, 2, 2),
    dense: int = 256,
    dropout: float = 0.5,
) -> keras.Model:
    """A small VGG: stages of padded 3×3 convolutions with batch normalisation, halved by max pooling.

    Simonyan and Zisserman: Very deep convolutional networks for large-scale image recognition (2015). Narrower than
    the original, with the batch normalisation that came after it.

    Parameters
    ----------
    shape : (h, w)
        Size of the crops; every stage halves it.
    n_classes : int
        Number of expressions.
    width : int
        Channels of the first stage; every stage doubles them.
    blocks : sequence of int
        Convolutions in each stage.
    dense : int
        Width of the two dense layers.
    dropout : float
        Share of features dropped after each dense layer; half of it after each stage.
    """
    check_share("vgg", dropout=dropout)
    _check_sizes("vgg", width=width, dense=dense, **{f"blocks[{i}]": n for i, n in enumerate(_stages("vgg", blocks))})
    image, x = gray_crops(shape, "vgg", smallest=2 ** len(blocks), is_fixed=True)
    for stage, n in enumerate(blocks):
        for _ in range(n):
            x = layers.Conv2D(width * 2**stage, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Dropout(dropout / 2)(layers.MaxPooling2D(2)(x))
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dropout(dropout)(layers.Dense(dense, activation="relu")(x))
    return probabilities(image, x, n_classes, "vgg")


def resnet(
    shape: CropShape,
    n_classes: int,
    *,
    width: int = 16,
    blocks: Sequence[int] = (3, 3, 3),
    dropout: float = 0.0,
) -> keras.Model:
    """A residual network for small pictures: with three stages of three blocks, ResNet-20.

    He, Zhang, Ren, Sun: Deep residual learning for image recognition (2016), section 4.2, with 1×1 projections where
    the width changes.

    Parameters
    ----------
    shape : (h, w)
        Size of the crops; every stage but the first halves it. None where it may vary.
    n_classes : int
        Number of expressions.
    width : int
        Channels of the first stage; every stage doubles them.
    blocks : sequence of int
        Residual blocks of two convolutions in each stage.
    dropout : float
        Share of features dropped before the last layer; the original drops none.
    """
    check_share("resnet", dropout=dropout)
    _check_sizes("resnet", width=width, **{f"blocks[{i}]": n for i, n in enumerate(_stages("resnet", blocks))})
    image, x = gray_crops(shape, "resnet", smallest=2 ** len(blocks))
    x = _normalised(layers.Conv2D(width, 3, padding="same", use_bias=False)(x))
    x = layers.ReLU()(x)
    for stage, n in enumerate(blocks):
        for block in range(n):
            x = _basic_block(x, width * 2**stage, stride=2 if stage and not block else 1)
    x = layers.Dropout(dropout)(layers.GlobalAveragePooling2D()(x))
    return probabilities(image, x, n_classes, "resnet")


def _basic_block(x: Tensor, filters: int, stride: int) -> Tensor:
    shortcut = x
    if stride != 1 or x.shape[-1] != filters:
        shortcut = _normalised(layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x))
    x = _normalised(layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x))
    x = _normalised(layers.Conv2D(filters, 3, padding="same", use_bias=False)(layers.ReLU()(x)))
    return layers.ReLU()(layers.Add()([x, shortcut]))


def _normalised(x: Tensor) -> Tensor:
    return layers.BatchNormalization()(x)


def _stages(network: str, blocks: object) -> Sequence[object]:
    if not isinstance(blocks, list | tuple) or not blocks:
        raise ParameterError(f"blocks of {network}", got=repr(blocks), expected="one number for each stage, (2, 2)")
    return blocks


def _check_sizes(network: str, **sizes: object) -> None:
    for name, value in sizes.items():
        if not is_integer(value) or value < 1:
            raise ParameterError(f"{name} of {network} is a whole number", got=repr(value), expected="1 or more")
