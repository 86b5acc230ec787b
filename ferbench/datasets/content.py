"""What has been read of a dataset: one table and its images; its digest; and its decoded copy in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ferbench.datasets.archives import FileImages, FileSource
from ferbench.datasets.paths import cache_dir
from ferbench.faces import Image

__all__ = ["CacheWarning", "Content", "Skipped", "cached", "content_digest"]

_FORMAT = 1  # part of every cache key: raise it when what the readers produce changes


class Skipped(NamedTuple):
    """A row or file that could not be used.

    Attributes
    ----------
    row : int or str
        Data row counted from 1 (the header is not a row), or the name of a file.
    reason : str
        What was wrong, with what was found and what was expected.
    """

    row: int | str
    reason: str

    def __str__(self) -> str:
        where = f"row {self.row} (line {self.row + 1})" if isinstance(self.row, int) else self.row
        return f"{where}: {self.reason}"


class CacheWarning(UserWarning):
    """The cache cannot be written; everything works, reading a dataset again is as slow as the first time."""


@dataclass(frozen=True)
class Content:
    """A whole dataset.

    Attributes
    ----------
    images : (N, H, W) uint8 gray, or sequence of images
    labels, ids, splits : (N,) str
        ``splits`` are the toolkit's names; ``"all"`` where the dataset has no official ones.
    subjects : (N,) str, optional
    votes : (N, C) float32, optional
    vote_counts : (N, M) int64, optional
        The votes that ``votes`` were made of; they have no part in the digest.
    skipped : unreadable rows or files
    excluded : {reason: count}
        Samples left out by the dataset's own protocol, such as FER+'s images without a majority.
    """

    images: npt.NDArray[np.uint8] | Sequence[Image]
    labels: npt.NDArray[np.str_]
    ids: npt.NDArray[np.str_]
    splits: npt.NDArray[np.str_]
    subjects: npt.NDArray[np.str_] | None = None
    votes: npt.NDArray[np.float32] | None = None
    skipped: list[Skipped] = field(default_factory=list)
    excluded: Mapping[str, int] = field(default_factory=dict)
    revision: str = ""
    vote_counts: npt.NDArray[np.int64] | None = None


def content_digest(content: Content) -> str:
    """The first 16 hex digits of a SHA-256 over ids, splits, labels, subjects, votes and pixels, in the order of ids.

    The container (CSV, its compression, a zip, a folder) does not enter. Of photos that are read lazily the files'
    bytes enter instead of pixels: JPEG decoders differ by a gray level, files do not.
    """
    digest = hashlib.sha256()
    images = content.images
    if isinstance(images, np.ndarray):
        digest.update(f"{images.shape[1:]}".encode())
    for i in np.argsort(content.ids, kind="stable"):
        digest.update(f"\0{content.ids[i]}\0{content.splits[i]}\0{content.labels[i]}\0".encode())
        if content.subjects is not None:
            digest.update(f"{content.subjects[i]}\0".encode())
        if content.votes is not None:
            digest.update(np.ascontiguousarray(content.votes[i], dtype="<f4").tobytes())
        if isinstance(images, np.ndarray):
            digest.update(np.ascontiguousarray(images[i]).data)
        elif isinstance(images, FileImages):
            digest.update(images.source.read(str(images.file_names[i])))
        else:
            digest.update(np.ascontiguousarray(images[i]).data)
    return digest.hexdigest()[:16]


def cached(key: Sequence[str], build: Callable[[], Content], source: FileSource | None = None) -> Content:
    """The content for a key: memory-mapped from the cache, or built and put there.

    Parameters
    ----------
    key : strings
        Everything that decides the result: reader, parameters, fingerprint of the source.
    build : function
        Makes the content; its images are a (N, H, W) uint8 array, or files of ``source``.
    source : FileSource, optional
        Where images lie that are not kept as an array.

    Returns
    -------
    Content
        With ``revision`` set; images are a read-only memory map.
    """
    folder = cache_dir() / "datasets" / hashlib.sha256("\0".join([str(_FORMAT), *key]).encode()).hexdigest()[:32]
    found = _load(folder, source)
    if found is not None:
        return found
    content = build()
    content = Content(**{**content.__dict__, "revision": content_digest(content)})
    try:
        _save(content, folder)
    except OSError as error:
        warnings.warn(f"cannot write the cache {folder}: {error}; set FERBENCH_CACHE", CacheWarning, stacklevel=3)
        return content
    return _load(folder, source) or content


def _save(content: Content, folder: Path) -> None:
    """Write to a folder of its own and rename: a reader sees all or nothing, two writers do not meet."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        columns = {name: getattr(content, name) for name in ("labels", "ids", "splits", "subjects", "votes")}
        if isinstance(content.images, FileImages):
            columns["files"] = content.images.file_names
        else:
            np.save(fresh / "images.npy", np.asarray(content.images))
        np.savez(fresh / "table.npz", **{name: value for name, value in columns.items() if value is not None})
        facts = {"revision": content.revision, "skipped": content.skipped, "excluded": dict(content.excluded)}
        (fresh / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # only a damaged copy can be there
        os.replace(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _load(folder: Path, source: FileSource | None) -> Content | None:
    """The content in a cache folder, or None where it is missing or damaged (it is then built again)."""
    try:
        facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        with np.load(folder / "table.npz", allow_pickle=False) as table:
            columns = {name: table[name] for name in table.files}
        images: Any
        if source is not None and "files" in columns:
            images = FileImages(source, columns.pop("files"))
        else:
            images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        skipped = [Skipped(row, reason) for row, reason in facts["skipped"]]
        content = Content(
            images, skipped=skipped, excluded=facts["excluded"], revision=str(facts["revision"]), **columns
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    return content if len(images) == len(content.ids) else None
