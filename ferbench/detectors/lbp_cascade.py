"""The cascade of local binary patterns: coarser than Haar's, and quicker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ferbench.detectors.cascade import CascadeDetector
from ferbench.errors import ModelFileError

__all__ = ["LBPCascadeDetector"]


class LBPCascadeDetector(CascadeDetector):
    """Frontal faces by a boosted cascade of multi-block local binary patterns [1]_.

    The cascade is OpenCV's, from the file that scikit-image brings; OpenCV runs it.

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
    align : "eyes" or None
        ``eyes`` turns every crop until the eyes are level (needs the ``landmarks`` extra).

    Notes
    -----
    Boxes are square. The score is the margin in the cascade's last stage. An object must not be used by two threads at
    once.

    References
    ----------
    .. [1] S. Liao et al.: Learning multi-scale block local binary patterns for face recognition. ICB, 2007.
    """

    # Fitted as the Haar cascades' are: see haar.py and docs/detectors.md.
    crop_scale = 1.03
    crop_shift = 0.0

    def __init__(
        self,
        scale_factor: float = 1.1,
        min_neighbors: int = 5,
        min_size: int = 48,
        max_side: int | None = 640,
        align: str | None = None,
    ) -> None:
        super().__init__(scale_factor, min_neighbors, min_size, max_side, align)

    def _load(self) -> Any:
        import cv2
        from skimage.data import lbp_frontal_face_cascade_filename

        file = Path(lbp_frontal_face_cascade_filename())  # type: ignore[no-untyped-call]
        # scikit-image 0.26 misspells one tag, which its own reader skips and OpenCV's insists on.
        text = file.read_text(encoding="utf-8").replace("featuhreParams", "featureParams")
        memory = cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY | cv2.FILE_STORAGE_FORMAT_XML
        storage = cv2.FileStorage(text, memory)
        cascade = cv2.CascadeClassifier()
        if not cascade.read(storage.getFirstTopLevelNode()):
            raise ModelFileError(f"{file} is no cascade that OpenCV can read", fix="install scikit-image again")
        return cascade
