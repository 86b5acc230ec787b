"""What a cell sees of a dataset: a limited split, its folds, and the one crop per image that is classified.

Detection, cropping and stateless features are computed once per (dataset revision, split, component spec) and shared
through :mod:`ferbench.benchmarks.cache`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.cache import cached_array, code_digest
from ferbench.benchmarks.cells import Cell, digest
from ferbench.datasets import load_dataset, subject_folds
from ferbench.errors import RunError
from ferbench.faces import Faces, Image
from ferbench.samples import Samples

if TYPE_CHECKING:
    from ferbench.pipelines import Pipeline

__all__ = ["View", "best_overlap_per_image", "crops_of", "fold_index", "limit_samples", "load_view"]

_CHUNK = 16  # photos in memory at once
MIN_OVERLAP = 0.3
"""A detection that covers less of the true box (intersection over union) is a false alarm, not this face found."""


def limit_samples(samples: Samples, limit: int | None, seed: int) -> Samples:
    """At most ``limit`` samples, drawn with each class in its proportion, in their order; all where None."""
    if limit is None or limit >= len(samples):
        return samples
    generator = np.random.default_rng(seed)
    classes, counts = np.unique(samples.labels, return_counts=True)
    exact = limit * counts / counts.sum()
    quota = np.floor(exact).astype(int)
    # Largest remainders take what rounding down left over.
    quota[np.argsort(quota - exact, kind="stable")[: limit - quota.sum()]] += 1
    chosen = [
        generator.choice(np.flatnonzero(samples.labels == name), size=int(n), replace=False)
        for name, n in zip(classes, quota, strict=True)
    ]
    return samples.subset(np.sort(np.concatenate(chosen)))


@lru_cache(maxsize=4)
def load_view(dataset: str, revision: str, split: str, limit: int | None, seed: int) -> Samples:
    """A split of a dataset, limited; kept for the next cell of this process.

    Raises
    ------
    RunError
        If the dataset is no longer the one that was planned with.
    """
    samples = load_dataset(dataset, split)
    if samples.revision != revision:
        raise RunError(
            f"{dataset} changed while the run was going on", got=samples.revision, expected=revision, fix="run it again"
        )
    return limit_samples(samples, limit, seed)


@lru_cache(maxsize=4)
def _folds(
    dataset: str, revision: str, limit: int | None, seed: int, n_folds: int
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    return subject_folds(load_view(dataset, revision, "all", limit, seed), n_folds, seed)


def fold_index(cell: Cell) -> npt.NDArray[np.int64] | None:
    """Positions of a cell's samples in its view: the training part for a fit, the held-out part otherwise."""
    if cell.fold is None or cell.n_folds is None:
        return None
    train, test = _folds(cell.dataset, cell.revision, cell.limit, cell.seed, cell.n_folds)[cell.fold]
    return train if cell.kind == "fit" else test


