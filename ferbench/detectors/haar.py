"""Viola-Jones: the cascades of Haar-like features that OpenCV ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ferbench.detectors.cascade import CascadeDetector
from ferbench.errors import MissingDependencyError, ParameterError, UnknownNameError

__all__ = ["HaarDetector"]


class _Cascade(NamedTuple):
    file: str
    crop_scale: float
    crop_shift: float


# Fitted to FER2013's crops: training images, enlarged four times with their border repeated, and where each cascade
# finds them; the medians of (side of the whole crop / side of the box) and of (the crop's centre below the box's / side
# of the box). docs/detectors.md has the program and how many each found.
_CASCADES = {
    "default": _Cascade("haarcascade_frontalface_default.xml", 1.03, 0.0),
    "alt": _Cascade("haarcascade_frontalface_alt.xml", 1.04, 0.01),
    "alt2": _Cascade("haarcascade_frontalface_alt2.xml", 1.04, 0.01),
    "alt-tree": _Cascade("haarcascade_frontalface_alt_tree.xml", 1.04, 0.0),
    "profile": _Cascade("haarcascade_profileface.xml", 1.05, 0.03),
}


class HaarDetector(CascadeDetector):
    """Faces by a boosted cascade of Haar-like features [1]_.

    Parameters
    ----------
    cascade : "default", "alt", "alt2", "alt-tree" or "profile"
        Which of OpenCV's cascades: four for frontal faces, trained in different ways, and one for faces seen from the
        side, which is run on the image and on its mirror image.
    scale_factor : float
        Ratio between one detection scale and the next: nearer to 1 finds more and takes longer.
    min_neighbors : int
        Overlapping hits needed for a face: more means fewer false alarms and more misses.
    min_size : int
        Smallest face looked for, in pixels of the image given (48: the input size of the networks here).
    max_side : int or None
        Larger images are reduced to this for detection, which then misses faces that become smaller than the cascade's
        window (24 pixels for ``default``, 20 for the others); None never reduces.
    align : "eyes" or None
        ``eyes`` turns every crop until the eyes are level (needs the ``landmarks`` extra).

    Notes
    -----
    Boxes are square. The score is the margin in the cascade's last stage, about 0 to 10. An object must not be used
    by two threads at once: OpenCV's cascade keeps the image it works on.

    References
    ----------
    .. [1] P. Viola, M. Jones: Robust real-time face detection. IJCV 57(2), 2004.
    """

    def __init__(
        self,
        cascade: str = "default",
        scale_factor: float = 1.1,
        min_neighbors: int = 5,
        min_size: int = 48,
        max_side: int | None = 640,
        align: str | None = None,
    ) -> None:
        super().__init__(scale_factor, min_neighbors, min_size, max_side, align)
        self.cascade = cascade

    @property
    def crop_scale(self) -> float:  # type: ignore[override]
        """Side of the crop, in sides of this cascade's box."""
        return self._chosen.crop_scale

    @property
    def crop_shift(self) -> float:  # type: ignore[override]
        """How far the crop's centre lies below the box's, in sides of this cascade's box."""
        return self._chosen.crop_shift

    @property
    def looks_both_ways(self) -> bool:  # type: ignore[override]
        """True for the cascade of profiles, which knows those of one side."""
        return self.cascade == "profile"

    @property
    def _chosen(self) -> _Cascade:
        if not isinstance(self.cascade, str):
            raise ParameterError("parameter cascade", got=repr(self.cascade), expected=", ".join(_CASCADES))
        if self.cascade not in _CASCADES:
            raise UnknownNameError("cascade of detector 'haar':", self.cascade, _CASCADES)
        return _CASCADES[self.cascade]

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        super().check_parameters()
        _ = self._chosen

    def _load(self) -> Any:
        import cv2

        file = Path(cv2.data.haarcascades) / self._chosen.file  # type: ignore[attr-defined]
        if not file.is_file():  # the opencv-python 5.0 wheels ship without the cascades
            raise MissingDependencyError("opencv-contrib-python<5", "dev", "detector 'haar'")
        return cv2.CascadeClassifier(str(file))
