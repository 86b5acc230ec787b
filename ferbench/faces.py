"""The typed values that parts exchange: detected :class:`Faces`, and a :class:`Prediction` for each of them.

Boxes are ``xyxy`` float32 pixels with the origin at the top left of the image; images are RGB or gray uint8.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ferbench.errors import ImageError, ShapeError

__all__ = ["MAX_PIXELS", "Faces", "Image", "Prediction", "as_gray", "box_iou", "check_image"]

Image = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 RGB or (H, W) uint8 gray."""

MAX_PIXELS = 100_000_000
"""Largest image taken, in pixels: beyond it a decoder's memory, not the face, becomes the question."""


def check_image(image: object, *, name: str = "image") -> Image:
    """Return ``image`` if it is (H, W, 3) or (H, W) uint8 with at least one pixel; raise :class:`ImageError` if not."""
    expected = "(H, W, 3) uint8 RGB or (H, W) uint8 gray"
    if not isinstance(image, np.ndarray):
        raise ImageError(f"{name} is not an array", got=type(image).__name__, expected=expected)
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ImageError(f"{name} has the wrong form", got=f"{image.shape} {image.dtype}", expected=expected)
    if image.size == 0 or image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise ImageError(
            f"{name} has an unusable size",
            got=f"{image.shape[1]}×{image.shape[0]}",
            expected="1 to 100 million pixels",
        )
    return image


def as_gray(image: Image) -> Image:
    """(H, W) uint8 gray of an RGB image (ITU-R BT.601 weights, OpenCV); a gray image is returned as it is."""
    if image.ndim == 2:
        return image
    import cv2

    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def box_iou(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Intersection over union, (N, M), of (N, 4) and (M, 4) xyxy boxes; 0 where a box has no area.

    Examples
    --------
    >>> box_iou([[0, 0, 2, 2]], [[1, 0, 3, 2]]).round(3).tolist()
    [[0.333]]
    """
    left, right = np.asarray(a, np.float64).reshape(-1, 4), np.asarray(b, np.float64).reshape(-1, 4)
    corner = np.maximum(left[:, None, :2], right[None, :, :2])
    far = np.minimum(left[:, None, 2:], right[None, :, 2:])
    shared = np.prod(np.clip(far - corner, 0, None), axis=2)
    areas = [np.prod(np.clip(x[:, 2:] - x[:, :2], 0, None), axis=1) for x in (left, right)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    iou: npt.NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return iou


@dataclass(frozen=True)
class Faces:
    """Faces found in a batch of images, as a struct of arrays.

    Parameters
    ----------
    xyxy : (N, 4) float32
        Boxes in pixels of their image: left, top, right, bottom.
    score : (N,) float32
        Detector's confidence, on the detector's own scale; 1 where it has none.
    image_index : (N,) int64
        Position of each face's image in the batch, ascending.
    landmarks : (N, K, 2) float32, optional
        Points in pixels of their image, x, y; the first two are the centres of the eyes, the left one in the image
        first. NaN where they are not known.
    n_images : int
        Number of images in the batch, those without a face included.
    """

    xyxy: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    image_index: npt.NDArray[np.int64]
    n_images: int
    landmarks: npt.NDArray[np.float32] | None = field(default=None)

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        shapes = {
            "xyxy": (self.xyxy.shape, (n, 4)),
            "score": (self.score.shape, (n,)),
            "image_index": (self.image_index.shape, (n,)),
        }
        for name, (got, expected) in shapes.items():
            if got != expected:
                raise ShapeError(f"Faces.{name} has the wrong shape", got=got, expected=expected)
        if self.landmarks is not None and (self.landmarks.ndim != 3 or self.landmarks.shape[::2] != (n, 2)):
            raise ShapeError("Faces.landmarks has the wrong shape", got=self.landmarks.shape, expected=f"({n}, K, 2)")
        if n and (
            np.any(np.diff(self.image_index) < 0) or self.image_index[0] < 0 or self.image_index[-1] >= self.n_images
        ):
            raise ShapeError(
                "Faces.image_index must ascend within the batch",
                got=self.image_index.tolist()[:10],
                expected=f"values in 0..{self.n_images - 1}",
            )
        if not np.isfinite(self.xyxy).all():
            raise ShapeError("Faces.xyxy has values that are not finite")

    @classmethod
    def empty(cls, n_images: int) -> Faces:
        """No face in any of ``n_images`` images."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), n_images)

    @classmethod
    def from_lists(
        cls,
        boxes: Sequence[npt.ArrayLike],
        scores: Sequence[npt.ArrayLike] | None = None,
        landmarks: Sequence[npt.ArrayLike] | None = None,
    ) -> Faces:
        """Join one (n_i, 4) list of boxes for each image (and (n_i,) scores, (n_i, K, 2) landmarks) into one value."""
        per_image = [np.asarray(b, np.float32).reshape(-1, 4) for b in boxes]
        n = [len(b) for b in per_image]
        xyxy = np.concatenate(per_image) if per_image else np.zeros((0, 4), np.float32)
        score = (
            np.ones(len(xyxy), np.float32)
            if scores is None
            else np.concatenate([np.asarray(s, np.float32).reshape(-1) for s in scores] or [np.zeros(0, np.float32)])
        )
        points = None
        if landmarks is not None and len(xyxy):
            points = np.concatenate([np.asarray(p, np.float32) for p in landmarks if len(np.asarray(p))])
        return cls(xyxy, score, np.repeat(np.arange(len(n), dtype=np.int64), n), len(n), points)

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, index: npt.ArrayLike | slice) -> Faces:
        """The faces at an index array, mask or slice, in the same batch of images."""
        key = index if isinstance(index, slice) else np.atleast_1d(np.asarray(index))
        points = None if self.landmarks is None else self.landmarks[key]
        return Faces(self.xyxy[key], self.score[key], self.image_index[key], self.n_images, points)

    def of_image(self, i: int) -> Faces:
        """The faces of image ``i`` of the batch, as a batch of one image."""
        mine = self[self.image_index == i]
        return Faces(mine.xyxy, mine.score, np.zeros(len(mine), np.int64), 1, mine.landmarks)

    def per_image(self) -> Iterator[Faces]:
        """The faces of each image of the batch, in order."""
        return (self.of_image(i) for i in range(self.n_images))

    def largest_per_image(self) -> Faces:
        """At most one face an image: the one with the largest box."""
        area = np.prod(self.xyxy[:, 2:] - self.xyxy[:, :2], axis=1)
        order = np.lexsort((-area, self.image_index))
        _, first = np.unique(self.image_index[order], return_index=True)
        return self[np.sort(order[first])]


@dataclass(frozen=True)
class Prediction:
    """What a pipeline says of one face.

    Attributes
    ----------
    label : str
        Name of the most probable expression; empty where no face was found.
    probability : float
        Its probability, in [0, 1].
    probabilities : dict of str to float
        Every expression's probability, in the order of the label space; they sum to 1.
    box : tuple of float
        left, top, right, bottom in pixels of the image.
    detection_score : float
        The detector's confidence, on its own scale.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    box: tuple[float, float, float, float]
    detection_score: float
