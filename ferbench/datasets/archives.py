"""Image files in a folder or in a zip archive, seen the same way: a sorted list of names and a way to read each.

Nothing is ever unpacked to disk, and a hostile archive (names that climb out of it, bombs) is refused as a whole.
"""

from __future__ import annotations

import hashlib
import os
import threading
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ferbench.datasets.decode import is_image_name, read_image
from ferbench.errors import DataError
from ferbench.faces import Image

__all__ = ["FileImages", "FileSource", "Folder", "Zip", "check_zip", "open_source"]

MAX_ENTRY_BYTES = 4 * 2**30
"""Largest file taken out of an archive; FER2013 as text is 0.3 GiB."""

MAX_TOTAL_BYTES = 256 * 2**30
MAX_ENTRIES = 5_000_000

# Deflate reaches about 1000:1 on zeros; photographs stay near 1, FER2013's text near 4, 48×48 BMP files near 50.
MAX_RATIO = 200
_RATIO_MATTERS_FROM = 64 * 2**20

_ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError)


class FileSource(Protocol):
    """Files under one root."""

    path: Path

    def names(self) -> list[str]:
        """All file names, relative with forward slashes, sorted; hidden ones and ``__MACOSX`` left out."""
        ...

    def read(self, name: str) -> bytes:
        """Content of one file."""
        ...

    def fingerprint(self) -> str:
        """Changes when the files change. Says nothing about content being equal elsewhere."""
        ...


def open_source(path: Path) -> FileSource:
    """A folder or a zip archive as a :class:`FileSource`; anything else is a :class:`DataError`."""
    if path.is_dir():
        return Folder(path)
    if zipfile.is_zipfile(path):
        return Zip(path)
    raise DataError(
        f"cannot read images from {path}",
        got="a zip that is damaged or cut short" if path.suffix.lower() == ".zip" else "a file of another kind",
        expected="a folder or a zip archive",
    )


class Folder:
    """Files of a folder and the folders below it; symbolic links are followed, cycles are not."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        return sorted(name for name, _ in self._files())

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        seen: set[tuple[int, int]] = set()
        for folder, children, files in os.walk(self.path, followlinks=True):
            place = os.stat(folder)
            if (place.st_dev, place.st_ino) in seen:
                children.clear()
                continue
            seen.add((place.st_dev, place.st_ino))
            children[:] = sorted(child for child in children if not _is_hidden(child))
            for file in files:
                full = Path(folder, file)
                if not _is_hidden(file) and full.is_file():
                    yield full.relative_to(self.path).as_posix(), full.stat()

    def read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {self.path / name}", got=error.strerror) from error

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(str(self.path.resolve()).encode(errors="surrogateescape"), digest_size=16)
        for name, stat in sorted(self._files(), key=lambda item: item[0]):
            digest.update(f"\0{name}\0{stat.st_size}\0{stat.st_mtime_ns}".encode(errors="surrogateescape"))
        return digest.hexdigest()


class Zip:
    """Files of a zip archive, read in place. Can be pickled; every process opens the archive for itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: zipfile.ZipFile | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Zip.__init__(self, state["path"])

    def __del__(self) -> None:
        archive = getattr(self, "_open", None)
        if archive is not None:
            archive.close()

    def _archive(self) -> zipfile.ZipFile:
        if self._open is None:
            try:
                archive = zipfile.ZipFile(self.path)
            except _ZIP_DAMAGE as error:
                raise DataError(f"{self.path} is a damaged zip archive", got=error, fix="download it again") from error
            try:
                check_zip(archive, self.path)
            except DataError:
                archive.close()
                raise
            self._open = archive
        return self._open

    def names(self) -> list[str]:
        with self._lock:
            found = [info.filename for info in self._archive().infolist() if not info.is_dir()]
        return sorted(name for name in found if not any(_is_hidden(part) for part in name.split("/")))

    def read(self, name: str) -> bytes:
        with self._lock:
            try:
                return self._archive().read(name)
            except _ZIP_DAMAGE as error:
                raise DataError(f"cannot read {name} in {self.path}", got=error, fix="download it again") from error

    def fingerprint(self) -> str:
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def check_zip(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive whose names climb out of it, or that would grow beyond reason when read.

    Raises
    ------
    DataError
        Naming the entry and the limit.
    """
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise DataError(f"{path} has too many entries", got=len(entries), expected=f"up to {MAX_ENTRIES}")
    total = 0
    for entry in entries:
        if not is_safe_name(entry.orig_filename):
            raise DataError(
                f"{path} is not safe to read",
                got=f"an entry named {entry.orig_filename!r}",
                expected="relative names without '..'",
                fix="do not use this archive",
            )
        if entry.flag_bits & 0x1:
            raise DataError(f"{path} is encrypted", got=f"entry {entry.filename!r}", fix="unpack it first")
        total += entry.file_size
        swells = entry.file_size > _RATIO_MATTERS_FROM and entry.file_size > MAX_RATIO * max(entry.compress_size, 1)
        if entry.file_size > MAX_ENTRY_BYTES or total > MAX_TOTAL_BYTES or swells:
            raise DataError(
                f"{path} would grow beyond the limits when read",
                got=f"{entry.filename!r} of {entry.file_size} bytes from {entry.compress_size}",
                expected=f"entries up to {MAX_ENTRY_BYTES >> 30} GiB and {MAX_RATIO}:1",
                fix="do not use this archive",
            )


def is_safe_name(name: str) -> bool:
    """Whether an archive entry's name stays inside the archive on every system."""
    if not name or "\0" in name or "\\" in name or name.startswith("/"):
        return False
    return ".." not in PurePosixPath(name).parts and not (len(name) > 1 and name[1] == ":")


def _is_hidden(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"


class FileImages(Sequence[Image]):
    """Images of a :class:`FileSource`, decoded each time they are asked for."""

    def __init__(self, source: FileSource, names: npt.NDArray[np.str_]) -> None:
        self.source, self.file_names = source, names

    def __len__(self) -> int:
        return len(self.file_names)

    def __getitem__(self, i: int) -> Image:  # type: ignore[override]
        name = str(self.file_names[i])
        return read_image(self.source.read(name), name=f"{self.source.path}/{name}")


def image_names(source: FileSource) -> list[str]:
    """Names of a source that end like an image."""
    return [name for name in source.names() if is_image_name(name)]
