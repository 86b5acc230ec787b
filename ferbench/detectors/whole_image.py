"""The detector that finds the image itself: for crops, and as the bound that no detector can beat on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ferbench.faces import Faces, Image, check_image

__all__ = ["WholeImage"]


class WholeImage:
    """Takes every image as one face.

    Examples
    --------
    >>> import numpy as np
    >>> WholeImage().detect([np.zeros((48, 40), np.uint8)]).xyxy.tolist()
    [[0.0, 0.0, 40.0, 48.0]]
    """

    crop_scale = 1.0
    crop_shift = 0.0

    def detect(self, images: Sequence[Image]) -> Faces:
        """One box for each image: its border."""
        shapes = [check_image(image).shape for image in images]
        return Faces.from_lists([np.array([[0, 0, shape[1], shape[0]]], np.float32) for shape in shapes])