def best_overlap_per_image(faces: Faces, boxes: npt.NDArray[np.float32]) -> Faces:
    """At most one face an image: the one that overlaps the true box best, if by :data:`MIN_OVERLAP` at least.

    Parameters
    ----------
    faces : Faces
    boxes : (n_images, 4) float32
        True boxes, xyxy in pixels.
    """
    true = boxes[faces.image_index]
    low = np.maximum(faces.xyxy[:, :2], true[:, :2])
    high = np.minimum(faces.xyxy[:, 2:], true[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    area = np.prod(faces.xyxy[:, 2:] - faces.xyxy[:, :2], axis=1) + np.prod(true[:, 2:] - true[:, :2], axis=1)
    overlap = common / np.maximum(area - common, np.finfo(np.float32).tiny)
    order = np.lexsort((-overlap, faces.image_index))
    _, first = np.unique(faces.image_index[order], return_index=True)
    best = np.sort(order[first])
    return faces[best[overlap[best] >= MIN_OVERLAP]]


@dataclass(frozen=True)
class View:
    """The faces of a cell: samples, and the crop of each whose face was found.

    Parameters
    ----------
    cell : Cell
        A fit or quality cell.
    pipeline : Pipeline
        Made or loaded; its detector, crop and feature steps are used.
    """

    cell: Cell
    pipeline: Pipeline

    @property
    def samples(self) -> Samples:
        """The whole view; :attr:`rows` says which of it belongs to the cell's fold."""
        return load_view(self.cell.dataset, self.cell.revision, self._split, self.cell.limit, self.cell.seed)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """(n,) int64: positions in :attr:`samples` of the cell's own samples."""
        index = fold_index(self.cell)
        return np.arange(len(self.samples)) if index is None else index

    @property
    def detector_is_bypassed(self) -> bool:
        """True where the dataset's images are crops already."""
        return self.samples.kind == "crops"

    def faces(self) -> Faces | None:
        """At most one detected face per image of the view; None where the detector is bypassed.

        A fit takes the largest. Scoring takes the one that overlaps the true box best where true boxes are known, the
        largest otherwise. A true box never stands in for a face that was not found.
        """
        if self.detector_is_bypassed:
            return None
        found = _as_faces(cached_array({"what": "detections", **self._detector_key}, self._detect), len(self.samples))
        boxes = self.samples.boxes
        if self._selection == "largest" or boxes is None:
            return found.largest_per_image()
        return best_overlap_per_image(found, boxes)

    def crops(self) -> npt.NDArray[np.uint8]:
        """(M, s, s) uint8 gray, one for each found face of the view, in the order of :meth:`faces`."""
        faces = self.faces()
        if faces is None:
            return np.asarray(self.samples.images)
        return cached_array({"what": "crops", **self._crop_key}, lambda: self._crop(faces))

    def features(self) -> npt.NDArray[np.float32]:
        """(M, D) float32 of a pipeline with stateless features, in the order of :meth:`crops`."""
        spec = self.cell.pipeline.features or ""
        key = {"what": "features", "features": spec, "code": code_digest("features", spec), **self._crop_key}
        return cached_array(key, lambda: self.pipeline.features_of(self.crops()))

    @property
    def _split(self) -> str:
        return self.cell.train_split if self.cell.kind == "fit" else self.cell.eval_split

    @property
    def _selection(self) -> Literal["largest", "overlap"]:
        return "largest" if self.cell.kind == "fit" else "overlap"

    @property
    def _view_key(self) -> dict[str, Any]:
        cell = self.cell
        # The dataset's spec belongs to the key: label filters change what a split holds, not the content digest.
        key = {"dataset": cell.dataset, "revision": cell.revision, "split": self._split, "limit": cell.limit}
        return key | {"seed": cell.seed if cell.limit is not None else None}

    @property
    def _detector_key(self) -> dict[str, Any]:
        spec = self.cell.pipeline.detector
        return {**self._view_key, "detector": spec, "detector_code": code_digest("detectors", spec)}

    @property
    def _crop_key(self) -> dict[str, Any]:
        if self.detector_is_bypassed:
            return {**self._view_key, "size": self.pipeline.input_size}
        key = {**self._detector_key, "selection": self._selection, "size": self.pipeline.input_size}
        own = {"scale": self.pipeline.crop_scale, "shift": self.pipeline.crop_shift}
        # A pipeline that came trained may cut otherwise than its detector does by itself.
        return key | {name: value for name, value in own.items() if value is not None}

    def _starts(self) -> range:
        return range(0, len(self.samples), _CHUNK)

    def _photos(self, start: int) -> list[Image]:
        images = self.samples.images
        return [images[i] for i in range(start, min(start + _CHUNK, len(images)))]

    def _detect(self) -> npt.NDArray[np.float64]:
        found = {-1: np.zeros((0, 6))}
        chunks = list(self._starts())
        # Generated photos are drawn when first read. Detectors that work side by side start at different places, so
        # that each draws what the other reads later.
        turn = int(digest(self.cell.pipeline.detector), 16) % max(len(chunks), 1)
        for start in chunks[turn:] + chunks[:turn]:
            faces = self.pipeline.detect(self._photos(start))
            if len(faces):
                found[start] = _as_table(faces, start)
        # A detector gives landmarks with every face or with none, so that all rows are of one width.
        rows = [found[start] for start in sorted(found)]
        return np.concatenate(rows[1:] if len(rows) > 1 else rows)

    def _crop(self, faces: Faces) -> npt.NDArray[np.uint8]:
        size = self.pipeline.input_size
        crops = [np.zeros((0, size, size), np.uint8)]
        for start in self._starts():
            images = self._photos(start)
            mine = (faces.image_index >= start) & (faces.image_index < start + len(images))
            points = None if faces.landmarks is None else faces.landmarks[mine]
            part = Faces(faces.xyxy[mine], faces.score[mine], faces.image_index[mine] - start, len(images), points)
            crops.append(self.pipeline.crop(images, part))
        return np.concatenate(crops)


def _as_table(faces: Faces, start: int) -> npt.NDArray[np.float64]:
    """Detections to be stored: image, four box edges, score, then x and y of each landmark where there are some."""
    points = np.zeros((len(faces), 0)) if faces.landmarks is None else faces.landmarks.reshape(len(faces), -1)
    return np.column_stack([faces.image_index + start, faces.xyxy, faces.score, points]).astype(np.float64)


def crops_of(view: View) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positions, among the view's crops, of the cell's own ones; and the samples that they show."""
    faces = view.faces()
    if faces is None:
        return view.rows, view.rows
    mine = np.isin(faces.image_index, view.rows)
    return np.flatnonzero(mine), faces.image_index[mine]


def _as_faces(table: npt.NDArray[np.float64], n_images: int) -> Faces:
    """Detections as stored."""
    points = table[:, 6:].reshape(len(table), -1, 2).astype(np.float32) if table.shape[1] > 6 else None
    return Faces(
        table[:, 1:5].astype(np.float32),
        table[:, 5].astype(np.float32),
        table[:, 0].astype(np.int64),
        n_images,
        points,
    )
