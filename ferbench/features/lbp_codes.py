"""Local binary pattern codes of many crops at once, equal bit for bit to ``skimage.feature.local_binary_pattern``.

Neighbour ``p`` of ``points`` lies on a circle of ``radius`` pixels, anticlockwise from the right; bit ``p`` is set
where its bilinearly interpolated value is not below the centre's. Pixels outside the crop count as 0 [1]_.

Equality to the last bit needs care where the interpolated value *equals* the centre's (any flat patch): there the
outcome hangs on floating-point rounding, which in scikit-image depends on the pixel's position, since its weights
are the fractions of absolute coordinates. The general path therefore takes its weights the same way. The path for
eight points at radius 1, which nearly all use, decides in 16-bit integers and asks the general formula only where
these cannot tell.

References
----------
.. [1] T. Ojala, M. Pietikäinen, T. Mäenpää: Multiresolution gray-scale and rotation invariant texture classification
       with local binary patterns. IEEE TPAMI 24(7), 2002.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["METHODS", "lbp_codes", "lbp_labels", "n_labels", "neighbours"]

METHODS = ("default", "ror", "uniform", "nri-uniform")
"""``default``: each code its own label; ``ror``: codes that are rotations of each other share one; ``uniform``: number
of set bits of codes with at most two changes around the circle, one label for all others; ``nri-uniform``: the same,
with rotations told apart."""

_CHUNK_PIXELS = 8 * 48 * 48
"""Pixels worked on at once: enough to spread the cost of the calls, few enough for the temporary arrays to stay in a
CPU's cache."""

Codes = npt.NDArray[np.uint16]
_Grid = npt.NDArray[np.float64]


def n_labels(points: int, method: str) -> int:
    """Number of different labels that a method gives."""
    if method == "ror":
        return int(lbp_labels(points, method).max()) + 1
    counts = {"default": 1 << points, "uniform": points + 2, "nri-uniform": points * (points - 1) + 3}
    return counts[method]


@cache
def lbp_labels(points: int, method: str) -> npt.NDArray[np.intp]:
    """(2 ** points,) label of each code, numbered as scikit-image numbers them; ``ror``: without its gaps."""
    codes = np.arange(2**points)
    if method == "default":
        return codes
    if method == "ror":
        rotated = [codes >> p | (codes << (points - p) & (2**points - 1)) for p in range(points)]
        return np.unique(np.min(rotated, axis=0), return_inverse=True)[1]
    bits = codes[:, None] >> np.arange(points) & 1
    ones = bits.sum(axis=1)
    before = np.roll(bits, 1, axis=1)
    is_uniform = (bits != before).sum(axis=1) <= 2
    if method == "uniform":
        return np.where(is_uniform, ones, points + 1)
    # A uniform code is one run of set bits; its label tells the run's length and, against the bits, its start.
    start = np.argmax((bits == 1) & (before == 0), axis=1)
    label = 1 + (ones - 1) * points + -start % points
    label[ones == 0], label[ones == points] = 0, points * (points - 1) + 1
    return np.where(is_uniform, label, points * (points - 1) + 2)


