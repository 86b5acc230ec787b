"""Where the eyes are: dlib's 5-point predictor, on the boxes of any detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.detectors.dlib_models import dlib_model, import_dlib
from ferbench.errors import ParameterError
from ferbench.faces import Faces, Image, as_gray

__all__ = ["DLIB_CROP_SCALE", "DLIB_CROP_SHIFT", "EyeFinder", "check_align"]

# Fitted to FER2013's crops as the cascades of haar.py are: docs/detectors.md.
DLIB_CROP_SCALE = 1.28
"""``crop_scale`` of dlib's HOG detector, on whose boxes the predictor was trained."""
DLIB_CROP_SHIFT = -0.07
"""``crop_shift`` of dlib's HOG detector."""

_MODEL = "shape_predictor_5_face_landmarks.dat"


def check_align(align: object) -> None:
    """Raise :class:`ParameterError` unless ``align`` is None or ``"eyes"``."""
    if align not in (None, "eyes"):
        raise ParameterError("parameter align", got=repr(align), expected="None or eyes")


class EyeFinder:
    """Eye centres by an ensemble of regression trees [1]_, dlib's 5-point model.

    The model file comes with the ``landmarks`` extra.

    Raises
    ------
    MissingDependencyError
        dlib or the model file is not installed.

    References
    ----------
    .. [1] V. Kazemi, J. Sullivan: One millisecond face alignment with an ensemble of regression trees. CVPR, 2014.
    """

    def __init__(self) -> None:
        file = dlib_model(_MODEL, "align=eyes")
        self._dlib = import_dlib("align=eyes")
        self._predictor: Any = self._dlib.shape_predictor(str(file))

    def find(self, images: Sequence[Image], faces: Faces, *, scale: float, shift: float) -> npt.NDArray[np.float32]:
        """(N, 2, 2) float32 eye centres, the left one in the image first.

        Parameters
        ----------
        images : sequence of images
            The batch that ``faces`` refers to.
        faces : Faces
        scale, shift : float
            The detector's ``crop_scale`` and ``crop_shift``: the predictor wants the box that dlib would have drawn
            around the face that this crop shows.
        """
        eyes = np.zeros((len(faces), 2, 2), np.float32)
        for i, (box, at) in enumerate(zip(faces.xyxy, faces.image_index, strict=True)):
            eyes[i] = self._find_one(images[int(at)], _dlib_box(box, scale, shift))
        return eyes

    def _find_one(self, image: Image, box: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        # Only the surroundings are grayed: a photograph may be a hundred times the face. At least one pixel of it is.
        margin = box[2] - box[0]
        left, top = (min(max(0, int(v)), end - 1) for v, end in zip(box[:2] - margin, image.shape[1::-1], strict=True))
        right, bottom = (max(int(v), start + 1) for v, start in zip(box[2:] + margin, (left, top), strict=True))
        gray = np.ascontiguousarray(as_gray(image[top:bottom, left:right]))
        x0, y0, x1, y1 = (round(float(v)) for v in box - [left, top, left, top])
        shape = self._predictor(gray, self._dlib.rectangle(x0, y0, max(x1, x0 + 1) - 1, max(y1, y0 + 1) - 1))
        points = np.array([(shape.part(k).x, shape.part(k).y) for k in range(4)], np.float64)
        # Two corners of each eye: first those of the right one in the image.
        eyes = np.stack([points[2:].mean(axis=0), points[:2].mean(axis=0)])
        return np.asarray(eyes + np.array([left, top]), np.float64)


def _dlib_box(box: npt.NDArray[np.float32], scale: float, shift: float) -> npt.NDArray[np.float64]:
    """The square that dlib's detector would draw, from a box of a detector with this crop geometry."""
    x0, y0, x1, y1 = (float(v) for v in box)
    longer = max(x1 - x0, y1 - y0, 1.0)
    side = longer * scale / DLIB_CROP_SCALE
    x, y = (x0 + x1) / 2, (y0 + y1) / 2 + shift * longer - DLIB_CROP_SHIFT * side
    return np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2])
