"""What a dataset gives: :class:`DatasetInfo` about it, and :class:`Samples` of one split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ferbench.errors import ShapeError
from ferbench.faces import Image
from ferbench.labels import ContemptPolicy, LabelMap, LabelSpace

__all__ = ["DatasetInfo", "SampleKind", "Samples"]

SampleKind = Literal["crops", "photos"]
"""``crops``: images cut to the face, all of one size; the detector is bypassed. ``photos``: the detector works."""


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset without reading it.

    Attributes
    ----------
    name, title : str
        Registry name, and the name people know it by.
    label_space : LabelSpace
        Its expressions.
    kind : "crops" or "photos"
        Whether images are face crops already.
    splits : tuple of str
        Split names that :meth:`Dataset.split` takes, such as ``train``, ``val``, ``test``; ``all`` always works.
    licence, homepage : str
        Under which terms, and where to get it.
    files : tuple of str
        File or folder names looked for under ``FERBENCH_DATA``.
    official_counts : mapping of split to {label: count}
        Published class counts, where there are any; ``ferbench data audit`` compares.
    is_synthetic : bool
        True for generated faces; every report says so.
    pictures_of : str
        Registry name of the dataset whose pictures these are, split by split, where only the labels are others.
    """

    name: str
    title: str
    label_space: LabelSpace
    kind: SampleKind
    splits: tuple[str, ...]
    licence: str
    homepage: str = ""
    files: tuple[str, ...] = ()
    official_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    is_synthetic: bool = False
    pictures_of: str = ""


@dataclass(frozen=True)
class Samples:
    """Labelled images of one split.

    Attributes
    ----------
    images : (N, H, W) uint8 array for crops, sequence of images otherwise
        Gray or RGB; photos may differ in size, and may be read from disk when they are asked for.
    labels : (N,) str
        Names in ``label_space``.
    ids : (N,) str
        Unique within the dataset, stable over splits.
    label_space : LabelSpace
    kind : "crops" or "photos"
    dataset, split, revision : str
        Where the samples come from; ``revision`` is the content digest of the whole dataset.
    subjects : (N,) str, optional
        Who is shown, where known.
    votes : (N, C) float32, optional
        Annotators' votes over ``label_space``, where known; rows sum to 1.
    boxes : (N, 4) float32, optional
        True face box, xyxy in pixels, where known.
    vote_counts : (N, M) int64, optional
        Annotators' votes as they were cast: first for the expressions of ``label_space``, then for whatever else could
        be chosen, such as *not a face*.
    """

    images: npt.NDArray[np.uint8] | Sequence[Image]
    labels: npt.NDArray[np.str_]
    ids: npt.NDArray[np.str_]
    label_space: LabelSpace
    kind: SampleKind
    dataset: str
    split: str
    revision: str
    subjects: npt.NDArray[np.str_] | None = None
    votes: npt.NDArray[np.float32] | None = None
    boxes: npt.NDArray[np.float32] | None = None
    vote_counts: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        n = len(self.images)
        for name in ("labels", "ids", "subjects", "votes", "boxes", "vote_counts"):
            value = getattr(self, name)
            if value is not None and len(value) != n:
                raise ShapeError(f"Samples.{name} and Samples.images differ in length", got=len(value), expected=n)
        if self.kind == "crops" and not (isinstance(self.images, np.ndarray) and self.images.dtype == np.uint8):
            raise ShapeError("crops must be one uint8 array", got=type(self.images).__name__)
        self.label_space.encode(np.unique(self.labels))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def groups(self) -> npt.NDArray[np.str_]:
        """(N,) str: subjects where known, otherwise each sample its own group. The unit of resampling."""
        return self.ids if self.subjects is None else self.subjects

    def subset(self, index: npt.ArrayLike) -> Samples:
        """The samples at an index array or mask, in that order."""
        at = np.asarray(index)
        at = np.flatnonzero(at) if at.dtype == bool else at.astype(np.int64)
        images = self.images[at] if isinstance(self.images, np.ndarray) else LazyImages(self.images, at)
        return replace(
            self,
            images=images,
            labels=self.labels[at],
            ids=self.ids[at],
            subjects=None if self.subjects is None else self.subjects[at],
            votes=None if self.votes is None else self.votes[at],
            boxes=None if self.boxes is None else self.boxes[at],
            vote_counts=None if self.vote_counts is None else self.vote_counts[at],
        )

    def with_labels(self, label_map: LabelMap) -> Samples:
        """The samples in another label space; those the map drops are left out. Votes are left behind."""
        mapped, keep = label_map.apply(self.labels)
        kept = replace(self, votes=None, vote_counts=None).subset(keep)
        return replace(kept, labels=mapped, label_space=label_map.target)

    def within(self, space: LabelSpace, *, contempt: ContemptPolicy = "error") -> Samples:
        """The samples as they are where a label space has all of their labels, else with its labels.

        Raises
        ------
        LabelError
            They have labels that it lacks, and nothing is said of what becomes of them.
        """
        if set(self.label_space.labels) <= set(space.labels):
            return self
        return self.with_labels(self.label_space.map_to(space, contempt=contempt))


class LazyImages(Sequence[Image]):
    """A view of some images of a sequence, read only when asked for."""

    def __init__(self, images: Sequence[Image], index: npt.NDArray[np.int64]) -> None:
        self._images, self._index = images, index

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, i: int) -> Image:  # type: ignore[override]
        return self._images[int(self._index[i])]
