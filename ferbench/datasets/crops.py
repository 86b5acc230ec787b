"""Many image files at once: which can be read and how large they are, and small ones as one array of gray crops."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from ferbench.checks import check_integer
from ferbench.datasets.archives import FileSource
from ferbench.datasets.decode import MIN_SIDE, read_image
from ferbench.datasets.paths import cache_dir
from ferbench.errors import DataError
from ferbench.faces import as_gray

__all__ = ["check_side", "image_shapes", "read_crops"]

LARGEST_SIDE = 1024
LARGEST_IN_MEMORY = 512 * 2**20
"""Bytes of crops that are held in memory while they are read; AffectNet has five times as many."""


def check_side(size: int) -> int:
    """Return the side of a crop in pixels if it is one, 8 to 1024."""
    return check_integer("size", size, MIN_SIDE, LARGEST_SIDE)


def image_shapes(source: FileSource, names: Sequence[str]) -> tuple[dict[str, tuple[int, int]], dict[str, str]]:
    """Decode every image once, to know before any work starts which ones cannot be read.

    Returns
    -------
    shapes : {name: (height, width)}
        The readable ones.
    unreadable : {name: reason}
    """
    shapes: dict[str, tuple[int, int]] = {}
    unreadable: dict[str, str] = {}
    for name in names:
        try:
            image = read_image(source.read(name), name=name)
        except DataError as error:
            unreadable[name] = str(error).removeprefix(f"{name} ")
        else:
            shapes[name] = (image.shape[0], image.shape[1])
    return shapes, unreadable


def _scratch(shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """An uninitialised uint8 array; a large one lies in an unnamed file of the cache instead of in memory."""
    if prod(shape) <= LARGEST_IN_MEMORY:
        return np.empty(shape, dtype=np.uint8)
    cache_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=cache_dir()) as file:  # the map keeps the file alive after it is closed
        return np.memmap(file, dtype=np.uint8, shape=shape)


def read_crops(
    source: FileSource, names: Sequence[str], *, size: int, must_fit: bool = False
) -> tuple[npt.NDArray[np.uint8], dict[str, str]]:
    """Read images as square gray crops.

    Parameters
    ----------
    source : FileSource
    names : sequence of str
        Files of the source.
    size : int
        Side of a crop in pixels; other sizes are resized to it (area average when shrinking).
    must_fit : bool
        Refuse an image of another size instead of resizing it.

    Returns
    -------
    crops : (K, size, size) uint8 gray
        The readable ones, in order.
    unreadable : {name: reason}
    """
    import cv2

    crops = _scratch((len(names), size, size))
    unreadable: dict[str, str] = {}
    n = 0
    for name in names:
        try:
            image = as_gray(read_image(source.read(name), name=name))
        except DataError as error:
            unreadable[name] = str(error).removeprefix(f"{name} ")
            continue
        if image.shape != (size, size):
            if must_fit:
                unreadable[name] = f"{image.shape[1]}×{image.shape[0]} pixels, expected {size}×{size}"
                continue
            shrinks = min(image.shape) > size
            image = np.asarray(
                cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR),
                dtype=np.uint8,
            )
        crops[n] = image
        n += 1
    return crops[:n], unreadable
