"""Whole images as faces: crops that need no detector, and stand-ins where a detector found nobody."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ferbench.faces import Faces, Image

__all__ = ["whole_images", "with_stand_ins"]


def whole_images(images: Sequence[Image], which: Sequence[int] | range, score: float) -> Faces:
    """One face each, as large as the image, for those of a batch at some positions."""
    boxes = np.array([[0, 0, images[i].shape[1], images[i].shape[0]] for i in which], np.float32).reshape(-1, 4)
    return Faces(boxes, np.full(len(boxes), score, np.float32), np.asarray(which, np.int64), len(images))


def with_stand_ins(faces: Faces, images: Sequence[Image], missed: Sequence[int]) -> Faces:
    """Faces of a batch, and the whole of each image that was missed, with a score of 0; in the order of the images."""
    whole = whole_images(images, missed, 0.0)
    index = np.concatenate([faces.image_index, whole.image_index])
    order = np.argsort(index, kind="stable")
    xyxy, score = np.concatenate([faces.xyxy, whole.xyxy]), np.concatenate([faces.score, whole.score])
    points = faces.landmarks
    if points is not None:  # a whole image has none
        points = np.concatenate([points, np.full((len(whole), *points.shape[1:]), np.nan, np.float32)])[order]
    return Faces(xyxy[order], score[order], index[order], len(images), points)
