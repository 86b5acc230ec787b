"""How far faces moved from one frame to the next, without a detector: the median flow of points inside their boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.faces import Image, as_gray

__all__ = ["MedianFlow"]

Boxes = npt.NDArray[np.float32]
Points = npt.NDArray[np.float32]

# The picture in which motion is measured: half of 640×480. Sub-pixel flow makes up for what reduction loses.
_SIDE = 320
# A grid over the middle of the box: its corners show the background.
_GRID, _MARGIN = 4, 0.2
_WINDOW, _LEVELS = 11, 2
# A point that does not come back to within a pixel, flowed there and back, was lost.
_RETURN_PX = 1.0
_FEWEST = 6
# Points that disagree by more than this share of the box are not one face.
_SPREAD = 0.1
# A head does not grow or shrink faster from one frame to the next.
_LARGEST_ZOOM = 1.15


class MedianFlow:
    """Boxes carried along with the picture, by the median flow of the points in them [1]_.

    Pyramidal Lucas-Kanade flow of a grid of points, there and back; its median is the displacement, and the median
    change of the distances between points the change of size.

    All boxes of a frame go through one call of the flow. Remembers the last frame, reduced.

    References
    ----------
    .. [1] Z. Kalal, K. Mikolajczyk, J. Matas: Forward-backward error: automatic detection of tracking failures.
           ICPR, 2010.
    """

    def __init__(self) -> None:
        self._last: Image | None = None
        self._gray: Image | None = None
        self._shape: tuple[int, ...] = ()
        axis = np.linspace(_MARGIN, 1 - _MARGIN, _GRID, dtype=np.float32)
        self._grid = np.stack(np.meshgrid(axis, axis), axis=2).reshape(-1, 2)
        self._pairs = np.triu_indices(len(self._grid), 1)
        self._factor = 1.0

    def see(self, image: Image) -> None:
        """Take the next frame, (H, W, 3) RGB or (H, W) gray uint8; the one before is what :meth:`carry` starts from."""
        import cv2

        self._last = self._gray if image.shape[:2] == self._shape else None
        self._shape = image.shape[:2]
        self._factor = max(1.0, max(self._shape) / _SIDE)
        gray = as_gray(image)
        if self._factor > 1:
            size = (max(1, round(self._shape[1] / self._factor)), max(1, round(self._shape[0] / self._factor)))
            gray = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)
        self._gray = gray

    def carry(self, boxes: Boxes) -> list[Boxes | None]:
        """Where boxes of the last frame are in this one.

        Parameters
        ----------
        boxes : (N, 4) float32
            xyxy in pixels.

        Returns
        -------
        list of N (4,) float32, or None where the points were lost
        """
        if self._last is None or self._gray is None or not len(boxes):
            return [None] * len(boxes)
        start = (boxes[:, None, :2] + self._grid * (boxes[:, None, 2:] - boxes[:, None, :2])) / np.float32(self._factor)
        flat = np.ascontiguousarray(start.reshape(-1, 1, 2), np.float32)
        there, found = _flow(self._last, self._gray, flat)
        back, found_back = _flow(self._gray, self._last, there)
        error = np.abs(back - flat).max(axis=2)
        kept = ((found == 1) & (found_back == 1) & (error < _RETURN_PX)).reshape(len(boxes), -1)
        return self._moved(boxes, start, there.reshape(start.shape), kept)

    def _moved(self, boxes: Boxes, start: Points, end: Points, kept: npt.NDArray[np.bool_]) -> list[Boxes | None]:
        """All boxes at once: numpy's cost of a call is many times that of the few numbers of one face."""
        moves, count = end - start, kept.sum(axis=1)
        shift = _median(moves, kept[:, :, None])
        apart = _median(np.abs(moves - shift[:, None]).max(axis=2), kept)
        i, j = self._pairs
        with np.errstate(divide="ignore", invalid="ignore"):  # a box without extent, which is then lost
            growth = _length(end[:, i] - end[:, j]) / _length(start[:, i] - start[:, j])
        zoom = _median(growth, kept[:, i] & kept[:, j])
        sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) / self._factor
        is_followed = (count >= _FEWEST) & (apart <= _SPREAD * sides)
        is_followed &= (zoom > 1 / _LARGEST_ZOOM) & (zoom < _LARGEST_ZOOM)
        shift, zoom = np.where(is_followed, (shift * np.float32(self._factor)).T, 0).T, np.where(is_followed, zoom, 1)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2 + shift
        half = (boxes[:, 2:] - boxes[:, :2]) / 2 * zoom[:, None].astype(np.float32)
        moved = np.concatenate([middle - half, middle + half], axis=1)
        return [box if ok else None for box, ok in zip(moved, is_followed, strict=True)]


def _flow(first: Image, second: Image, points: Points) -> tuple[Points, npt.NDArray[np.uint8]]:
    """(n, 1, 2) float32 where points of the first picture are in the second, and (n, 1) whether they were found."""
    import cv2

    nowhere: Any = None  # where OpenCV would begin to search; its stubs insist on an array
    window = (_WINDOW, _WINDOW)
    ends, found, _ = cv2.calcOpticalFlowPyrLK(first, second, points, nowhere, winSize=window, maxLevel=_LEVELS)
    return np.asarray(ends, np.float32), np.asarray(found, np.uint8)


def _length(vectors: Points) -> Points:
    return np.asarray(np.hypot(vectors[..., 0], vectors[..., 1]), np.float32)


def _median(values: Points, kept: npt.NDArray[np.bool_]) -> Points:
    """Median over axis 1 of the values that are kept; infinite where none is."""
    ordered = np.sort(np.where(kept, values, np.float32(np.inf)), axis=1)
    count = np.maximum(kept.sum(axis=1, keepdims=True), 1)
    low, high = (np.take_along_axis(ordered, half, axis=1) for half in ((count - 1) // 2, count // 2))
    return np.asarray(((low + high) / 2)[:, 0], np.float32)
