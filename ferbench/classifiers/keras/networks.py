"""The networks that ferbench trains its own pipelines by: gray crops (N, h, w, 1) float32 with values 0..255 in, (N, C)
probabilities out.

Scaling of the pixels is the first layer, so that an exported model needs no preprocessing that could be forgotten.
Only Keras layers are used: every backend trains and runs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from ferbench.errors import ParameterError

__all__ = ["mini_xception", "se_resnet"]

Tensor = Any


def _input(shape: tuple[int | None, int | None]) -> tuple[Tensor, Tensor]:
    image = keras.Input((*shape, 1), name="gray")
    return image, layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)


def _batch_norm() -> layers.Layer:
    # Keras' momentum of 0.99 needs a thousand steps to forget its start: a short training would be judged on that.
    return layers.BatchNormalization(momentum=0.9)


def mini_xception(shape: tuple[int | None, int | None], n_classes: int) -> keras.Model:
    """Mini-Xception: separable convolutions with residual branches; 58,423 parameters for seven classes.

    Arriaga, Valdenegro-Toro, Plöger: Real-time convolutional neural networks for emotion and gender classification
    (2017), with an input of 48×48 or larger.
    """
    image, x = _input(shape)
    for _ in range(2):
        x = layers.Conv2D(8, 3, use_bias=False)(x)
        x = _batch_norm()(x)
        x = layers.ReLU()(x)
    for filters in (16, 32, 64, 128):
        shortcut = layers.Conv2D(filters, 1, strides=2, padding="same", use_bias=False)(x)
        shortcut = _batch_norm()(shortcut)
        x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)
        x = _batch_norm()(x)
        x = layers.ReLU()(x)
        x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)
        x = _batch_norm()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = layers.Add()([x, shortcut])
    x = layers.Conv2D(n_classes, 3, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Softmax(dtype="float32", name="probabilities")(x), name="mini_xception")


def _squeeze_excite(x: Tensor, ratio: int = 8) -> Tensor:
    """Channel attention (Hu, Shen, Sun 2018)."""
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(max(channels // ratio, 4), 1, activation="relu")(gate)
    gate = layers.Conv2D(channels, 1, activation="sigmoid")(gate)
    return layers.Multiply()([x, gate])


def _residual_block(x: Tensor, filters: int, stride: int) -> Tensor:
    shortcut = x
    if stride != 1 or x.shape[-1] != filters:
        # Averaging before the 1×1 projection keeps what a strided one would throw away (He et al. 2019, ResNet-D).
        shortcut = layers.AveragePooling2D(stride, padding="same")(x) if stride != 1 else x
        shortcut = layers.Conv2D(filters, 1, use_bias=False)(shortcut)
        shortcut = _batch_norm()(shortcut)
    x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    x = _batch_norm()(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = _batch_norm()(x)
    x = layers.Add()([_squeeze_excite(x), shortcut])
    return layers.ReLU()(x)


def se_resnet(
    shape: tuple[int | None, int | None],
    n_classes: int,
    *,
    width: int = 32,
    blocks: Sequence[int] = (1, 2, 2),
    dropout: float = 0.3,
    stem: str = "pool",
) -> keras.Model:
    """A residual squeeze-and-excitation network for small faces.

    Parameters
    ----------
    shape : (h, w)
        Size of the crops; None where it may vary.
    n_classes : int
        Number of expressions.
    width : int
        Channels of the first stage; every stage doubles them and halves the resolution.
    blocks : sequence of int
        Residual blocks in each stage.
    dropout : float
        Share of features dropped before the last layer.
    stem : "pool" or "stride"
        How the first layer halves the resolution: by a 3×3 convolution and max pooling, or by a 5×5 convolution with
        stride 2, which trains a fifth faster.
    """
    if width < 1 or not blocks or min(blocks) < 1 or not 0 <= dropout < 1 or stem not in ("pool", "stride"):
        raise ParameterError(
            "se-resnet cannot be built",
            got=f"width={width}, blocks={tuple(blocks)}, dropout={dropout}, stem={stem!r}",
            expected="width >= 1, at least one block a stage, dropout in [0, 1), stem 'pool' or 'stride'",
        )
    image, x = _input(shape)
    strided = stem == "stride"
    x = layers.Conv2D(width, 5 if strided else 3, strides=2 if strided else 1, padding="same", use_bias=False)(x)
    x = _batch_norm()(x)
    x = layers.ReLU()(x)
    if not strided:
        x = layers.MaxPooling2D(2)(x)
    for stage, n in enumerate(blocks):
        for block in range(n):
            x = _residual_block(x, width * 2**stage, stride=2 if stage and not block else 1)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    x = layers.Dense(n_classes)(x)
    # Softmax in float32 whatever the precision of the rest: half precision loses small probabilities.
    return keras.Model(image, layers.Softmax(dtype="float32", name="probabilities")(x), name="se_resnet")
