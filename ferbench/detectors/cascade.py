"""Boosted cascades, as OpenCV runs them: what the Haar and the LBP detector share."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferbench.checks import check_integer, is_number
from ferbench.detectors.native import Found, NativeDetector
from ferbench.detectors.reduction import Boxes
from ferbench.errors import ParameterError
from ferbench.faces import Image, as_gray

__all__ = ["CascadeDetector"]

_SAME_FACE = 0.3
"""Boxes of both profiles that overlap by this (intersection over union) are one face."""


class CascadeDetector(NativeDetector):
    """Base of the detectors by a boosted cascade.

    Parameters
    ----------
    scale_factor : float
        Ratio between one detection scale and the next: nearer to 1 finds more and takes longer.
    min_neighbors : int
        Overlapping hits needed for a face: more means fewer false alarms and more misses.
    min_size : int
        Smallest face looked for, in pixels of the image given.
    max_side : int or None
        Larger images are reduced to this for detection; None never reduces.
    align : "eyes" or None
        ``eyes`` turns every crop until the eyes are level.
    """

    looks_both_ways = False
    """Whether the cascade knows faces that look one way only, so that the mirrored image is searched too."""

    def __init__(
        self, scale_factor: float, min_neighbors: int, min_size: int, max_side: int | None, align: str | None
    ) -> None:
        super().__init__(max_side, align)
        self.scale_factor = scale_factor
        self.min_neighbors = min_neighbors
        self.min_size = min_size

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        super().check_parameters()
        if not is_number(self.scale_factor) or not 1 < self.scale_factor <= 4:
            raise ParameterError("parameter scale_factor", got=repr(self.scale_factor), expected="above 1 and up to 4")
        check_integer("min_neighbors", self.min_neighbors, 1)
        check_integer("min_size", self.min_size, 1)

    def _find(self, image: Image, factor: float) -> Found:
        window = max(self._native.getOriginalWindowSize())
        if min(image.shape[:2]) < window:
            return Found.nothing()
        gray, smallest = as_gray(image), max(window, round(self.min_size / factor))
        boxes, scores = self._hits(gray, smallest)
        if self.looks_both_ways:
            mirrored, more = self._hits(np.ascontiguousarray(gray[:, ::-1]), smallest)
            mirrored[:, 0] = gray.shape[1] - mirrored[:, 0] - mirrored[:, 2]
            boxes, scores = _merge(np.concatenate([boxes, mirrored]), np.concatenate([scores, more]))
        xyxy = boxes * np.float32(factor)
        xyxy[:, 2:] += xyxy[:, :2]
        order = np.argsort(-scores, kind="stable")
        return Found(xyxy[order], scores[order].astype(np.float32))

    def _hits(self, gray: Image, smallest: int) -> tuple[Boxes, Any]:
        """(n, 4) float32 left, top, width, height, and (n,) float64 scores."""
        boxes, _, weights = self._native.detectMultiScale3(
            gray,
            scaleFactor=self.scale_factor,
            minNeighbors=self.min_neighbors,
            minSize=(smallest, smallest),
            outputRejectLevels=True,
        )
        return np.asarray(boxes, np.float32).reshape(-1, 4), np.ravel(weights).astype(np.float64)


def _merge(boxes: Boxes, scores: Any) -> tuple[Boxes, Any]:
    """The best of boxes that overlap: a face turned only a little is found in both directions."""
    if len(boxes) < 2:
        return boxes, scores
    import cv2

    # Which boxes are faces was decided by the cascade: all scores lie above the threshold, which must not be negative.
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), (scores - scores.min() + 1.0).tolist(), 0.0, _SAME_FACE)
    index = np.sort(np.ravel(kept).astype(np.int64))
    return boxes[index], scores[index]
