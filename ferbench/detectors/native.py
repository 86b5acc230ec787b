"""What every detector around another library's object shares: when it is made, what a copy leaves behind, eyes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ferbench.detectors.eyes import EyeFinder, check_align
from ferbench.detectors.reduction import Boxes, check_max_side, reduce_image
from ferbench.faces import Faces, Image, check_image

__all__ = ["Found", "NativeDetector"]


class Found(NamedTuple):
    """Faces of one image, best first, in the pixels of the image given.

    Attributes
    ----------
    boxes : (n, 4) float32
    scores : (n,) float32
    landmarks : (n, K, 2) float32, optional
    """

    boxes: Boxes
    scores: npt.NDArray[np.float32]
    landmarks: npt.NDArray[np.float32] | None = None

    @classmethod
    def nothing(cls) -> Found:
        """No face."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


class NativeDetector:
    """Base of the detectors that hold a native handle, which can be neither pickled nor copied.

    Native handles keep the image they work on, so that threads that share a detector wait for each other.

    A subclass has ``check_parameters``, ``_load``, which returns the handle, and ``_find``, which gives the faces
    of one reduced image.

    Parameters
    ----------
    max_side : int or None
        Larger images are reduced to this for detection; None never reduces.
    align : "eyes" or None
        Whether crops are turned until the eyes are level.
    """

    crop_scale: float
    crop_shift: float
    _has_own_landmarks = False

    def __init__(self, max_side: int | None, align: str | None) -> None:
        self.max_side = max_side
        self.align = align
        self._native: Any = None
        self._eye_finder: EyeFinder | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__ | {"_native": None, "_eye_finder": None}
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_lock": threading.Lock()}

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be; nothing is loaded."""
        check_max_side(self.max_side)
        check_align(self.align)

    def detect(self, images: Sequence[Image]) -> Faces:
        """Faces of each image, best score first."""
        with self._lock:
            self._prepare()
            found = self._find_all([reduce_image(check_image(image), self.max_side) for image in images])
        points = [f.landmarks for f in found if f.landmarks is not None]
        return Faces.from_lists([f.boxes for f in found], [f.scores for f in found], points or None)

    def find_eyes(self, images: Sequence[Image], faces: Faces) -> npt.NDArray[np.float32]:
        """(N, 2, 2) float32 centres of the eyes of each face, the left one in the image first; x, y in pixels.

        By dlib's 5-point predictor, which is given the square that the crop shows, whoever drew the box.
        """
        self._prepare()
        if self._eye_finder is None:
            self._eye_finder = EyeFinder()
        return self._eye_finder.find(images, faces, scale=self.crop_scale, shift=self.crop_shift)

    def _prepare(self) -> None:
        if self._native is not None:
            return
        self.check_parameters()
        if self.align is not None and not self._has_own_landmarks:
            self._eye_finder = EyeFinder()  # now, so that a missing model file is said before any work
        self._native = self._load()

    def _load(self) -> Any:
        raise NotImplementedError

    def _find(self, image: Image, factor: float) -> Found:
        """Faces of an image that was reduced by a factor, in the pixels of the whole one."""
        raise NotImplementedError

    def _find_all(self, reduced: list[tuple[Image, float]]) -> list[Found]:
        return [self._find(image, factor) for image, factor in reduced]
