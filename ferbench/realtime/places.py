"""A detector before parts of a picture: the places where faces were, and what is found there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ferbench.faces import Faces, Image, box_iou

if TYPE_CHECKING:
    from ferbench.realtime.protocols import LivePipeline

__all__ = ["SAME_PLACE", "detect_near", "overlap_of_smaller"]

Boxes = npt.NDArray[np.float32]

# The place where a face is looked for again: so many sides of its box, reduced until the box has so many pixels.
_PLACE, _PLACE_SIDE = 1.6, 96
SAME_PLACE = 0.6
"""The share of the smaller box that two faces may have in common: what has more is one face, or hides the other."""


def detect_near(pipeline: LivePipeline, image: Image, boxes: Boxes) -> Faces:
    """Detect in squares around boxes, all in one batch.

    Parameters
    ----------
    pipeline : LivePipeline
        Detects.
    image : (H, W, 3) RGB or (H, W) gray uint8
    boxes : (N, 4) float32
        xyxy in pixels of the image.

    Returns
    -------
    Faces
        Of one image, in its pixels; each face once, though places overlap.
    """
    places = [_place(image, box) for box in boxes]
    places = [each for each in places if each[0].size]
    if not places:
        return Faces.empty(1)
    found = pipeline.detect([picture for picture, _, _ in places])
    factor = np.array([places[i][1] for i in found.image_index], np.float32).reshape(-1, 1)
    corner = np.array([places[i][2] for i in found.image_index], np.float32).reshape(-1, 2)
    xyxy = found.xyxy * factor + np.tile(corner, 2)
    points = None if found.landmarks is None else found.landmarks * factor[:, None] + corner[:, None]
    kept = _distinct(xyxy, found.score)
    return Faces(
        xyxy[kept], found.score[kept], np.zeros(len(kept), np.int64), 1, None if points is None else points[kept]
    )


def overlap_of_smaller(a: Boxes, b: Boxes) -> npt.NDArray[np.float64]:
    """(N, M) of (N, 4) and (M, 4) boxes: what they have in common, as a share of the smaller."""
    iou = box_iou(a, b)
    flat = [np.asarray(boxes, np.float64).reshape(-1, 4) for boxes in (a, b)]
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in flat]
    both = areas[0][:, None] + areas[1][None, :]
    return np.asarray(iou * both / (1 + iou) / np.maximum(np.minimum(areas[0][:, None], areas[1][None, :]), 1e-9))


def _place(image: Image, box: Boxes) -> tuple[Image, float, tuple[int, int]]:
    """The picture around a box, reduced; what takes its pixels back, and its corner."""
    from ferbench.detectors.reduction import reduce_image

    height, width = image.shape[:2]
    longer = max(float(max(box[2] - box[0], box[3] - box[1])), 1.0)
    middle, reach = (box[:2] + box[2:]) / 2, longer * _PLACE / 2
    left, top = (int(np.clip(v - reach, 0, end)) for v, end in zip(middle, (width, height), strict=True))
    right, bottom = (int(np.clip(v + reach + 1, 0, end)) for v, end in zip(middle, (width, height), strict=True))
    place = image[top:bottom, left:right]
    if not place.size:
        return place, 1.0, (left, top)
    longest = round(max(place.shape[:2]) * min(_PLACE_SIDE / longer, 1.0))
    reduced, factor = reduce_image(place, max(longest, 1))
    return reduced, factor, (left, top)


def _distinct(xyxy: Boxes, score: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Indices of boxes, best first, without those that lie on a better one: places overlap, and faces in them."""
    order = np.argsort(-score, kind="stable")
    if len(order) < 2:
        return order
    overlap = overlap_of_smaller(xyxy, xyxy) > SAME_PLACE
    kept: list[int] = []
    for i in order:
        if not overlap[i, kept].any():
            kept.append(int(i))
    return np.array(kept, np.intp)
