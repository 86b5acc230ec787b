"""Any tree of images by class, as a folder or a zip; and LFW-emotions, which comes as one."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ferbench.datasets.archives import FileImages, FileSource, image_names, open_source
from ferbench.datasets.base import ContemptChoice, ContemptDataset
from ferbench.datasets.content import Content, Skipped, cached
from ferbench.datasets.crops import check_side, image_shapes, read_crops
from ferbench.datasets.paths import not_found
from ferbench.datasets.trees import Placed, file_id, file_ids, infer_label_space, place
from ferbench.errors import ParameterError
from ferbench.labels import FER7, FERPLUS8, LabelSpace, label_space
from ferbench.samples import DatasetInfo, SampleKind

__all__ = ["ImageTree", "LFWEmotions"]

CROP_SIDE = 48
LARGEST_CROP = 128
"""Images of one square size up to this side are taken for crops; the published crop sets have 48 to 112 pixels."""


class ImageTree(ContemptDataset):
    """Images in folders named after expressions: ``[train|val|test/]<class>/[…/]<image>``.

    Parameters
    ----------
    path : path
        Folder or zip.
    kind : "auto", "crops" or "photos"
        ``auto``: crops if all images are square, of one size and at most 128 pixels wide; photos otherwise.
    size : int
        Side of the crops; 0 keeps the images' own size if they share one, and makes 48 pixels otherwise.
    label_space : str
        Name of a label space; ``auto`` takes the smallest usual one that holds the classes
        (:func:`~ferbench.datasets.trees.infer_label_space`).
    contempt : "keep", "drop", "disgust" or "neutral"
        ``keep``: an expression of its own. Otherwise labels are FER7's, and its faces are left out, or counted as such.

    Raises
    ------
    LabelError
        A folder names no expression, or one outside the label space.
    """

    known = DatasetInfo(
        name="images",
        title="image tree",
        label_space=FERPLUS8,
        kind="photos",
        splits=("train", "val", "test"),
        licence="yours",
    )

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        kind: Literal["auto", "crops", "photos"] = "auto",
        size: int = 0,
        label_space: str = "auto",
        contempt: ContemptChoice = "keep",
    ) -> None:
        super().__init__(path, contempt=contempt)
        if kind not in ("auto", "crops", "photos"):
            raise ParameterError("unknown kind of images", got=repr(kind), expected="auto, crops or photos")
        if size != 0:
            check_side(size)
        self.kind, self.size, self.label_space = kind, size, label_space

    def _info(self) -> DatasetInfo:
        """As known, with label space, kind and splits as the files have them."""
        content = self._content
        present = {split for split in content.splits.tolist() if split != "all"}
        kind: SampleKind = "crops" if isinstance(content.images, np.ndarray) else "photos"
        return replace(
            self.known,
            name=self.known.name if self.known.files else self._name(),
            label_space=self._space(content.labels.tolist()) if self.contempt == "keep" else FER7,
            kind=kind,
            splits=tuple(split for split in self.known.splits if split in present),
        )

    def _name(self) -> str:
        """The folder's name: reports tell two trees apart by it."""
        return re.sub(r"[^\w.-]+", "-", Path(self.location).resolve().stem) or "images"

    def _space(self, labels: list[str]) -> LabelSpace:
        if self.label_space == "auto":
            return infer_label_space(labels)
        space = label_space(self.label_space)
        space.encode(labels)
        return space

    def _read(self) -> Content:
        if self.path is None and not self.known.files:
            raise ParameterError(f"dataset {self.known.name!r} needs a path", expected="images(path=<folder or zip>)")
        source = open_source(self.location)
        placed, skipped = place(image_names(source))
        if not placed and not skipped:
            raise not_found(self.known, f"{self.location} holds no images")
        self._space([p.label for p in placed])
        key = [type(self).__name__, self.kind, str(self.size), source.fingerprint()]
        return cached(key, lambda: self._decode(source, placed, skipped), source)

    def _decode(self, source: FileSource, placed: list[Placed], skipped: list[Skipped]) -> Content:
        shapes, unreadable = image_shapes(source, [p.name for p in placed])
        readable = [p for p in placed if p.name in shapes]
        names = [p.name for p in readable]
        images: npt.NDArray[np.uint8] | FileImages = FileImages(source, np.array(names, dtype=np.str_))
        if self.kind == "crops" or (self.kind == "auto" and _are_crops(set(shapes.values()))):
            images, _ = read_crops(source, names, size=self.size or _common_side(set(shapes.values())) or CROP_SIDE)
        return Content(
            images=images,
            labels=np.array([p.label for p in readable], dtype=np.str_),
            ids=np.array(file_ids(names), dtype=np.str_),
            splits=np.array([p.split for p in readable], dtype=np.str_),
            subjects=self._subjects(names),
            skipped=[*skipped, *(Skipped(name, reason) for name, reason in unreadable.items())],
        )

    def _subjects(self, names: list[str]) -> npt.NDArray[np.str_] | None:
        """(N,) str: who is shown in each file, or None where names do not tell."""
        return None


def _common_side(shapes: set[tuple[int, int]]) -> int:
    """The side in pixels that all images share, or 0 if they differ or are not square."""
    if len(shapes) != 1:
        return 0
    height, width = next(iter(shapes))
    return height if height == width else 0


def _are_crops(shapes: set[tuple[int, int]]) -> bool:
    return 0 < _common_side(shapes) <= LARGEST_CROP


class LFWEmotions(ImageTree):
    """414 LFW photographs, 350×350 gray with margins around the face, labelled by students; noisy.

    Photos, for detectors and end-to-end runs; one split, ``all``. Subjects are the people's names. Only five classes
    have more than five images.

    Parameters
    ----------
    path : path, optional
        Zip or folder; by default the first of ``info.files`` under ``FERBENCH_DATA``.
    contempt : "keep", "drop", "disgust" or "neutral"
        ``keep``: an expression of its own. Otherwise labels are FER7's, and its faces are left out, or counted as such.
    """

    known = DatasetInfo(
        name="lfw-emotions",
        title="LFW-emotions",
        label_space=FERPLUS8,
        kind="photos",
        splits=(),
        licence="research use; LFW's terms",
        homepage="http://vis-www.cs.umass.edu/lfw/",
        files=("lfw-emotions.zip", "lfw-emotions"),
    )

    def __init__(self, path: str | os.PathLike[str] | None = None, *, contempt: ContemptChoice = "keep") -> None:
        super().__init__(path, kind="photos", label_space="FERPLUS8", contempt=contempt)

    def _info(self) -> DatasetInfo:
        """Known without reading: the set has one form."""
        return self.known

    def _subjects(self, names: list[str]) -> npt.NDArray[np.str_]:
        people = [re.sub(r"_\d+$", "", file_id(name).rsplit("/", 1)[-1]) for name in names]
        return np.array(people, dtype=np.str_)
