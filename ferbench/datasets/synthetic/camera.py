"""What is around the people in a picture, and what a cheap camera makes of it all."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ferbench.faces import Image

__all__ = ["add_noise", "background", "occlude", "photograph"]


def _muted(rng: np.random.Generator, n: int) -> npt.NDArray[np.float64]:
    """(n, 3) colours of rooms and streets: mostly gray, some with a hue."""
    gray = rng.uniform(35, 220, (n, 1))
    colours: npt.NDArray[np.float64] = np.clip(gray + rng.normal(0.0, 24.0, (n, 3)), 8, 247)
    return colours


def background(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    """(H, W, 3) uint8 RGB clutter: gradients, blurred things far away, sharper ones nearer."""
    width, height = size
    small = (max(8, width // 4), max(8, height // 4))
    top, bottom = _muted(rng, 2)
    ramp = np.linspace(0, 1, small[1])[:, None, None]
    far = np.asarray(np.broadcast_to(top * (1 - ramp) + bottom * ramp, (small[1], small[0], 3)), np.uint8).copy()
    _clutter(rng, far, int(rng.integers(3, 10)))
    blurred = cv2.GaussianBlur(far, (0, 0), float(rng.uniform(1.0, 4.0)))
    image = np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    _clutter(rng, image, int(rng.integers(0, 5)))
    return image


def _clutter(rng: np.random.Generator, image: Image, n: int) -> None:
    """Draw n rectangles, discs and bars."""
    height, width = image.shape[:2]
    for _ in range(n):
        r, g, b = (int(c) for c in _muted(rng, 1)[0])
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        w, h = int(rng.uniform(0.05, 0.4) * width), int(rng.uniform(0.05, 0.5) * height)
        kind = int(rng.integers(3))
        if kind == 0:
            cv2.rectangle(image, (x - w // 2, y - h // 2), (x + w // 2, y + h // 2), (r, g, b), -1, cv2.LINE_AA)
        elif kind == 1:
            cv2.circle(image, (x, y), max(2, min(w, h) // 2), (r, g, b), -1, cv2.LINE_AA)
        else:
            end = (int(rng.integers(0, width)), int(rng.integers(0, height)))
            cv2.line(image, (x, y), end, (r, g, b), max(1, w // 12), cv2.LINE_AA)


@lru_cache(maxsize=1)
def _noise_tile() -> npt.NDArray[np.int8]:
    """(1024, 1400, 3) normal noise of standard deviation 32: pictures take a random part of it."""
    noise = np.random.default_rng(48).standard_normal((1024, 1400, 3), dtype=np.float32)
    return np.clip(np.rint(32 * noise), -127, 127).astype(np.int8)


def add_noise(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    """The image with sensor noise of a standard deviation in gray levels; 0 leaves it as it is."""
    if sigma <= 0:
        return image
    height, width = image.shape[:2]
    tile = _noise_tile()
    reps = (-(-(height + 64) // tile.shape[0]), -(-(width + 64) // tile.shape[1]), 1)
    tile = np.tile(tile, reps) if max(reps) > 1 else tile
    y, x = int(rng.integers(0, tile.shape[0] - height)), int(rng.integers(0, tile.shape[1] - width))
    noise = tile[y : y + height, x : x + width]
    sign = 1.0 if rng.random() < 0.5 else -1.0
    return np.asarray(cv2.addWeighted(image, 1.0, noise, sign * sigma / 32.0, 0.0, dtype=cv2.CV_8U), np.uint8)


def photograph(image: Image, rng: np.random.Generator) -> Image:
    """What a cheap camera makes of a picture: a little blur, now and then of motion, and noise."""
    kind = rng.random()
    if kind < 0.55:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.1))), np.uint8)
    elif kind < 0.65:
        length = int(rng.integers(3, 6))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1.0 / length
        image = np.asarray(cv2.filter2D(image, -1, kernel if rng.random() < 0.5 else kernel.T), np.uint8)
    return add_noise(image, float(rng.gamma(2.0, 1.8)), rng)


def occlude(image: Image, box: npt.NDArray[np.float32], rng: np.random.Generator) -> None:
    """Put a thing in front of a small part of the face: at the forehead, a cheek or the chin."""
    x0, y0, x1, y1 = (float(v) for v in box)
    w, h = x1 - x0, y1 - y0
    where = int(rng.integers(3))
    r, g, b = (int(c) for c in _muted(rng, 1)[0])
    if where == 0:
        centre, axes = (x0 + 0.5 * w, y0 - 0.12 * h), (0.62 * w, rng.uniform(0.18, 0.28) * h)
    elif where == 1:
        side = x0 if rng.random() < 0.5 else x1
        centre, axes = (side, y0 + rng.uniform(0.5, 0.9) * h), (rng.uniform(0.10, 0.22) * w, rng.uniform(0.15, 0.3) * h)
    else:
        centre, axes = (x0 + 0.5 * w, y1 + 0.08 * h), (0.5 * w, rng.uniform(0.12, 0.2) * h)
    place = (int(centre[0]), int(centre[1])), (int(axes[0]), int(axes[1]))
    cv2.ellipse(image, place[0], place[1], float(rng.uniform(-15, 15)), 0, 360, (r, g, b), -1, cv2.LINE_AA)
