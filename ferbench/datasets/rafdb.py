"""RAF-DB [1]_, the single-label part: aligned faces from the web, seven basic expressions.

.. [1] Li, Deng, Du, "Reliable crowdsourcing and deep locality-preserving learning for expression recognition in the
   wild", CVPR 2017.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ferbench.datasets.archives import FileSource, Zip, image_names, open_source
from ferbench.datasets.base import StoredDataset
from ferbench.datasets.content import Content, Skipped, cached
from ferbench.datasets.crops import check_side, read_crops
from ferbench.datasets.paths import not_found
from ferbench.errors import DataError
from ferbench.labels import RAF7
from ferbench.samples import DatasetInfo

__all__ = ["RAFDB"]

LIST_NAME = "list_patition_label.txt"  # spelled so by its authors
_SPLITS = ("train", "test")


def _counts(*counts: int) -> dict[str, int]:
    return dict(zip(RAF7.labels, counts, strict=True))


class RAFDB(StoredDataset):
    """RAF-DB, 12,271 training and 3,068 test faces; aligned, as gray crops.

    Parameters
    ----------
    path : path, optional
        A folder or zip with ``list_patition_label.txt`` and the aligned images (``train_00001_aligned.jpg``, also
        inside the official ``aligned.zip``), or Kaggle's folders ``train/1/train_00001_aligned.jpg``.
    size : int
        Side of the crops in pixels; 100 is the original.
    """

    known = DatasetInfo(
        name="rafdb",
        title="RAF-DB",
        label_space=RAF7,
        kind="crops",
        splits=_SPLITS,
        licence="research use, on request to its authors",
        homepage="http://www.whdeng.cn/raf/model1.html",
        files=("rafdb", "RAF-DB", "rafdb.zip", "RAF-DB.zip", "basic"),
        official_counts={
            "train": _counts(1290, 281, 717, 4772, 1982, 705, 2524),
            "test": _counts(329, 74, 160, 1185, 478, 162, 680),
        },
    )

    def __init__(self, path: str | os.PathLike[str] | None = None, *, size: int = 100) -> None:
        super().__init__(path)
        self.size = check_side(size)

    def _read(self) -> Content:
        source = open_source(self.location)
        every = source.names()
        inner = next((name for name in every if name.rsplit("/", 1)[-1] == "aligned.zip"), None)
        if inner and not self.location.is_dir():
            raise DataError(
                f"{self.location} has its pictures in a zip within it",
                got=inner,
                fix="unpack the outer one, and name the folder",
            )
        pictures = Zip(self.location / inner) if inner else source

        def build() -> Content:
            listing = next((name for name in every if name.rsplit("/", 1)[-1] == LIST_NAME), None)
            codes, skipped = _from_list(source, listing) if listing else _from_folders(image_names(source))
            if not codes and not skipped:
                raise not_found(self.known, f"{self.location} holds neither {LIST_NAME} nor class folders 1 to 7")
            return _content(pictures, codes, skipped, self.size)

        return cached(["rafdb", str(self.size), source.fingerprint(), pictures.fingerprint()], build)


def _from_list(source: FileSource, listing: str) -> tuple[dict[str, int], list[Skipped]]:
    """``{stem: code}`` of lines such as ``train_00001.jpg 5``."""
    codes: dict[str, int] = {}
    skipped = []
    for row, line in enumerate(source.read(listing).decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        name, _, code = line.strip().partition(" ")
        where = f"{LIST_NAME} line {row}"
        if name.split("_", 1)[0] not in _SPLITS:
            skipped.append(Skipped(where, f"name is {name[:30]!r}, expected train_<n>.jpg or test_<n>.jpg"))
        elif code.strip() not in _CODES:
            skipped.append(Skipped(where, f"label is {code.strip()[:20]!r}, expected 1 to {len(RAF7)}"))
        else:
            codes[_stem(name)] = _CODES[code.strip()]
    return codes, skipped


_CODES = {str(i): i for i in range(1, len(RAF7) + 1)}


def _from_folders(names: list[str]) -> tuple[dict[str, int], list[Skipped]]:
    codes: dict[str, int] = {}
    skipped = []
    for name in names:
        folder, stem = Path(name).parent.name, _stem(name)
        if stem in codes:
            skipped.append(Skipped(name, f"{stem} is in another class folder, too"))
        elif folder in _CODES and stem.split("_", 1)[0] in _SPLITS:
            codes[stem] = _CODES[folder]
        else:
            skipped.append(Skipped(name, "expected <class 1 to 7>/<train|test>_<n>_aligned.jpg"))
    return codes, skipped


def _stem(name: str) -> str:
    """``train_00001`` of ``Image/aligned/train_00001_aligned.jpg``."""
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0].removesuffix("_aligned")


def _content(pictures: FileSource, codes: dict[str, int], skipped: list[Skipped], size: int) -> Content:
    files = {_stem(name): name for name in image_names(pictures) if "_aligned." in name}
    stems = [stem for stem in sorted(codes) if stem in files]
    missing = [
        Skipped(f"{stem}_aligned.jpg", "listed, but there is no such image") for stem in codes if stem not in files
    ]
    images, unreadable = read_crops(pictures, [files[stem] for stem in stems], size=size)
    kept = [stem for stem in stems if files[stem] not in unreadable]
    return Content(
        images=images,
        labels=RAF7.decode([codes[stem] - 1 for stem in kept]) if kept else np.array([], dtype=np.str_),
        ids=np.array(kept, dtype=np.str_),
        splits=np.array([stem.split("_", 1)[0] for stem in kept], dtype=np.str_),
        skipped=[*skipped, *missing, *(Skipped(name, reason) for name, reason in unreadable.items())],
    )