def lbp_codes(crops: npt.NDArray[np.uint8], points: int = 8, radius: float = 1.0) -> Codes:
    """(N, h, w) uint16 codes of (N, h, w) uint8 gray crops."""
    n, h, w = crops.shape
    out = np.zeros(crops.shape, np.uint16)
    size = max(1, _CHUNK_PIXELS // (h * w))
    make = _codes_8_1 if (points, radius) == (8, 1) else _codes_general
    for start in range(0, n, size):
        part = slice(start, start + size)
        out[part] = make(crops[part], points, radius)
    return out


@cache
def _offsets(points: int, radius: float) -> list[tuple[float, float]]:
    """Row and column offset of each neighbour, rounded to five decimals as scikit-image does."""
    angles = [2 * math.pi * p / points for p in range(points)]
    return [(round(-radius * math.sin(a), 5), round(radius * math.cos(a), 5)) for a in angles]


def _padded(crops: npt.NDArray[np.uint8], margin: int, dtype: Any) -> npt.NDArray[Any]:
    n, h, w = crops.shape
    padded = np.zeros((n, h + 2 * margin, w + 2 * margin), dtype)
    padded[:, margin:-margin, margin:-margin] = crops
    return padded


def _fractions(length: int, offset: float) -> _Grid:
    """Weight of the farther pixel for each position: zero, but for rounding, where the offset is whole."""
    positions = np.arange(length, dtype=np.float64) + offset
    return np.asarray(positions - np.floor(positions))


def neighbours(crops: npt.NDArray[np.uint8], points: int, radius: float) -> Iterator[_Grid]:
    """The interpolated values (N, h, w) float64 of one neighbour after the other."""
    h, w = crops.shape[1:]
    margin = math.ceil(radius) + 1
    padded = _padded(crops, margin, np.float64)
    along_rows: dict[float, _Grid] = {}  # interpolated between columns; neighbours left and right of it share one
    for dy, dx in _offsets(points, radius):
        y, x = math.floor(dy) + margin, math.floor(dx) + margin
        if dx not in along_rows:
            right = _fractions(w, dx)
            along_rows[dx] = padded[:, :, x : x + w] * (1 - right) + padded[:, :, x + 1 : x + 1 + w] * right
        below = _fractions(h, dy)[:, None]
        between = along_rows[dx]
        yield between[:, y : y + h] * (1 - below) + between[:, y + 1 : y + 1 + h] * below


def _codes_general(crops: npt.NDArray[np.uint8], points: int, radius: float) -> Codes:
    centre = crops.astype(np.float64)
    codes = np.zeros(crops.shape, np.uint16)
    for p, value in enumerate(neighbours(crops, points, radius)):
        codes |= (value >= centre).astype(np.uint16) << np.uint16(p)
    return codes


# With t, l the two straight neighbours beside a diagonal neighbour d of the centre c, and the weights 0.70711 and
# 0.29289 of the five-decimal offsets, interpolated >= c  <=>  70711 (d - c) + 29289 (t - c + l - c) >= 0. The integers
# 70 and 29 have nearly the same ratio and keep the sum within 16 bits (70 * 255 + 29 * 510 = 32,640); the sign can
# differ only where |70 x + 29 y| <= 2 (tested for all x and y).
_DIAGONAL, _STRAIGHT, _UNSURE = np.int16(70), np.int16(29), 2
_BITS = (1 << np.arange(8, dtype=np.uint8))[:, None]


def _codes_8_1(crops: npt.NDArray[np.uint8], points: int, radius: float) -> Codes:
    n, h, w = crops.shape
    padded = _padded(crops, 1, np.int16)
    # Seen as one long row, a neighbour is a fixed distance away; all steps run over contiguous memory, and what is
    # computed for the margins in passing is thrown away. Neighbours are worked on together: with a single crop, it is
    # the number of calls that takes the time.
    flat, width = padded.ravel(), w + 2
    first = width + 1
    length = flat.size - 2 * first
    differences = np.empty((points, length), np.int16)
    for difference, (dy, dx) in zip(differences, _offsets(points, radius), strict=True):
        start = first + round(dy) * width + round(dx)
        np.subtract(flat[start : start + length], flat[first : first + length], out=difference)
    straight, diagonal = differences[::2], differences[1::2]
    is_set = np.empty(differences.shape, bool)
    np.greater_equal(straight, 0, out=is_set[::2])
    beside = np.empty_like(straight)
    np.add(straight[:-1], straight[1:], out=beside[:-1])
    np.add(straight[-1], straight[0], out=beside[-1])
    beside *= _STRAIGHT
    diagonal *= _DIAGONAL
    beside += diagonal
    np.greater(beside, 0, out=is_set[1::2])
    is_unsure = np.abs(beside, out=beside) <= _UNSURE
    is_unsure &= _is_inside(n, h, w)
    which, unsure = np.divmod(np.flatnonzero(is_unsure), length)
    is_set[2 * which + 1, unsure] = _is_set_at(flat, unsure + first, (h, w), which)
    # numpy multiplies bytes eight times as fast as it shifts them.
    bits = is_set.view(np.uint8)
    bits *= _BITS
    codes = np.zeros(flat.size, np.uint8)
    np.bitwise_or.reduce(bits, axis=0, out=codes[first : first + length])
    return codes.reshape(padded.shape)[:, 1:-1, 1:-1].astype(np.uint16)


@lru_cache(maxsize=8)
def _is_inside(n: int, h: int, w: int) -> npt.NDArray[np.bool_]:
    """Which pixels of crops with a margin of one, as one long row from the first to the last inside, are no margin."""
    inside = _padded(np.ones((n, h, w), np.uint8), 1, bool).ravel()
    return inside[w + 3 : inside.size - (w + 3)]


@lru_cache(maxsize=8)
def _diagonal_fractions(h: int, w: int) -> tuple[_Grid, _Grid]:
    """Weights of the farther row (4, h) and column (4, w) for each diagonal neighbour."""
    diagonal = _offsets(8, 1)[1::2]
    return np.stack([_fractions(h, dy) for dy, _ in diagonal]), np.stack([_fractions(w, dx) for _, dx in diagonal])


def _is_set_at(
    flat: npt.NDArray[np.int16], centre: npt.NDArray[np.intp], shape: tuple[int, int], which: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    """The general formula for single pixels and one of their diagonal neighbours each.

    Pixels are indices into (N, h + 2, w + 2) crops with a margin of one, seen as one long row.
    """
    (h, w), width = shape, shape[1] + 2
    row, column = np.divmod(centre % ((h + 2) * width), width)
    fractions = _diagonal_fractions(h, w)
    below, right = fractions[0][which, row - 1], fractions[1][which, column - 1]
    away = np.array([math.floor(dy) * width + math.floor(dx) for dy, dx in _offsets(8, 1)[1::2]])
    corner = centre + away[which]
    top = flat[corner] * (1 - right) + flat[corner + 1] * right
    bottom = flat[corner + width] * (1 - right) + flat[corner + width + 1] * right
    return np.asarray(top * (1 - below) + bottom * below >= flat[centre])
