"""Viola-Jones: the cascade of Haar-like features that OpenCV ships."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferbench.detectors.reduction import Boxes, check_max_side, reduce_image
from ferbench.errors import MissingDependencyError, ParameterError
from ferbench.faces import Faces, Image, as_gray, check_image

__all__ = ["HaarDetector"]

_CASCADE = "haarcascade_frontalface_default.xml"
_WINDOW = 24
"""Side of the smallest face that the cascade knows, in pixels."""


class HaarDetector:
    """Frontal faces by a boosted cascade of Haar-like features [1]_.

    Parameters
    ----------
    scale_factor : float
        Ratio between one detection scale and the next: nearer to 1 finds more and takes longer.
    min_neighbors : int
        Overlapping hits needed for a face: more means fewer false alarms and more misses.
    min_size : int
        Smallest face looked for, in pixels of the image given (48: the input size of the networks here).
    max_side : int or None
        Larger images are reduced to this for detection, which then misses faces that become smaller than 24 pixels;
        None never reduces.

    Notes
    -----
    Boxes are square. The score is the margin in the cascade's last stage, about 0 to 10. An object must not be used
    by two threads at once: OpenCV's cascade keeps the image it works on.

    References
    ----------
    .. [1] P. Viola, M. Jones: Robust real-time face detection. IJCV 57(2), 2004.
    """

    # Fitted to FER2013's crops: 1,126 of 1,500 training images, enlarged four times with their border repeated, were
    # detected; these are the medians of (side of the whole crop / side of the box) and of (the crop's centre below the
    # box's / side of the box).
    crop_scale = 1.03
    crop_shift = 0.0

    def __init__(
        self, scale_factor: float = 1.1, min_neighbors: int = 5, min_size: int = 48, max_side: int | None = 640
    ) -> None:
        self.scale_factor = scale_factor
        self.min_neighbors = min_neighbors
        self.min_size = min_size
        self.max_side = max_side
        self._cascade: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cascade": None}  # OpenCV's cascade cannot be pickled or copied

    def detect(self, images: Sequence[Image]) -> Faces:
        """Faces of each image, best score first."""
        self._prepare()
        found = [self._detect_one(check_image(image)) for image in images]
        return Faces.from_lists([boxes for boxes, _ in found], [scores for _, scores in found])

    def _prepare(self) -> None:
        if self._cascade is not None:
            return
        if not isinstance(self.scale_factor, int | float) or not 1 < self.scale_factor <= 4:
            raise ParameterError("parameter scale_factor", got=repr(self.scale_factor), expected="above 1 and up to 4")
        for name in ("min_neighbors", "min_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise ParameterError(f"parameter {name}", got=repr(value), expected="an integer, 1 or more")
        check_max_side(self.max_side)
        import cv2

        file = Path(cv2.data.haarcascades) / _CASCADE  # type: ignore[attr-defined]
        if not file.is_file():  # the opencv-python 5.0 wheels ship without the cascades
            raise MissingDependencyError("opencv-contrib-python<5", "dev", "detector 'haar'")
        self._cascade = cv2.CascadeClassifier(str(file))

    def _detect_one(self, image: Image) -> tuple[Boxes, Any]:
        reduced, factor = reduce_image(image, self.max_side)
        if min(reduced.shape[:2]) < _WINDOW:
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        smallest = max(_WINDOW, round(self.min_size / factor))
        boxes, _, weights = self._cascade.detectMultiScale3(
            as_gray(reduced),
            scaleFactor=self.scale_factor,
            minNeighbors=self.min_neighbors,
            minSize=(smallest, smallest),
            outputRejectLevels=True,
        )
        if len(boxes) == 0:
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        xyxy = np.asarray(boxes, np.float32) * np.float32(factor)
        xyxy[:, 2:] += xyxy[:, :2]
        order = np.argsort(-np.ravel(weights), kind="stable")
        return xyxy[order], np.ravel(weights)[order].astype(np.float32)
