"""Networks of published systems, layer by layer as their descriptions have them.

Where a description gives the number of parameters, the network has exactly that number for seven classes on 48×48
crops. Where it leaves something open, the docstring says what was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from ferbench.classifiers.keras.ends import CropShape, Tensor, check_share, gray_crops, probabilities

__all__ = ["emosense_4l", "emosense_8l", "emosense_10l", "keras_cnn", "krishna_cnn", "report_cnn"]


def _emosense(
    shape: CropShape,
    n_classes: int,
    name: str,
    filters: Sequence[int],
    extra: int,
    dense: Sequence[int],
    dropout: float,
) -> keras.Model:
    """Unpadded 3×3 convolutions with ReLU, each followed by max pooling and dropout; dense layers on the rest."""
    check_share(name, dropout=dropout)
    smallest = 3 * 2 ** len(filters) - 2  # what leaves one pixel after as many unpadded convolutions and poolings
    image, x = gray_crops(shape, name, smallest=smallest, is_fixed=True)
    for stage, n in enumerate(filters):
        x = layers.Conv2D(n, 3, activation="relu")(x)
        for _ in range(extra if stage == len(filters) - 1 else 0):
            x = layers.Conv2D(n, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
        x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(x)
    for n in dense:
        x = layers.Dense(n, activation="relu")(x)
    return probabilities(image, x, n_classes, name.replace("-", "_"))


def emosense_4l(shape: CropShape, n_classes: int, *, dropout: float = 0.4) -> keras.Model:
    """EmoSense with 4 layers: two convolutions, flatten, softmax.

    The description gives the layers of the 8-layer network alone. Counted as there (convolutions, flatten, dense
    layers), four are taken to be its first two convolutions, flatten and softmax.

    Parameters
    ----------
    shape : (h, w)
        Size of the crops, 10×10 or more.
    n_classes : int
        Number of expressions.
    dropout : float
        Share of features dropped after each convolution.
    """
    return _emosense(shape, n_classes, "emosense-4l", (128, 256), 0, (), dropout)


def emosense_8l(shape: CropShape, n_classes: int, *, dropout: float = 0.4) -> keras.Model:
    """EmoSense with 8 layers: four unpadded convolutions, flatten, three dense; 4,232,199 parameters for seven classes.

    Parameters
    ----------
    shape : (h, w)
        Size of the crops, 46×46 or more.
    n_classes : int
        Number of expressions.
    dropout : float
        Share of features dropped after each convolution; the dense layers drop nothing.
    """
    return _emosense(shape, n_classes, "emosense-8l", (128, 256, 512, 512), 0, (512, 256), dropout)


def emosense_10l(shape: CropShape, n_classes: int, *, dropout: float = 0.4) -> keras.Model:
    """EmoSense with 10 layers: the 8-layer network and two more convolutions.

    The description gives the layers of the 8-layer network alone. Unpadded convolutions with pooling leave one pixel
    after four of them, so the two more are taken to be padded, with 512 channels, before the last pooling.

    Parameters
    ----------
    shape : (h, w)
        Size of the crops, 46×46 or more.
    n_classes : int
        Number of expressions.
    dropout : float
        Share of features dropped after each pooling.
    """
    return _emosense(shape, n_classes, "emosense-10l", (128, 256, 512, 512), 2, (512, 256), dropout)


def _normalised_relu(x: Tensor) -> Tensor:
    return layers.ReLU()(layers.BatchNormalization()(x))


def _pooled(x: Tensor, dropout: float) -> Tensor:
    return layers.Dropout(dropout)(layers.MaxPooling2D(2)(x))


def _dense_head(x: Tensor, dropout: float) -> Tensor:
    x = layers.Flatten()(x)
    for n in (256, 512):
        x = layers.Dropout(dropout)(_normalised_relu(layers.Dense(n)(x)))
    return x


def krishna_cnn(shape: CropShape, n_classes: int, *, dropout: float = 0.25) -> keras.Model:
    """Four padded convolutions (64, 128, 512, 512) and two dense layers; 4,478,727 parameters for seven classes.

    The network of a published web-camera system. Every layer is normalised before its ReLU; each convolution is
    followed by max pooling, everything by dropout.

    Parameters
    ----------
    shape : (h, w)
        Size of the crops, 16×16 or more.
    n_classes : int
        Number of expressions.
    dropout : float
        Share of features dropped after every layer.
    """
    check_share("krishna-cnn", dropout=dropout)
    image, x = gray_crops(shape, "krishna-cnn", smallest=16, is_fixed=True)
    for filters, size in ((64, 3), (128, 5), (512, 3), (512, 3)):
        x = _pooled(_normalised_relu(layers.Conv2D(filters, size, padding="same")(x)), dropout)
    return probabilities(image, _dense_head(x, dropout), n_classes, "krishna_cnn")


def report_cnn(shape: CropShape, n_classes: int, *, dropout: float = 0.25) -> keras.Model:
    """Five padded convolutions (32 and 64, 128, 512, 512), two dense; 4,496,903 parameters for seven classes.

    The published count holds with one batch normalisation after the first pair of convolutions, not after each of the
    two. The share that is dropped is not given and taken from ``krishna-cnn``, whose network this extends.

    Parameters
    ----------
    shape : (h, w)
        Size of the crops, 16×16 or more.
    n_classes : int
        Number of expressions.
    dropout : float
        Share of features dropped after every pooling and dense layer.
    """
    check_share("report-cnn", dropout=dropout)
    image, x = gray_crops(shape, "report-cnn", smallest=16, is_fixed=True)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    for filters, size in ((64, 3), (128, 5), (512, 3), (512, 3)):
        x = _pooled(_normalised_relu(layers.Conv2D(filters, size, padding="same")(x)), dropout)
    return probabilities(image, _dense_head(x, dropout), n_classes, "report_cnn")


def keras_cnn(shape: CropShape, n_classes: int, *, dropout: float = 0.25, dense_dropout: float = 0.5) -> keras.Model:
    """Two pairs of 3×3 convolutions (32, 64) and a dense layer of 512: Keras' own example for small pictures.

    Sonawane and Athawale train "a Keras CNN"; their layers are not given, and these are those that Keras' documentation
    shows for CIFAR-10. What they publish is in the recipe: crops, shifts and mirror images, and the loss summed over
    several transforms of each picture (``transforms``).

    Parameters
    ----------
    shape : (h, w)
        Size of the crops, 16×16 or more.
    n_classes : int
        Number of expressions.
    dropout : float
        Share of features dropped after each pooling.
    dense_dropout : float
        Share of features dropped before the last layer.
    """
    check_share("keras-cnn", dropout=dropout, dense_dropout=dense_dropout)
    image, x = gray_crops(shape, "keras-cnn", smallest=16, is_fixed=True)
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = _pooled(layers.Conv2D(filters, 3, activation="relu")(x), dropout)
    x = layers.Dense(512, activation="relu")(layers.Flatten()(x))
    return probabilities(image, layers.Dropout(dense_dropout)(x), n_classes, "keras_cnn")
