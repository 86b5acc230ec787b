"""Eleven things that go wrong with a face crop between a camera and a classifier, each at five severities.

The idea, five severities and the mean over them, is that of Hendrycks and Dietterich, *Benchmarking neural network
robustness to common corruptions and perturbations*, ICLR 2019. Their parameters are for photographs of 224 pixels and
objects of a thousand kinds; these are for faces. Lengths are shares of the crop's side, and what depends on pixels is
stated for a face of 48 of them (:data:`FACE`), so that a larger crop is spoilt alike; only the blocks of JPEG have a
size of their own. Everything is numpy and OpenCV.

Whatever is drawn at random (noise, directions, the covered region) is drawn from ``(seed, name, severity, index)`` of
one face alone: the same faces come out however they are split into batches, and on every machine, but for single gray
levels where another build of OpenCV rounds otherwise.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, cos, pi, sin
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.errors import ParameterError, ShapeError, UnknownNameError

__all__ = ["CORRUPTIONS", "SEVERITIES", "Corruption", "corrupt"]

SEVERITIES = (1, 2, 3, 4, 5)

Crop = npt.NDArray[np.uint8]
_Apply = Callable[[Crop, float, np.random.Generator], npt.NDArray[Any]]

FACE = 48
"""Pixels across the face for which pixel-bound values are stated, FER2013's size."""

_PHOTONS = 400.0
"""Photons that a white pixel collects in good light; of fewer, shot noise becomes visible, as in a dim room."""

_REGIONS = {"eyes": 0.38, "mouth": 0.76}
"""Height of the middle of a region in a crop cut as detectors cut it, as a share of the side."""

_COVERED_WIDTH = 0.8


@dataclass(frozen=True)
class Corruption:
    """One kind of damage.

    Attributes
    ----------
    name : str
    title : str
        What happens.
    parameter : str
        What :attr:`values` are.
    values : tuple of float
        The parameter at severities 1 to 5.
    apply : callable
        ``(crop (h, w) uint8, value, generator) -> (h, w)`` of values in [0, 255].
    """

    name: str
    title: str
    parameter: str
    values: tuple[float, float, float, float, float]
    apply: _Apply


def corrupt(crops: npt.NDArray[np.uint8], name: str, severity: int, *, seed: int = 0, index: npt.ArrayLike = 0) -> Crop:
    """Spoil face crops.

    Parameters
    ----------
    crops : (N, h, w) uint8, gray
        Left as they are.
    name : str
        One of :data:`CORRUPTIONS`.
    severity : int
        1 to 5; there is no 0.
    seed : int
    index : int or (N,) int
        Place of each crop among all the faces, where ``crops`` is some of them; a single number is that of the first
        of a batch.

    Returns
    -------
    (N, h, w) uint8, gray

    Raises
    ------
    UnknownNameError, ParameterError, ShapeError

    Examples
    --------
    >>> corrupt(np.full((1, 48, 48), 100, np.uint8), "over-exposure", 3).max()
    np.uint8(200)
    """
    if name not in CORRUPTIONS:
        raise UnknownNameError("corruption", name, CORRUPTIONS)
    if severity not in SEVERITIES:
        raise ParameterError("no such severity", got=severity, expected="1 to 5")
    if crops.ndim != 3 or crops.dtype != np.uint8:
        raise ShapeError("crops have the wrong form", got=f"{crops.shape} {crops.dtype}", expected="(N, h, w) uint8")
    places = np.asarray(index, dtype=np.int64)
    places = places + np.arange(len(crops)) if places.ndim == 0 else places
    if places.shape != (len(crops),):
        raise ShapeError("index and crops differ in length", got=places.shape, expected=f"({len(crops)},)")
    kind, spoilt = CORRUPTIONS[name], np.empty_like(crops)
    value, key = kind.values[severity - 1], zlib.crc32(name.encode())
    for i, crop in enumerate(crops):
        generator = np.random.default_rng([seed, key, severity, int(places[i])])
        spoilt[i] = np.clip(np.rint(kind.apply(crop, value, generator)), 0, 255)
    return spoilt


def _noise(crop: Crop, value: float, generator: np.random.Generator) -> npt.NDArray[Any]:
    import cv2

    height, width = crop.shape
    finer = max(1.0, max(crop.shape) / FACE)
    # Noise of single pixels would vanish when a large crop is made as small as a network's input.
    grain = generator.standard_normal((round(height / finer), round(width / finer)), dtype=np.float32)
    if finer > 1:
        grain = np.asarray(cv2.resize(grain, (width, height), interpolation=cv2.INTER_NEAREST))
    return crop + 255 * value * grain


def _motion_blur(crop: Crop, value: float, generator: np.random.Generator) -> npt.NDArray[Any]:
    length, angle = value * max(crop.shape), generator.uniform(0, pi)
    reach = ceil(length / 2)
    kernel = np.zeros((2 * reach + 2, 2 * reach + 2))
    t = np.linspace(-length / 2, length / 2, 8 * ceil(length) + 1)
    x, y = t * cos(angle) + reach, t * sin(angle) + reach
    left, top = x.astype(np.int64), y.astype(np.int64)
    # A point between pixels counts for its four neighbours.
    for right, below in ((0, 0), (1, 0), (0, 1), (1, 1)):
        share = np.abs(1 - right - (x - left)) * np.abs(1 - below - (y - top))
        np.add.at(kernel, (top + below, left + right), share)
    return _filter(crop, kernel[:-1, :-1])


