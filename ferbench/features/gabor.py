"""A bank of Gabor filters, of which the magnitudes are averaged over the cells of a grid."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ferbench.errors import ParameterError
from ferbench.features.base import (
    Crops,
    Matrix,
    StatelessFeatures,
    check_crops,
    check_integer,
    check_number,
    grid_means,
)

__all__ = ["Gabor", "gabor_magnitudes"]

_CHUNK = 64
_EXTENT = 3
"""Standard deviations after which the envelope ends, as in scikit-image."""
_BANDWIDTH = math.sqrt(math.log(2) / 2) / math.pi * 3
"""Standard deviation of the envelope in wavelengths, for a bandwidth of one octave."""


class Gabor(StatelessFeatures):
    """Mean magnitudes of the responses to Gabor filters of several wavelengths and orientations [1]_ [2]_.

    A round envelope, one octave wide, is a product of a function of the row and one of the column, and so is the
    wave: all responses of a crop are two matrix products for each filter. They equal ``skimage.filters.gabor``.

    Parameters
    ----------
    scales : int
        Wavelengths, half an octave apart.
    orientations : int
        Directions of the wave, spread evenly over 180 degrees.
    shortest : float
        Shortest wavelength in pixels; with five scales, 4 makes 4 to 16 pixels.
    step : int
        Responses are taken at every ``step``-th pixel of both directions; the magnitude is smooth.
    grid : int
        Cells along each side.

    References
    ----------
    .. [1] M. Lyons, S. Akamatsu, M. Kamachi, J. Gyoba: Coding facial expressions with Gabor wavelets. FG 1998.
    .. [2] M. Bartlett, G. Littlewort, M. Frank, C. Lainscsek, I. Fasel, J. Movellan: Recognizing facial expression:
           machine learning and application to spontaneous behavior. CVPR 2005.

    Examples
    --------
    >>> import numpy as np
    >>> Gabor().transform(np.zeros((2, 48, 48), np.uint8)).shape
    (2, 2560)
    """

    def __init__(
        self, scales: int = 5, orientations: int = 8, shortest: float = 4.0, step: int = 2, grid: int = 8
    ) -> None:
        self.scales = scales
        self.orientations = orientations
        self.shortest = shortest
        self.step = step
        self.grid = grid

    def transform(self, X: Crops) -> Matrix:
        """(N, scales * orientations * grid * grid) float32, filter by filter, in each its cells from the top left."""
        check_integer("scales", self.scales, 1, 12)
        check_integer("orientations", self.orientations, 1, 64)
        check_number("shortest", self.shortest, 2, 256)
        check_integer("step", self.step, 1)
        check_integer("grid", self.grid, 1)
        longest = self.shortest * 2 ** ((self.scales - 1) / 2)
        if longest > 1024:
            raise ParameterError("too many scales for this wavelength", got=f"{longest:.0f} pixels", expected="1024")
        crops = check_crops(X, minimum=self.step * (self.grid - 1) + 1)
        out = np.empty((len(crops), self.scales * self.orientations, self.grid, self.grid), np.float32)
        for start in range(0, len(crops), _CHUNK):
            part = crops[start : start + _CHUNK].astype(np.float32) / np.float32(255)
            for scale in range(self.scales):
                for orientation in range(self.orientations):
                    angle = math.pi * orientation / self.orientations
                    magnitudes = gabor_magnitudes(part, self.shortest * 2 ** (scale / 2), angle, self.step)
                    index = scale * self.orientations + orientation
                    out[start : start + _CHUNK, index] = grid_means(magnitudes, self.grid)
        return out.reshape(len(crops), math.prod(out.shape[1:]))


def gabor_magnitudes(
    gray: npt.NDArray[np.float32], wavelength: float, angle: float, step: int = 1
) -> npt.NDArray[np.float32]:
    """Magnitude of the complex response to one filter, at every ``step``-th pixel.

    Parameters
    ----------
    gray : (N, h, w) float32
        Beyond its border the crop is mirrored, border pixels doubled.
    wavelength : float
        Pixels.
    angle : float
        Direction of the wave in radians, from the right towards the bottom.
    step : int

    Returns
    -------
    (N, ceil(h / step), ceil(w / step)) float32
    """
    n, h, w = gray.shape
    across = _operator(w, wavelength, math.cos(angle), math.sin(angle), step)
    down = _operator(h, wavelength, math.sin(angle), math.cos(angle), step)
    # Real and imaginary parts side by side: one product of many columns is faster than complex arithmetic.
    rows, columns = len(down), len(across)
    first = gray.reshape(-1, w) @ np.concatenate([across.real, across.imag]).T
    both = np.concatenate([down.real, down.imag]) @ first.reshape(n, h, 2 * columns)
    real = both[:, :rows, :columns] - both[:, rows:, columns:]
    imaginary = both[:, :rows, columns:] + both[:, rows:, :columns]
    real *= real
    imaginary *= imaginary
    real += imaginary
    return np.asarray(np.sqrt(real, out=real))


@lru_cache(maxsize=512)
def _operator(length: int, wavelength: float, along: float, other: float, step: int) -> npt.NDArray[np.complex64]:
    """(ceil(length / step), length): convolution along one direction, mirrored at the border, as a matrix."""
    sigma = _BANDWIDTH * wavelength
    reach = math.ceil(max(abs(_EXTENT * sigma * along), abs(_EXTENT * sigma * other), 1))
    away = np.arange(-reach, reach + 1)
    kernel = np.exp(-(away**2) / (2 * sigma**2) + 2j * math.pi * along / wavelength * away)
    kernel /= math.sqrt(2 * math.pi) * sigma
    source = np.pad(np.arange(length), reach, mode="symmetric")
    operator = np.zeros((length, length), np.complex128)
    for offset, value in zip(away, kernel, strict=True):
        # Convolution turns the filter round: the pixel at -offset meets the value at offset.
        np.add.at(operator, (np.arange(length), source[np.arange(length) + reach - offset]), value)
    return operator[::step].astype(np.complex64)
