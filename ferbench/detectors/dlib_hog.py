"""dlib's frontal face detector: a sliding window over histograms of oriented gradients."""

from __future__ import annotations

from typing import Any

import dlib
import numpy as np

from ferbench.checks import check_number
from ferbench.detectors.eyes import DLIB_CROP_SCALE, DLIB_CROP_SHIFT
from ferbench.detectors.native import Found, NativeDetector
from ferbench.detectors.reduction import check_upsample
from ferbench.faces import Image, as_gray

__all__ = ["DlibHogDetector"]

_SMALLEST = 16
"""Images with a shorter side below this hold no window of the detector, even when doubled twice."""


class DlibHogDetector(NativeDetector):
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
    align : "eyes" or None
        ``eyes`` turns every crop until the eyes are level (needs the ``landmarks`` extra).

    References
    ----------
    .. [1] D. King: Max-margin object detection. arXiv:1502.00046, 2015.
    """

    crop_scale = DLIB_CROP_SCALE
    crop_shift = DLIB_CROP_SHIFT

    def __init__(
        self, upsample: int = 0, threshold: float = 0.0, max_side: int | None = 640, align: str | None = None
    ) -> None:
        super().__init__(max_side, align)
        self.upsample = upsample
        self.threshold = threshold

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        super().check_parameters()
        check_upsample(self.upsample)
        check_number("threshold", self.threshold)

    def _load(self) -> Any:
        return dlib.get_frontal_face_detector()

    def _find(self, image: Image, factor: float) -> Found:
        if min(image.shape[:2]) < _SMALLEST:
            return Found.nothing()
        rectangles, scores, _ = self._native.run(
            np.ascontiguousarray(as_gray(image)), int(self.upsample), float(self.threshold)
        )
        # dlib's right and bottom are the last pixel inside the box; ours are the border behind it.
        corners = [(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in rectangles]
        boxes = np.asarray(corners, np.float32).reshape(-1, 4) * np.float32(factor)
        order = np.argsort(-np.asarray(scores, np.float32), kind="stable")
        return Found(boxes[order], np.asarray(scores, np.float32)[order])
