"""Four components for ferbench. Constructors take keywords and only store them; what is learnt ends in ``_``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from ferbench.errors import ParameterError, UnknownNameError
from ferbench.faces import Faces, Image, check_image
from ferbench.features.base import StatelessFeatures, check_crops
from ferbench.labels import LabelSpace
from ferbench.samples import DatasetInfo, Samples

__all__ = ["CentreDetector", "GradientMeans", "NearestMean", "Stripes"]


class CentreDetector:
    """A square in the middle of every image that is large enough, for pictures that were taken to have a face there.

    Parameters
    ----------
    share : float
        Side of the square as a share of the image's shorter side.
    """

    # How boxes become crops: these are as wide as the crop shall be, and centred.
    crop_scale = 1.0
    crop_shift = 0.0

    def __init__(self, share: float = 0.8) -> None:
        self.share = share

    def detect(self, images: Sequence[Image]) -> Faces:
        """One face for each image of at least 24×24 pixels."""
        if not 0 < self.share <= 1:
            raise ParameterError("parameter share", got=self.share, expected="above 0 and up to 1")
        boxes, scores = [], []
        for image in images:
            height, width = check_image(image).shape[:2]
            half = self.share * min(height, width) / 2
            found = min(height, width) >= 24
            box = [[width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half]]
            boxes.append(np.array(box if found else np.zeros((0, 4)), np.float32))
            scores.append(np.ones(int(found), np.float32))
        return Faces.from_lists(boxes, scores)


class GradientMeans(StatelessFeatures):
    """Mean absolute gradients, across and down, in the cells of a grid.

    Parameters
    ----------
    grid : int
        Cells along each side.
    """

    def __init__(self, grid: int = 6) -> None:
        self.grid = grid

    def transform(self, X: np.ndarray) -> np.ndarray:
        """(N, 2·grid²) float32 of crops (N, h, w) uint8."""
        crops = check_crops(X, minimum=self.grid + 1).astype(np.float32)
        across = np.abs(np.diff(crops, axis=2))
        down = np.abs(np.diff(crops, axis=1))
        return np.concatenate([self._cells(across), self._cells(down)], axis=1)

    def _cells(self, maps: np.ndarray) -> np.ndarray:
        for axis in (1, 2):
            edges = np.arange(self.grid) * maps.shape[axis] // self.grid
            counts = np.diff([*edges, maps.shape[axis]])
            shape = [1, 1, 1]
            shape[axis] = self.grid
            maps = np.add.reduceat(maps, edges, axis=axis) / counts.reshape(shape)
        return maps.reshape(len(maps), self.grid**2).astype(np.float32)


class NearestMean(ClassifierMixin, BaseEstimator):
    """The class whose mean is nearest; probabilities fall with the squared distance.

    Parameters
    ----------
    sharpness : float
        How fast they fall, in units of the mean squared distance.
    """

    def __init__(self, sharpness: float = 5.0) -> None:
        self.sharpness = sharpness

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Learn the mean of each class from features (N, D) and label names (N,)."""
        self.classes_ = np.unique(y)
        self.means_ = np.stack([X[y == name].mean(axis=0) for name in self.classes_])
        self.scale_ = float(self._distances(X).mean())
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """(N, C) probabilities in the order of ``classes_``."""
        closeness = -self.sharpness * self._distances(X) / max(self.scale_, 1e-12)
        p = np.exp(closeness - closeness.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """(N,) label names."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _distances(self, X: np.ndarray) -> np.ndarray:
        return ((np.asarray(X)[:, None] - self.means_[None]) ** 2).sum(axis=2)


class Stripes:
    """Drawn crops, 48×48: stripes whose direction stands for an expression. No file is needed.

    Parameters
    ----------
    n : int
        Crops in each split.
    """

    labels = ("angry", "happy", "sad")
    known = DatasetInfo(
        name="stripes",
        title="Stripes",
        label_space=LabelSpace("stripes", labels),
        kind="crops",
        splits=("train", "val", "test"),
        licence="none: drawn",
        is_synthetic=True,
    )

    def __init__(self, n: int = 90) -> None:
        self.n = n

    @property
    def info(self) -> DatasetInfo:
        """What is known of it."""
        return self.known

    @property
    def revision(self) -> str:
        """16 hex digits that change with the content."""
        return f"{self.n:016x}"

    def split(self, name: str) -> Samples:
        """The crops of a split."""
        if name not in (*self.known.splits, "all"):
            raise UnknownNameError("split of stripes", name, [*self.known.splits, "all"])
        parts = [self._draw(split) for split in (self.known.splits if name == "all" else (name,))]
        images, labels, ids = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Samples(
            images=images,
            labels=labels,
            ids=ids,
            label_space=self.known.label_space,
            dataset="stripes",
            split=name,
            revision=self.revision,
            kind="crops",
        )

    def _draw(self, split: str) -> tuple[Any, Any, Any]:
        rng = np.random.default_rng(self.known.splits.index(split))
        kind = np.arange(self.n) % 3
        y, x = np.mgrid[:48, :48]
        waves = np.stack([np.sin(x / 2), np.sin(y / 2), np.sin((x + y) / 3)])
        crops = np.clip(128 + 60 * waves[kind] + rng.normal(0, 25, (self.n, 48, 48)), 0, 255).astype(np.uint8)
        ids = np.array([f"{split}-{i}" for i in range(self.n)])
        return crops, np.array(self.labels)[kind], ids
