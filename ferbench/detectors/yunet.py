"""YuNet: a tiny detection network, run by OpenCV."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.checks import check_number
from ferbench.detectors.native import Found, NativeDetector
from ferbench.digests import check_digest
from ferbench.errors import ModelFileError, ParameterError
from ferbench.faces import Faces, Image

__all__ = ["YuNetDetector"]

_MOST_CANDIDATES = 5000
"""Boxes kept for non-maximum suppression: OpenCV's own default."""

_LEAST_SIDE = 64
"""OpenCV fills images up to multiples of 32 pixels; with a side of 32, its network reads memory that nobody wrote."""

_MOST_PIXELS = 2_000_000
"""Of all sizes of image together that have a network ready; it takes some 60 bytes a pixel. A larger one is alone."""

_MODEL = Path(__file__).parent / "yunet_2023mar" / "face_detection_yunet_2023mar.onnx"
"""What comes along, under the licence beside it."""

_MODEL_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"


class YuNetDetector(NativeDetector):
    """Faces of most poses, each with five landmarks, by a convolutional network of some 75,000 parameters [1]_.

    Parameters
    ----------
    model : path or None
        The ONNX file of a YuNet; None is ``face_detection_yunet_2023mar.onnx`` of OpenCV's model zoo, which comes
        along.
    score_threshold : float
        Score in [0, 1] from which a box counts as a face.
    nms_threshold : float
        Of two boxes that overlap by more than this (intersection over union, in [0, 1]), the weaker one goes.
    max_side : int or None
        Larger images are reduced to this for detection; None never reduces. Small values are quick and lose small
        faces: docs/detectors.md says which.
    align : "eyes" or None
        ``eyes`` turns every crop until the eyes are level, by the network's own landmarks.

    Notes
    -----
    The landmarks are the eyes, the tip of the nose and the corners of the mouth, of each pair the left one in the image
    first.

    Raises
    ------
    ParameterError
        On first use, where a threshold is out of range or the model is no path.
    ModelFileError
        On first use, where the file is missing, damaged or no YuNet.

    References
    ----------
    .. [1] W. Wu, H. Peng, S. Yu: YuNet: a tiny millisecond-level face detector. Machine Intelligence Research 20, 2023.
    """

    # Fitted as the Haar cascades' are, to the model that comes along: see haar.py and docs/detectors.md.
    crop_scale = 1.01
    crop_shift = 0.02
    _has_own_landmarks = True

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        score_threshold: float = 0.6,
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

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be, :class:`ModelFileError` where the model is no file."""
        super().check_parameters()
        for name in ("score_threshold", "nms_threshold"):
            check_number(name, getattr(self, name), 0, 1)
        if not isinstance(self.model, str | os.PathLike | None):
            raise ParameterError("parameter model", got=repr(self.model), expected="the path of an ONNX file, or None")
        if self.model is not None and not Path(self.model).is_file():
            raise ModelFileError(
                f"{self.model} is no file", expected="the ONNX file of a YuNet", fix="give its full path"
            )

    def _load(self) -> Any:
        if self.model is None:
            check_digest(_MODEL, _MODEL_SHA256, fix="install ferbench again")
        model = _MODEL if self.model is None else Path(self.model)
        return _Networks(model, float(self.score_threshold), float(self.nms_threshold))

    def _find(self, image: Image, factor: float) -> Found:
        import cv2

        bgr = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR)
        missing = [max(0, _LEAST_SIDE - side) for side in bgr.shape[:2]]
        if any(missing):
            bgr = cv2.copyMakeBorder(bgr, 0, missing[0], 0, missing[1], cv2.BORDER_CONSTANT)
        rows = self._native.of_size(*bgr.shape[:2]).detect(bgr)[1]
        # A row is left, top, width, height, five points and the score.
        table = np.zeros((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)
        table = table[np.argsort(-table[:, 14], kind="stable")]
        boxes = table[:, :4].copy()
        boxes[:, 2:] += boxes[:, :2]
        scale = np.float32(factor)
        return Found(boxes * scale, table[:, 14].copy(), table[:, 4:14].reshape(-1, 5, 2) * scale)


class _Networks:
    """A network for each of the sizes of image seen last.

    One that is given another size sets itself up anew, which takes as long as a search. A stream asks for the whole
    picture and for places in it in turn.
    """

    def __init__(self, model: Path, score_threshold: float, nms_threshold: float) -> None:
        self._open = partial(_open, np.fromfile(model, np.uint8), score_threshold, nms_threshold)
        self._by_size: dict[tuple[int, int], Any] = {}
        self._try(model)

    def of_size(self, height: int, width: int) -> Any:
        """The network for images of a size; sizes are the same to it up to the next multiple of 32."""
        size = -(-height // 32), -(-width // 32)
        network = self._by_size.pop(size, None)
        if network is None:
            while self._by_size and 1024 * sum(map(prod, [size, *self._by_size])) > _MOST_PIXELS:
                network = self._by_size.pop(next(iter(self._by_size)))
            network = network or self._open()
        self._by_size[size] = network  # the last is the newest
        network.setInputSize((width, height))
        return network

    def _try(self, path: Path) -> None:
        """Run one on nothing: a file that is damaged or of another network is said before any work."""
        import cv2

        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # OpenCV prints a page for a wrong file
        try:
            self.of_size(_LEAST_SIDE, _LEAST_SIDE).detect(np.zeros((_LEAST_SIDE, _LEAST_SIDE, 3), np.uint8))
        except cv2.error as error:
            raise ModelFileError(
                f"{path} is no YuNet that OpenCV {cv2.__version__} can run",
                got=str(error.err or error).strip(),
                expected="such as face_detection_yunet_2023mar.onnx",
            ) from error
        finally:
            cv2.utils.logging.setLogLevel(level)


def _open(content: npt.NDArray[np.uint8], score_threshold: float, nms_threshold: float) -> Any:
    import cv2

    none = np.empty(0, np.uint8)
    return cv2.FaceDetectorYN.create("onnx", content, none, (32, 32), score_threshold, nms_threshold, _MOST_CANDIDATES)
