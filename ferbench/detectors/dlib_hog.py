"""dlib's frontal face detector: a sliding window over histograms of oriented gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dlib
import numpy as np

from ferbench.detectors.reduction import Boxes, check_max_side, reduce_image
from ferbench.errors import ParameterError
from ferbench.faces import Faces, Image, as_gray, check_image

__all__ = ["DlibHogDetector"]

_SMALLEST = 16
"""Images with a shorter side below this hold no window of the detector, even when doubled twice."""


class DlibHogDetector:
    """Frontal and half-profile faces by HOG and a structural SVM [1]_.

    Parameters
    ----------
    upsample : int
        How often the image is doubled first. The smallest face found is 80 pixels wide at 0, 40 at 1, 20 at 2; each
        step costs about four times the time.
    threshold : float
        Score from which a window counts as a face; lower finds more, true and false.
    max_side : int or None
        Larger images are reduced to this for detection; None never reduces.

    References
    ----------
    .. [1] D. King: Max-margin object detection. arXiv:1502.00046, 2015.
    """

    # Fitted to FER2013's crops: 1,143 of 1,500 training images, enlarged four times with their border repeated, were
    # detected; these are the medians of (side of the whole crop / side of the box) and of (the crop's centre below the
    # box's / side of the box).
    crop_scale = 1.28
    crop_shift = -0.07

    def __init__(self, upsample: int = 0, threshold: float = 0.0, max_side: int | None = 640) -> None:
        self.upsample = upsample
        self.threshold = threshold
        self.max_side = max_side
        self._detector: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_detector": None}  # a native handle, quickly made anew

    def detect(self, images: Sequence[Image]) -> Faces:
        """Faces of each image, best score first."""
        self._prepare()
        found = [self._detect_one(check_image(image)) for image in images]
        return Faces.from_lists([boxes for boxes, _ in found], [scores for _, scores in found])

    def _prepare(self) -> None:
        if self._detector is not None:
            return
        if isinstance(self.upsample, bool) or self.upsample not in range(4):
            raise ParameterError("parameter upsample", got=repr(self.upsample), expected="0, 1, 2 or 3")
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, int | float):
            raise ParameterError("parameter threshold", got=repr(self.threshold), expected="a number")
        check_max_side(self.max_side)
        self._detector = dlib.get_frontal_face_detector()

    def _detect_one(self, image: Image) -> tuple[Boxes, Any]:
        reduced, factor = reduce_image(image, self.max_side)
        if min(reduced.shape[:2]) < _SMALLEST:
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        rectangles, scores, _ = self._detector.run(
            np.ascontiguousarray(as_gray(reduced)), int(self.upsample), float(self.threshold)
        )
        # dlib's right and bottom are the last pixel inside the box; ours are the border behind it.
        corners = [(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in rectangles]
        boxes = np.asarray(corners, np.float32).reshape(-1, 4) * np.float32(factor)
        order = np.argsort(-np.asarray(scores, np.float32), kind="stable")
        return boxes[order], np.asarray(scores, np.float32)[order]
