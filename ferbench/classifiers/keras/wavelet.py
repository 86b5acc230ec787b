"""A network on the wavelet transform of the face, and the same network on the face itself.

Sivaprasad et al. (2023) report that a CNN gains from wavelet sub-bands as its input. Their layers are not given; what
this pair is to tell is the gain alone. From the first convolution's output on, both have the same layers, widths and
sizes of feature maps: there the plain twin halves the resolution by a stride; the transform has halved it before.
"""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from ferbench.checks import is_integer
from ferbench.classifiers.keras.ends import CropShape, Tensor, check_share, gray_crops, probabilities
from ferbench.errors import ParameterError, UnknownNameError

__all__ = ["FILTERS", "plain_cnn", "subband_kernel", "wavelet_cnn", "wavelet_layer"]

_ROOT3 = np.sqrt(3.0)
FILTERS: dict[str, tuple[float, ...]] = {
    "haar": tuple(float(v) for v in np.array([1, 1]) / np.sqrt(2)),
    "db2": tuple(float(v) for v in np.array([1 - _ROOT3, 3 - _ROOT3, 3 + _ROOT3, 1 + _ROOT3]) / (4 * np.sqrt(2))),
}
"""Low-pass decomposition filters, orthonormal: Haar's, and Daubechies' (1988) with two vanishing moments."""


def subband_kernel(wavelet: str) -> npt.NDArray[np.float32]:
    """(n, n, 1, 4) float32: the filters of the sub-bands LL, LH, HL, HH, to be correlated with stride 2.

    LH has the horizontal edges (high-pass along y), HL the vertical ones.

    Raises
    ------
    UnknownNameError
        No such wavelet.
    """
    if wavelet not in FILTERS:
        raise UnknownNameError("wavelet", str(wavelet), FILTERS)
    low = np.array(FILTERS[wavelet])
    # Convolution turns a filter round; the quadrature mirror of the low-pass is the high-pass.
    high = low[::-1] * (-1.0) ** np.arange(1, len(low) + 1)
    low, high = low[::-1], high[::-1]
    pairs = [(low, low), (high, low), (low, high), (high, high)]
    return np.stack([np.outer(along_y, along_x) for along_y, along_x in pairs], axis=-1)[:, :, None].astype(np.float32)


def wavelet_layer(x: Tensor, wavelet: str) -> Tensor:
    """One level of the discrete wavelet transform: (N, h, w, 1) to the four sub-bands (N, h/2, w/2, 4).

    The border is continued periodically (PyWavelets' ``periodization``), so that the coefficients are as many as the
    pixels and hold the same energy. A fixed convolution: every export has it as one.
    """
    kernel = subband_kernel(wavelet)
    extra = kernel.shape[0] - 2
    if extra:
        x = layers.Concatenate(axis=1)([x[:, -extra // 2 :], x, x[:, : extra // 2]])
        x = layers.Concatenate(axis=2)([x[:, :, -extra // 2 :], x, x[:, :, : extra // 2]])
    fixed = layers.Conv2D(4, kernel.shape[0], strides=2, use_bias=False, trainable=False, name=f"{wavelet}_transform")
    subbands = fixed(x)
    fixed.kernel.assign(kernel)
    return subbands


def wavelet_cnn(
    shape: CropShape, n_classes: int, *, wavelet: str = "haar", width: int = 32, dropout: float = 0.25
) -> keras.Model:
    """A CNN on the four sub-bands of the face's wavelet transform (Sivaprasad et al. 2023); `plain-cnn` is its twin.

    Parameters
    ----------
    shape : (h, w)
        Size of the crops, even, 16×16 or more.
    n_classes : int
        Number of expressions.
    wavelet : "haar" or "db2"
        The transform, inside the network.
    width : int
        Channels of the first stage; both others double them.
    dropout : float
        Share of features dropped after each stage, and twice that before the last layer.
    """
    return _network(shape, n_classes, "wavelet-cnn", wavelet, width, dropout)


def plain_cnn(shape: CropShape, n_classes: int, *, width: int = 32, dropout: float = 0.25) -> keras.Model:
    """The twin of `wavelet-cnn` without the transform: the same layers on the gray face, the first with stride 2.

    Parameters
    ----------
    shape : (h, w)
        Size of the crops, even, 16×16 or more.
    n_classes : int
        Number of expressions.
    width : int
        Channels of the first stage; both others double them.
    dropout : float
        Share of features dropped after each stage, and twice that before the last layer.
    """
    return _network(shape, n_classes, "plain-cnn", None, width, dropout)


def _network(
    shape: CropShape, n_classes: int, name: str, wavelet: str | None, width: int, dropout: float
) -> keras.Model:
    check_share(name, **{"twice dropout": 2 * dropout if isinstance(dropout, float | int) else dropout})
    if not is_integer(width) or width < 1:
        raise ParameterError(f"width of {name} is a whole number", got=repr(width), expected="1 or more")
    if any(side is not None and side % 2 for side in shape):
        raise ParameterError(f"{name} halves the crops", got=f"{shape[0]}×{shape[1]}", expected="an even size")
    image, x = gray_crops(shape, name, smallest=16, is_fixed=True)
    if wavelet is not None:
        x = wavelet_layer(x, wavelet)
    for stage in range(3):
        stride = 2 if wavelet is None and not stage else 1
        for _ in range(2):
            x = layers.Conv2D(width * 2**stage, 3, strides=stride, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization()(x))
            stride = 1
        x = layers.Dropout(dropout)(layers.MaxPooling2D(2)(x))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(8 * width, use_bias=False)(layers.Flatten()(x))))
    return probabilities(image, layers.Dropout(2 * dropout)(x), n_classes, name.replace("-", "_"))
