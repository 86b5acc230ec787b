"""From boxes to crops: the square that a classifier sees of a face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.errors import ShapeError
from ferbench.faces import Faces, Image, as_gray
from ferbench.registry import check_values

__all__ = ["CROP_SIDE", "check_crops", "check_step", "crop_faces", "resize_crops"]

CROP_SIDE = 48
"""Side of the crops in pixels, unless a pipeline says otherwise; FER2013's."""


def crop_faces(
    images: Sequence[Image],
    faces: Faces,
    *,
    size: int = CROP_SIDE,
    scale: float = 1.0,
    shift: float = 0.0,
    eyes: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.uint8]:
    """Cut, gray and resize every face.

    Parameters
    ----------
    images : sequence of (H, W, 3) RGB or (H, W) gray uint8
        The batch that ``faces`` refers to.
    faces : Faces
    size : int
        Side of the crops, pixels.
    scale : float
        Side of the square cut out, in longer sides of the box.
    shift : float
        How far the square's centre lies below the box's centre, in longer sides of the box (negative: above).
    eyes : (N, 2, 2) float32, optional
        Centres of the eyes of each face, the left one in the image first; x, y in pixels. The square is turned about
        the box's centre until they are level, and ``shift`` follows the face's own vertical. Its size stays the box's:
        the distance of the eyes shrinks as a head turns away. Faces with NaN are cut upright.

    Returns
    -------
    (N, size, size) uint8, gray
        In the order of ``faces``. What lies outside the image repeats its border.
    """
    crops = np.empty((len(faces), size, size), np.uint8)
    for i, (box, image) in enumerate(zip(faces.xyxy, faces.image_index, strict=True)):
        if eyes is None or np.isnan(eyes[i]).any():
            crops[i] = _crop(images[int(image)], box, size, scale, shift)
        else:
            crops[i] = _level_crop(images[int(image)], box, eyes[i], size, scale, shift)
    return crops


def _crop(image: Image, box: npt.NDArray[np.float32], size: int, scale: float, shift: float) -> Image:
    import cv2

    height, width = image.shape[:2]
    longer = float(max(box[2] - box[0], box[3] - box[1], 1.0))
    side = max(1, round(longer * scale))
    x, y = (float(box[0]) + float(box[2])) / 2, (float(box[1]) + float(box[3])) / 2 + shift * longer
    # At least one pixel of the image stays inside: without it there is no border to repeat.
    left = min(max(round(x - side / 2), 1 - side), width - 1)
    top = min(max(round(y - side / 2), 1 - side), height - 1)
    inside = image[max(top, 0) : top + side, max(left, 0) : left + side]
    gray = as_gray(inside)
    margins = (max(-top, 0), max(top + side - height, 0), max(-left, 0), max(left + side - width, 0))
    if any(margins):
        gray = np.asarray(cv2.copyMakeBorder(gray, *margins, cv2.BORDER_REPLICATE), dtype=np.uint8)
    return _resize(gray, size)


def _level_crop(
    image: Image,
    box: npt.NDArray[np.float32],
    eyes: npt.NDArray[np.float32],
    size: int,
    scale: float,
    shift: float,
) -> Image:
    import cv2

    height, width = image.shape[:2]
    longer = float(max(box[2] - box[0], box[3] - box[1], 1.0))
    side = max(1, round(longer * scale))
    right = (eyes[1] - eyes[0]).astype(np.float64)
    distance = float(np.hypot(*right))
    cos, sin = right / distance if distance > 0 else (1.0, 0.0)
    x = (float(box[0]) + float(box[2])) / 2 - sin * shift * longer
    y = (float(box[1]) + float(box[3])) / 2 + cos * shift * longer
    # What the turned square covers, and a pixel around it to interpolate with; at least one pixel of the image.
    reach = side * (abs(cos) + abs(sin)) / 2 + 2
    left, top = (min(max(int(v - reach), 0), end - 1) for v, end in ((x, width), (y, height)))
    gray = as_gray(image[top : max(top + 1, int(y + reach) + 1), left : max(left + 1, int(x + reach) + 1)])
    # Pixel centres: the middle of an n pixels wide crop is at (n - 1) / 2.
    middle = (side - 1) / 2
    x, y = x - 0.5 - left, y - 0.5 - top
    to_image = np.array([[cos, -sin, x - middle * (cos - sin)], [sin, cos, y - middle * (sin + cos)]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    turned = cv2.warpAffine(gray, to_image, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return _resize(np.asarray(turned, dtype=np.uint8), size)


def _resize(gray: Image, size: int) -> Image:
    import cv2

    if gray.shape == (size, size):
        return gray
    # Area averaging when shrinking: bilinear sampling would alias skin texture into false LBP codes.
    method = cv2.INTER_AREA if min(gray.shape) > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(gray, (size, size), interpolation=method), dtype=np.uint8)


def resize_crops(crops: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Crops (N, h, w) uint8 in another size; unchanged where they have it already."""
    if crops.shape[1:] == (size, size):
        return crops
    return np.stack([_resize(crop, size) for crop in crops]) if len(crops) else np.empty((0, size, size), np.uint8)


def check_crops(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The crops themselves, if they are (N, h, w) uint8 gray; :class:`ShapeError` otherwise."""
    if not (isinstance(crops, np.ndarray) and crops.ndim == 3 and crops.dtype == np.uint8):
        got = f"{crops.shape} {crops.dtype}" if isinstance(crops, np.ndarray) else type(crops).__name__
        raise ShapeError("crops have the wrong form", got=got, expected="(N, h, w) uint8 gray")
    return crops


def check_step(step: Any, side: int = CROP_SIDE) -> None:
    """Have features or a classifier look at their parameters' values; what learns nothing is tried on a blank crop.

    Raises
    ------
    ParameterError, ShapeError
        A value cannot be, or not with crops of that side.
    """
    check_values(step)
    if getattr(step, "is_stateless", False):
        step.fit(np.zeros((1, side, side), np.uint8))
