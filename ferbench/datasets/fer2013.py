"""FER2013 [1]_ in every form in which it is passed around.

.. [1] Goodfellow et al., "Challenges in Representation Learning: A report on three machine learning contests",
   ICONIP 2013.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np

from ferbench.datasets.archives import Zip, image_names, open_source
from ferbench.datasets.base import StoredDataset
from ferbench.datasets.content import Content, Skipped, cached
from ferbench.datasets.crops import read_crops
from ferbench.datasets.fer_csv import SIDE, USAGES, FerTable, open_table, read_fer_table, table_names
from ferbench.datasets.paths import not_found
from ferbench.errors import LabelError
from ferbench.labels import FER7, canonical_label
from ferbench.samples import DatasetInfo

__all__ = ["FER2013"]

TABLES = (
    "fer2013.csv.xz",
    "fer2013.csv",
    "fer2013.csv.gz",
    "fer2013.csv.zip",
    "icml_face_data.csv",
    "icml_face_data.csv.zip",
    "icml_face_data.csv.gz",
)


def _counts(*counts: int) -> dict[str, int]:
    return dict(zip(FER7.labels, counts, strict=True))


class FER2013(StoredDataset):
    """35,887 faces found on the web by their captions, 48×48 gray, seven expressions.

    Splits: ``train`` (Training), ``val`` (PublicTest), ``test`` (PrivateTest). Ids are ``<Usage>_<position>``, or
    the file's stem where the faces come as files.

    Parameters
    ----------
    path : path, optional
        ``fer2013.csv`` plain, ``.gz``, ``.xz`` or ``.zip``; Kaggle's ``icml_face_data.csv``; a folder or zip with one
        of these, or with images such as ``train/angry/Training_3908.jpg``, whose names carry the official split.

    Examples
    --------
    >>> FER2013().info.label_space.labels
    ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')
    """

    known = DatasetInfo(
        name="fer2013",
        title="FER2013",
        label_space=FER7,
        kind="crops",
        splits=("train", "val", "test"),
        licence="research use; the images' rights are their owners'",
        homepage="https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge",
        files=(*TABLES, "fer2013.zip", "fer2013"),
        official_counts={
            "train": _counts(3995, 436, 4097, 7215, 4830, 3171, 4965),
            "val": _counts(467, 56, 496, 895, 653, 415, 607),
            "test": _counts(491, 55, 528, 879, 594, 416, 626),
        },
    )

    def _read(self) -> Content:
        table = find_table(self.location)
        return _from_files(self) if table is None else read_table_cached(table)


def find_table(path: Path) -> Path | None:
    """The FER2013 table at a path (itself, or in a folder), or None where there are image files instead."""
    if path.is_dir():
        return next((path / name for name in TABLES if (path / name).exists()), None)
    if zipfile.is_zipfile(path) and not table_names(Zip(path).names()):
        return None
    return path


def read_table_cached(table: Path) -> Content:
    """The content of a table; decoded once, then memory-mapped."""
    with table.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()

    def build() -> Content:
        with open_table(table) as stream:
            return _content(read_fer_table(stream, str(table)))

    return cached(["fer2013-table", digest], build)


def _content(table: FerTable) -> Content:
    ids = [f"{usage}_{at:05d}" for usage, at in zip(table.usages.tolist(), table.positions.tolist(), strict=True)]
    return Content(
        images=table.images,
        labels=FER7.decode(table.emotions) if ids else np.array([], dtype=np.str_),
        ids=np.array(ids, dtype=np.str_),
        splits=np.array([USAGES[usage] for usage in table.usages.tolist()], dtype=np.str_),
        skipped=table.skipped,
    )


def _from_files(dataset: FER2013) -> Content:
    """Faces as files: the folder is the label, the file name carries the official split."""
    source = open_source(dataset.location)

    def build() -> Content:
        names, labels, splits = [], [], []
        skipped: list[Skipped] = []
        for name in image_names(source):
            folder, _, file = name.rpartition("/")
            usage = file.split("_", 1)[0]
            if usage not in USAGES:
                skipped.append(Skipped(name, f"the file name tells no split, expected {'_, '.join(USAGES)}_ in front"))
                continue
            try:
                label = canonical_label(folder.rpartition("/")[2])
            except LabelError as error:
                skipped.append(Skipped(name, str(error)))
                continue
            names.append(name)
            labels.append(label)
            splits.append(USAGES[usage])
        if not names and not skipped:
            raise not_found(dataset.known, f"{dataset.location} holds neither a table nor images")
        images, unreadable = read_crops(source, names, size=SIDE, must_fit=True)
        keep = np.array([name not in unreadable for name in names], dtype=bool)
        skipped += [Skipped(name, reason) for name, reason in unreadable.items()]
        ids = [name.rsplit("/", 1)[-1].rsplit(".", 1)[0] for name in names]
        return Content(
            images=images,
            labels=np.array(labels, dtype=np.str_)[keep],
            ids=np.array(ids, dtype=np.str_)[keep],
            splits=np.array(splits, dtype=np.str_)[keep],
            skipped=skipped,
        )

    return cached(["fer2013-files", source.fingerprint()], build)
