"""dlib's CNN detector: a small fully convolutional network over an image pyramid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ferbench.detectors.dlib_models import dlib_model, import_dlib
from ferbench.detectors.native import Found, NativeDetector
from ferbench.detectors.reduction import check_upsample
from ferbench.faces import Image

__all__ = ["DlibCnnDetector"]

_MODEL = "mmod_human_face_detector.dat"
_SMALLEST = 20
"""The network takes nothing with a shorter side below this, and finds nothing so small either."""
_BATCH = 8
"""Images in one call of the network: its activations take some hundred times the memory of the image."""


class DlibCnnDetector(NativeDetector):
    """Faces of most poses by a convolutional network trained with a max-margin loss [1]_.

    Much slower than ``dlib-hog`` on a CPU, and less easily lost by turned heads. The model file comes with the
    ``landmarks`` extra. Images of one size (after reduction) go through the network together.

    Parameters
    ----------
    upsample : int
        How often the image is doubled first. The smallest face found is some 80 pixels wide at 0, 40 at 1, 20 at 2;
        each step costs about four times the time.
    max_side : int or None
        Larger images are reduced to this for detection; None never reduces.
    align : "eyes" or None
        ``eyes`` turns every crop until the eyes are level.

    Raises
    ------
    MissingDependencyError
        On first use, where the ``landmarks`` extra is not installed.

    References
    ----------
    .. [1] D. King: Max-margin object detection. arXiv:1502.00046, 2015.
    """

    # Fitted to 60 training images of FER2013, enlarged three times with their border repeated, all of them detected:
    # medians as in haar.py; docs/detectors.md.
    crop_scale = 1.25
    crop_shift = -0.03

    def __init__(self, upsample: int = 0, max_side: int | None = 640, align: str | None = None) -> None:
        super().__init__(max_side, align)
        self.upsample = upsample

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        super().check_parameters()
        check_upsample(self.upsample)

    def _load(self) -> Any:
        file = dlib_model(_MODEL, "detector 'dlib-cnn'")
        return import_dlib("detector 'dlib-cnn'").cnn_face_detection_model_v1(str(file))

    def _find_all(self, reduced: list[tuple[Image, float]]) -> list[Found]:
        found = [Found.nothing()] * len(reduced)
        for batch in _batches([image.shape[:2] for image, _ in reduced]):
            images = [_as_rgb(reduced[i][0]) for i in batch]
            rows = self._native(images, int(self.upsample), batch_size=_BATCH)
            for i, detections in zip(batch, rows, strict=True):
                found[i] = _as_found(detections, reduced[i][1])
        return found


def _batches(shapes: list[tuple[int, ...]]) -> Iterator[list[int]]:
    """Positions of images of one shape, at most a batch at a time; images too small for the network are left out."""
    for shape in dict.fromkeys(shapes):
        if min(shape) >= _SMALLEST:
            same = [i for i, other in enumerate(shapes) if other == shape]
            yield from (same[start : start + _BATCH] for start in range(0, len(same), _BATCH))


def _as_rgb(image: Image) -> Image:
    return np.ascontiguousarray(image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2))


def _as_found(detections: Any, factor: float) -> Found:
    # dlib's right and bottom are the last pixel inside the box; ours are the border behind it.
    rectangles = [d.rect for d in detections]
    corners = [(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in rectangles]
    boxes = np.asarray(corners, np.float32).reshape(-1, 4) * np.float32(factor)
    scores = np.asarray([d.confidence for d in detections], np.float32)
    order = np.argsort(-scores, kind="stable")
    return Found(boxes[order], scores[order])