def _defocus_blur(crop: Crop, value: float, generator: np.random.Generator) -> npt.NDArray[Any]:
    radius = value * max(crop.shape)
    reach = ceil(radius + 0.5)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _filter(crop, np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def _filter(crop: Crop, kernel: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    import cv2

    # In doubles, since the order of additions differs between processors.
    return np.asarray(cv2.filter2D(crop, cv2.CV_64F, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE))


def _low_light(crop: Crop, value: float, generator: np.random.Generator) -> npt.NDArray[Any]:
    # The light of one face falls on all its pixels, few or many.
    photons = _PHOTONS * min(1.0, FACE / max(crop.shape)) ** 2
    return np.asarray(generator.poisson(crop * (value * photons / 255)) * (255 / photons))


def _over_exposure(crop: Crop, value: float, generator: np.random.Generator) -> npt.NDArray[Any]:
    return crop * np.float32(value)


def _contrast(crop: Crop, value: float, generator: np.random.Generator) -> npt.NDArray[Any]:
    middle = crop.mean()
    return np.asarray((crop - middle) * value + middle)


def _jpeg(crop: Crop, value: float, generator: np.random.Generator) -> npt.NDArray[Any]:
    import cv2

    _, code = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, int(value)])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE))


def _occlusion(crop: Crop, value: float, generator: np.random.Generator) -> npt.NDArray[Any]:
    height, width = crop.shape
    middle = _REGIONS[str(generator.choice(list(_REGIONS)))] * height
    half, margin = value * height / 2, (1 - _COVERED_WIDTH) / 2 * width
    covered = crop.copy()
    # From sunglasses to a white mask.
    covered[round(middle - half) : round(middle + half), round(margin) : round(width - margin)] = generator.integers(
        256
    )
    return covered


def _rotation(crop: Crop, value: float, generator: np.random.Generator) -> npt.NDArray[Any]:
    return _warp(crop, angle=value * _sign(generator))


def _misplaced_box(crop: Crop, value: float, generator: np.random.Generator) -> npt.NDArray[Any]:
    direction = generator.uniform(0, 2 * pi)
    shift = (value * cos(direction), value * sin(direction))
    return _warp(crop, scale=(1 + value) ** _sign(generator), shift=shift)


def _sign(generator: np.random.Generator) -> int:
    return 1 if generator.random() < 0.5 else -1


def _warp(
    crop: Crop, *, angle: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
) -> npt.NDArray[Any]:
    """Turn about the middle (degrees), scale, move (shares of the side); outside, the border repeats."""
    import cv2

    height, width = crop.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    matrix[:, 2] += np.array(shift) * (width, height)
    return np.asarray(
        cv2.warpAffine(crop, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def _down_scaling(crop: Crop, value: float, generator: np.random.Generator) -> npt.NDArray[Any]:
    import cv2

    height, width = crop.shape
    left = value / max(FACE, *crop.shape)
    small = cv2.resize(crop, (max(1, round(left * width)), max(1, round(left * height))), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Corruption("noise", "Gaussian noise of a sensor", "standard deviation, share of white",
                       (0.03, 0.06, 0.10, 0.15, 0.22), _noise),
            Corruption("motion-blur", "the face or the camera moves, in any direction", "length, share of the side",
                       (0.06, 0.10, 0.15, 0.21, 0.28), _motion_blur),
            Corruption("defocus-blur", "the lens is out of focus", "radius, share of the side",
                       (0.015, 0.030, 0.045, 0.065, 0.090), _defocus_blur),
            Corruption("low-light", "a dim room, with the shot noise of few photons", "light left, share",
                       (0.60, 0.42, 0.28, 0.18, 0.10), _low_light),
            Corruption("over-exposure", "too much light: what is bright becomes white", "gain",
                       (1.3, 1.6, 2.0, 2.6, 3.4), _over_exposure),
            Corruption("contrast", "haze or a flat camera profile, about the crop's mean", "contrast left, share",
                       (0.70, 0.50, 0.35, 0.22, 0.12), _contrast),
            Corruption("jpeg", "compression, in blocks of 8 pixels whatever the size", "quality",
                       (40, 25, 15, 9, 5), _jpeg),
            Corruption("occlusion", "a bar over eyes or mouth, of any gray", "height, share of the side",
                       (0.10, 0.16, 0.22, 0.28, 0.34), _occlusion),
            Corruption("rotation", "the head is tilted to either side", "degrees",
                       (8, 16, 24, 32, 40), _rotation),
            Corruption("down-scaling", "a small face, enlarged", "pixels left across the face",
                       (29, 22, 16, 12, 9), _down_scaling),
            Corruption("misplaced-box", "the detector's box is shifted, and too large or small", "shift and scale",
                       (0.05, 0.10, 0.15, 0.20, 0.25), _misplaced_box),
        )
    }
)  # fmt: skip
"""Every corruption by name."""
