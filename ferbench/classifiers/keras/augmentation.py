"""Random transforms of training crops, on the CPU with OpenCV: about 20 µs a face, on every Keras backend alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ferbench.errors import UnknownNameError

__all__ = ["AUGMENTATIONS", "Augmentation", "augment"]


@dataclass(frozen=True)
class Augmentation:
    """How far a crop may be moved and changed; each figure is the end of a uniform range around no change.

    Attributes
    ----------
    flip : bool
        Mirror every second crop.
    rotation : float
        Degrees.
    shift : float
        Share of the crop's side, in x and y: what a detector's jitter does.
    zoom : float
        0.2 scales by a factor between 1/1.2 and 1.2: what a detector's margin does.
    contrast, brightness : float
        Gain around the mean, and offset as a share of the full range.
    gamma : float
        Exponent between 1/(1+gamma) and 1+gamma.
    blur : float
        Probability of a down- and up-scaled or Gaussian-blurred crop.
    noise : float
        Largest standard deviation of sensor noise, in gray values.
    erase : float
        Probability of a gray rectangle over up to a quarter of the crop (Zhong et al. 2017, random erasing).
    """

    flip: bool = True
    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    gamma: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    erase: float = 0.0


AUGMENTATIONS = {
    "none": Augmentation(flip=False),
    "flip": Augmentation(),
    "flip-rotate": Augmentation(rotation=20),
    "crop-shift-mirror": Augmentation(shift=0.1, zoom=0.1),
    "light": Augmentation(rotation=5, shift=0.05),
    "standard": Augmentation(rotation=12, shift=0.08, zoom=0.12, contrast=0.25, brightness=0.08),
    "strong": Augmentation(
        rotation=15, shift=0.1, zoom=0.2, contrast=0.35, brightness=0.12, gamma=0.3, blur=0.15, noise=6, erase=0.25
    ),
}
"""By name: published recipes' own, and strengths from none to what cameras and detectors do to faces in the wild."""


def augment(
    crops: npt.NDArray[np.uint8], strength: str, rng: np.random.Generator, *, side: int | None = None
) -> npt.NDArray[np.uint8]:
    """Transform every crop at random.

    Parameters
    ----------
    crops : (N, h, w) uint8, gray
    strength : str
        Name in :data:`AUGMENTATIONS`.
    rng : numpy Generator
        Source of all randomness: the same state gives the same crops.
    side : int, optional
        Keep only this central square of every transformed crop.

    Returns
    -------
    (N, h, w) uint8, gray; (N, side, side) with a side
    """
    if strength not in AUGMENTATIONS:
        raise UnknownNameError("augmentation", strength, AUGMENTATIONS)
    how = AUGMENTATIONS[strength]
    window = crops.shape[1:] if side is None else (side, side)
    if strength == "none":
        top, left = ((have - keep) // 2 for have, keep in zip(crops.shape[1:], window, strict=True))
        return crops[:, top : top + window[0], left : left + window[1]]
    moved = _move(crops, how, rng, window)
    moved = _light(moved, how, rng)
    if how.blur or how.noise or how.erase:
        _spoil(moved, how, rng)
    return moved


def _move(
    crops: npt.NDArray[np.uint8], how: Augmentation, rng: np.random.Generator, window: tuple[int, ...]
) -> npt.NDArray[np.uint8]:
    """Mirror, rotate, scale, shift and cut out the central window, as one affine warp a crop."""
    import cv2

    n, height, width = crops.shape
    angle = np.deg2rad(rng.uniform(-how.rotation, how.rotation, n))
    scale = np.exp(rng.uniform(-1, 1, n) * np.log1p(how.zoom))
    shift = rng.uniform(-how.shift, how.shift, (n, 2)) * (width, height)
    mirror = np.where(how.flip & (rng.random(n) < 0.5), -1.0, 1.0)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([np.stack([cos * mirror, -sin], -1), np.stack([sin * mirror, cos], -1)], 1)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = centre + shift - linear @ centre - np.array([(width - window[1]) / 2, (height - window[0]) / 2])
    matrices = np.concatenate([linear, offset[:, :, None]], axis=2)
    out = np.empty((n, *window), np.uint8)
    size = window[::-1]
    for i in range(n):
        cv2.warpAffine(crops[i], matrices[i], size, dst=out[i], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out


def _light(crops: npt.NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Contrast, brightness and gamma, as one look-up table a crop."""
    n = len(crops)
    gain = np.exp(rng.uniform(-1, 1, n) * np.log1p(how.contrast)).astype(np.float32)[:, None]
    offset = (255 * rng.uniform(-how.brightness, how.brightness, n)).astype(np.float32)[:, None]
    gamma = np.exp(rng.uniform(-1, 1, n) * np.log1p(how.gamma)).astype(np.float32)[:, None]
    mean = crops.reshape(n, -1).mean(axis=1, dtype=np.float32)[:, None]
    level = np.arange(256, dtype=np.float32)[None]
    table = 255 * (np.clip((level - mean) * gain + mean + offset, 0, 255) / 255) ** gamma
    looked_up: npt.NDArray[np.uint8] = np.take_along_axis(
        (table + 0.5).astype(np.uint8), crops.reshape(n, -1).astype(np.int64), axis=1
    ).reshape(crops.shape)
    return looked_up


def _spoil(crops: npt.NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> None:
    """Blur, sensor noise and erased rectangles, in place."""
    import cv2

    n, height, width = crops.shape
    for i in np.flatnonzero(rng.random(n) < how.blur):
        if rng.random() < 0.5:
            factor = rng.uniform(0.35, 0.8)
            small = cv2.resize(crops[i], None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            crops[i] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        else:
            crops[i] = cv2.GaussianBlur(crops[i], (0, 0), rng.uniform(0.4, 1.4))
    if how.noise:
        noisy = np.flatnonzero(rng.random(n) < 0.5)
        sigma = rng.uniform(0, how.noise, len(noisy)).astype(np.float32)[:, None, None]
        noise = rng.standard_normal((len(noisy), height, width), dtype=np.float32) * sigma
        crops[noisy] = np.clip(crops[noisy] + noise + 0.5, 0, 255).astype(np.uint8)
    for i in np.flatnonzero(rng.random(n) < how.erase):
        h, w = (int(side * rng.uniform(0.12, 0.5)) for side in (height, width))
        top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        crops[i, top : top + h, left : left + w] = rng.integers(0, 256)
