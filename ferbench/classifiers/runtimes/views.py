"""Test-time augmentation: the mean of what a session says of several views of each face, at their cost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ferbench.contracts import Session
from ferbench.errors import UnknownNameError

__all__ = ["VIEWS", "AveragedSession", "averaged", "check_views", "views_of"]

Crops = npt.NDArray[np.uint8]

VIEWS = {
    "none": "the face as it is",
    "flip": "the face and its mirror image: twice the cost",
    "ten-crop": "four corners and the centre, 11/12 of a side each, and their mirror images: ten times the cost",
}
"""Values of a runtime's ``tta`` and what they mean."""

_WINDOW = 11 / 12  # 44 of 48 pixels, as ten-crop evaluations on FER2013 have it


def check_views(tta: object) -> str:
    """The value itself, if it is one of :data:`VIEWS`.

    Raises
    ------
    UnknownNameError
        If it is not; near names are suggested.
    """
    if not isinstance(tta, str) or tta not in VIEWS:
        raise UnknownNameError("tta", str(tta), VIEWS)
    return tta


def views_of(crops: Crops, tta: str) -> Iterator[Crops]:
    """The views of crops (N, h, w) uint8, each as large as the crops."""
    parts = _windows(crops) if tta == "ten-crop" else [crops]
    for part in parts:
        yield part
        if tta != "none":
            yield np.ascontiguousarray(part[:, :, ::-1])


def _windows(crops: Crops) -> Iterator[Crops]:
    import cv2

    height, width = crops.shape[1:]
    h, w = round(height * _WINDOW), round(width * _WINDOW)
    corners = [(y, x) for y in (0, height - h) for x in (0, width - w)]
    for top, left in (*corners, ((height - h) // 2, (width - w) // 2)):
        out = np.empty_like(crops)
        for crop, to in zip(crops, out, strict=True):
            cv2.resize(crop[top : top + h, left : left + w], (width, height), dst=to, interpolation=cv2.INTER_LINEAR)
        yield out


class AveragedSession:
    """A session that gives the mean probabilities over several views of each face."""

    def __init__(self, session: Session, tta: str) -> None:
        self.session, self.tta = session, tta

    def __call__(self, crops: Crops) -> npt.NDArray[np.float32]:
        """(N, C) float32 mean probabilities of crops (N, h, w) uint8."""
        said = [self.session(view) for view in views_of(crops, self.tta)]
        mean: npt.NDArray[np.float32] = np.mean(said, axis=0, dtype=np.float32)
        return mean


def averaged(session: Session, tta: str) -> Session:
    """The session, over views where there are any."""
    return session if check_views(tta) == "none" else AveragedSession(session, tta)
