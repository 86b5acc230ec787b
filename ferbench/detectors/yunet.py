"""YuNet: a tiny detection network, run by OpenCV, from a model file that the user brings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.detectors.native import Found, NativeDetector
from ferbench.errors import ModelFileError, ParameterError
from ferbench.faces import Faces, Image

__all__ = ["YuNetDetector"]

_MOST_CANDIDATES = 5000
"""Boxes kept for non-maximum suppression: OpenCV's own default."""


class YuNetDetector(NativeDetector):
    """Faces of most poses, each with five landmarks, by a convolutional network of some 75,000 parameters [1]_.

    No model file comes with ferbench: OpenCV's model zoo publishes ``face_detection_yunet_2023mar.onnx``.

    Parameters
    ----------
    model : path
        The ONNX file.
    score_threshold : float
        Score in [0, 1] from which a box counts as a face.
    nms_threshold : float
        Of two boxes that overlap by more than this (intersection over union, in [0, 1]), the weaker one goes.
    max_side : int or None
        Larger images are reduced to this for detection; None never reduces.
    align : "eyes" or None
        ``eyes`` turns every crop until the eyes are level, by the network's own landmarks.

    Notes
    -----
    The landmarks are the eyes, the tip of the nose and the corners of the mouth, of each pair the left one in the image
    first. An object must not be used by two threads at once: OpenCV's network keeps the image it works on.

    Raises
    ------
    ParameterError
        On first use, where no model is given.
    ModelFileError
        On first use, where the file is missing or no YuNet.

    References
    ----------
    .. [1] W. Wu, H. Peng, S. Yu: YuNet: a tiny millisecond-level face detector. Machine Intelligence Research 20, 2023.
    """

    # Not fitted, for want of a model file: the crop is the square around the box.
    crop_scale = 1.0
    crop_shift = 0.0
    _has_own_landmarks = True

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        score_threshold: float = 0.9,
        nms_threshold: float = 0.3,
        max_side: int | None = 640,
        align: str | None = None,
    ) -> None:
        super().__init__(max_side, align)
        self.model = model
        self.score_threshold = score_threshold
        self.nms_threshold = nms_threshold

    def find_eyes(self, images: Sequence[Image], faces: Faces) -> npt.NDArray[np.float32]:
        """(N, 2, 2) float32 centres of the eyes, the left one in the image first: the faces' own landmarks.

        NaN for boxes that come without: a whole image that stands in for a missed face.
        """
        if faces.landmarks is None:
            return np.full((len(faces), 2, 2), np.nan, np.float32)
        return faces.landmarks[:, :2]

    def _load(self) -> Any:
        for name in ("score_threshold", "nms_threshold"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ParameterError(f"parameter {name}", got=repr(value), expected="a number in [0, 1]")
        if self.model is None:
            raise ParameterError(
                "detector 'yunet' needs a model file, and none comes with ferbench",
                expected="yunet(model=face_detection_yunet_2023mar.onnx)",
                fix="get the file from OpenCV's model zoo",
            )
        return _open(Path(self.model), float(self.score_threshold), float(self.nms_threshold))

    def _find(self, image: Image, factor: float) -> Found:
        import cv2

        bgr = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR)
        self._native.setInputSize((bgr.shape[1], bgr.shape[0]))
        rows = self._native.detect(bgr)[1]
        # A row is left, top, width, height, five points and the score.
        table = np.zeros((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)
        table = table[np.argsort(-table[:, 14], kind="stable")]
        boxes = table[:, :4].copy()
        boxes[:, 2:] += boxes[:, :2]
        scale = np.float32(factor)
        return Found(boxes * scale, table[:, 14].copy(), table[:, 4:14].reshape(-1, 5, 2) * scale)


def _open(path: Path, score_threshold: float, nms_threshold: float) -> Any:
    """The network, tried once: a file of another network is told by its outputs."""
    import cv2

    if not path.is_file():
        raise ModelFileError(f"{path} does not exist", expected="the ONNX file of a YuNet", fix="give its full path")
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # OpenCV prints a page for a wrong file
    try:
        network = cv2.FaceDetectorYN.create(str(path), "", (32, 32), score_threshold, nms_threshold, _MOST_CANDIDATES)
        network.detect(np.zeros((32, 32, 3), np.uint8))
    except cv2.error as error:
        raise ModelFileError(
            f"{path} is no YuNet that OpenCV {cv2.__version__} can run",
            got=str(error.err or error).strip(),
            expected="such as face_detection_yunet_2023mar.onnx",
        ) from error
    finally:
        cv2.utils.logging.setLogLevel(level)
    return network
