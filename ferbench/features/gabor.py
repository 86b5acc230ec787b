"""A bank of Gabor filters, of which the magnitudes are averaged over the cells of a grid."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ferbench.checks import check_integer, check_number
from ferbench.errors import ParameterError
from ferbench.features.base import Crops, Matrix, StatelessFeatures, cell_shares, check_crops

__all__ = ["Gabor", "gabor_magnitudes"]

_CHUNK = 4
"""Crops filtered at once: the products of 25 filters with four crops take 0.9 MB, and stay in a core's cache."""
_EXTENT = 3
"""Standard deviations after which the envelope ends, as in scikit-image."""
_BANDWIDTH = math.sqrt(math.log(2) / 2) / math.pi * 3
"""Standard deviation of the envelope in wavelengths, for a bandwidth of one octave."""


class Gabor(StatelessFeatures):
    """Mean magnitudes of the responses to Gabor filters of several wavelengths and orientations [1]_ [2]_.

    A round envelope, one octave wide, is a product of a function of the row and one of the column, and so is the
    wave: all responses of a crop are two matrix products for each filter, which is also those for the filter that is
    its mirror image. They equal ``skimage.filters.gabor``.

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
        wavelengths = tuple(self.shortest * 2 ** (scale / 2) for scale in range(self.scales))
        # Orientation o and the one as far from the vertical on its other side are mirror images.
        half = self.orientations // 2 + 1
        mirrored = range(1, (self.orientations + 1) // 2)
        angles = tuple(math.pi * o / self.orientations for o in range(half))
        across, down = _bank(*crops.shape[1:], wavelengths, angles, self.step)
        rows, columns = (-(-side // self.step) for side in crops.shape[1:])
        share = _shares(rows, columns, self.grid)
        out = np.empty((len(crops), self.scales, self.orientations, self.grid**2), np.float32)
        for start in range(0, len(crops), _CHUNK):
            part = crops[start : start + _CHUNK].astype(np.float32) / np.float32(255)
            products = _products(part, across, down).reshape(len(part), self.scales, half, 2, rows, 2, columns)
            to = out[start : start + _CHUNK]
            to[:, :, :half] = _pooled(_magnitudes(products, 1), share)
            if mirrored:
                turned = _magnitudes(products[:, :, mirrored.start : mirrored.stop], -1)
                to[:, :, : half - 1 : -1] = _pooled(turned, share)
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
    products = _products(gray, *_bank(h, w, (wavelength,), (angle,), step))
    return _magnitudes(products.reshape(n, 2, -(-h // step), 2, -(-w // step)), 1)


def _products(
    gray: npt.NDArray[np.float32], across: npt.NDArray[np.float32], down: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """(N, F, 2 rows, 2 columns): real and imaginary part of each direction's function with those of the other's.

    Real arithmetic, parts side by side: fewer and larger products are faster than complex ones.
    """
    n, h, w = gray.shape
    first = (gray.reshape(-1, w) @ across).reshape(n, h, len(down), -1)
    return np.asarray(down @ first.transpose(0, 2, 1, 3))


def _magnitudes(products: npt.NDArray[np.float32], sign: int) -> npt.NDArray[np.float32]:
    """(..., rows, columns) of (..., 2, rows, 2, columns) products; -1: of the filters mirrored left to right."""
    join, part = (np.subtract, np.add) if sign > 0 else (np.add, np.subtract)
    real = join(products[..., 0, :, 0, :], products[..., 1, :, 1, :])
    imaginary = part(products[..., 1, :, 0, :], products[..., 0, :, 1, :])
    real *= real
    imaginary *= imaginary
    real += imaginary
    return np.asarray(np.sqrt(real, out=real))


def _pooled(magnitudes: npt.NDArray[np.float32], share: Matrix) -> npt.NDArray[np.float32]:
    """(..., cells) means of (..., rows, columns) over the cells: one product, whatever stands in front."""
    means = magnitudes.reshape(-1, len(share)) @ share
    return np.asarray(means.reshape(*magnitudes.shape[:-2], -1))


@lru_cache(maxsize=16)
def _shares(rows: int, columns: int, grid: int) -> Matrix:
    """(rows * columns, grid * grid): what each place contributes to the mean of each cell."""
    return np.ascontiguousarray(np.kron(cell_shares(rows, grid), cell_shares(columns, grid)).T)


@lru_cache(maxsize=16)
def _bank(
    h: int, w: int, wavelengths: tuple[float, ...], angles: tuple[float, ...], step: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(w, F * 2 columns) and (F, 2 rows, h): functions of the column and of the row, real parts before imaginary."""
    across: list[npt.NDArray[np.float32]] = []
    down: list[npt.NDArray[np.float32]] = []
    for wavelength in wavelengths:
        for angle in angles:
            for parts, side, along, other in (
                (across, w, math.cos(angle), math.sin(angle)),
                (down, h, math.sin(angle), math.cos(angle)),
            ):
                operator = _operator(side, wavelength, along, other, step)
                parts.append(np.concatenate([operator.real, operator.imag]))
    return np.ascontiguousarray(np.concatenate(across).T), np.stack(down)


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
