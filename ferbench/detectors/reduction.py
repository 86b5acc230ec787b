"""Detection on a reduced frame: the image gets smaller, the boxes come back in its own pixels."""

from __future__ import annotations

import numpy as np

from ferbench.checks import check_integer, is_integer
from ferbench.errors import ParameterError
from ferbench.faces import Image

__all__ = ["check_max_side", "check_upsample", "reduce_image"]

Boxes = np.ndarray[tuple[int, int], np.dtype[np.float32]]


def check_max_side(max_side: object) -> None:
    """Raise :class:`ParameterError` unless ``max_side`` is None or an integer of at least 32."""
    if max_side is not None and not (is_integer(max_side) and max_side >= 32):
        raise ParameterError("parameter max_side", got=repr(max_side), expected="None, or 32 pixels or more")


def check_upsample(upsample: object) -> None:
    """Raise :class:`ParameterError` unless ``upsample``, how often an image is doubled, is 0, 1, 2 or 3."""
    check_integer("upsample", upsample, 0, 3)


def reduce_image(image: Image, max_side: int | None) -> tuple[Image, float]:
    """The image with its longer side at most ``max_side`` pixels, and the factor that takes its pixels back.

    Area averaging, so that fine texture does not alias into false edges. An image that is small enough is returned
    as it is, with a factor of 1.
    """
    longer = max(image.shape[:2])
    if max_side is None or longer <= max_side:
        return image, 1.0
    import cv2

    factor = longer / max_side
    size = (max(1, round(image.shape[1] / factor)), max(1, round(image.shape[0] / factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8), factor
