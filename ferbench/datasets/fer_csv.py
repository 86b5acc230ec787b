"""FER2013's table: one face per line, 2304 gray values as text, read as a stream so that 270 MB never lie in memory."""

from __future__ import annotations

import csv
import gzip
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt

from ferbench.datasets.archives import check_zip
from ferbench.datasets.content import Skipped
from ferbench.errors import DataError

__all__ = ["SIDE", "USAGES", "FerTable", "open_table", "read_fer_table"]

SIDE = 48
"""Side of a FER2013 face in pixels."""

USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
"""Official names of the splits, and the toolkit's."""

N_EMOTIONS = 7
_COLUMNS = ("emotion", "pixels", "usage")
_MAX_LINE = 2**20  # a row has about 9 kB; what has no line ends is no table
_ENDS_EARLY = "the file is damaged or cut short: download it again"
_STREAM_DAMAGE = (EOFError, OSError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)


@dataclass(frozen=True)
class FerTable:
    """The readable rows of a table.

    Attributes
    ----------
    images : (N, 48, 48) uint8 gray
    emotions : (N,) uint8
        Official codes, 0 angry to 6 neutral.
    usages : (N,) str
        Official split names.
    positions : (N,) int64
        Position of the row among those of its usage, unreadable ones counted.
    skipped : unreadable rows
    """

    images: npt.NDArray[np.uint8]
    emotions: npt.NDArray[np.uint8]
    usages: npt.NDArray[np.str_]
    positions: npt.NDArray[np.int64]
    skipped: list[Skipped]


@contextmanager
def open_table(path: Path) -> Iterator[IO[bytes]]:
    """A table's bytes, whether plain, gzip, xz or the one CSV in a zip; told by content, not by the file's name.

    Raises
    ------
    DataError
        The file cannot be opened, or its compression is damaged anywhere, also while it is being read.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(6)
        if magic.startswith(b"\x1f\x8b"):
            with gzip.open(path) as unzipped:
                yield cast(IO[bytes], unzipped)
        elif magic.startswith(b"\xfd7zXZ"):
            with lzma.open(path) as stream:
                yield stream
        elif magic.startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                check_zip(archive, path)
                with archive.open(_only_table(archive, path)) as stream:
                    yield stream
        else:
            with path.open("rb") as file:
                yield file
    except _STREAM_DAMAGE as error:
        raise DataError(f"cannot read {path}", got=error, fix=_ENDS_EARLY) from error


def _only_table(archive: zipfile.ZipFile, path: Path) -> str:
    """The FER2013 table of an archive; Kaggle's download also holds ``train.csv`` and ``test.csv``."""
    names = table_names(archive.namelist())
    wanted = [name for name in names if name.rsplit("/", 1)[-1].lower() in ("fer2013.csv", "icml_face_data.csv")]
    chosen = wanted or names
    # Kaggle ships the same rows under both names.
    chosen = sorted(chosen, key=lambda name: ("fer2013.csv" not in name.lower(), name))
    if not wanted and len(chosen) != 1:
        raise DataError(f"{path} holds no table", got=f"{len(chosen)} CSV files", expected="one: fer2013.csv")
    return chosen[0]


def table_names(names: list[str]) -> list[str]:
    """Names that end in ``.csv``, hidden ones left out."""
    return [n for n in names if n.lower().endswith(".csv") and not n.startswith("__MACOSX") and "/." not in n]


def read_fer_table(stream: IO[bytes], name: str) -> FerTable:
    """Read a FER2013 table.

    Parameters
    ----------
    stream : binary stream
        CSV with the columns ``emotion``, ``pixels`` and ``Usage`` in any order; blanks around names are ignored.
    name : str
        What to call it in messages.

    Raises
    ------
    DataError
        The header is not FER2013's, or the file stops in the middle of a row.
    """
    columns = _columns(_next_line(stream, name), name)
    pixels, emotions, usages, positions = bytearray(), bytearray(), [], []
    skipped: list[Skipped] = []
    seen: Counter[str] = Counter()
    row = 0
    while line := _next_line(stream, name):
        if not line.strip():
            continue
        row += 1
        fields = _fields(line)
        usage = fields[columns[2]].strip() if len(fields) > columns[2] else ""
        try:
            emotion, values = _parse(fields, columns)
        except ValueError as problem:
            if not line.endswith(b"\n"):
                raise DataError(
                    f"{name} stops in the middle of row {row} (line {row + 1})", got=problem, fix=_ENDS_EARLY
                ) from None
            skipped.append(Skipped(row, str(problem)))
        else:
            pixels += values
            emotions.append(emotion)
            usages.append(usage)
            positions.append(seen[usage])
        if usage in USAGES:
            seen[usage] += 1
    return FerTable(
        images=np.frombuffer(bytes(pixels), dtype=np.uint8).reshape(-1, SIDE, SIDE),
        emotions=np.frombuffer(bytes(emotions), dtype=np.uint8),
        usages=np.array(usages, dtype=np.str_),
        positions=np.array(positions, dtype=np.int64),
        skipped=skipped,
    )


def _next_line(stream: IO[bytes], name: str) -> bytes:
    line = stream.readline(_MAX_LINE)
    if len(line) == _MAX_LINE:
        raise DataError(f"{name} is not a FER2013 table", got="a line of more than 1 MiB", expected="a CSV text file")
    return line


def _columns(header: bytes, name: str) -> tuple[int, int, int]:
    """Positions of emotion, pixels and usage."""
    names = [field.strip().lower() for field in _fields(header.removeprefix(b"\xef\xbb\xbf"))]
    missing = [column for column in _COLUMNS if column not in names]
    if missing:
        got = "an empty file" if not header.strip() else f"the columns {', '.join(names)[:80]!r}"
        raise DataError(f"{name} is not a FER2013 table", got=got, expected="the columns emotion, pixels, Usage")
    emotion, pixels, usage = (names.index(column) for column in _COLUMNS)
    return emotion, pixels, usage


def _fields(line: bytes) -> list[str]:
    text = line.decode("utf-8", errors="replace").rstrip("\r\n")
    if '"' not in text:
        return text.split(",")
    try:
        # One line at a time: a lost quotation mark spoils its own row and no other.
        return next(csv.reader([text]))
    except csv.Error:
        return []


_DIGITS_AND_BLANKS = str.maketrans("", "", "0123456789 ")


def _parse(fields: list[str], columns: tuple[int, int, int]) -> tuple[int, bytes]:
    """Emotion code and 2304 pixels of one row, or a ValueError that says what is wrong with it."""
    if len(fields) <= max(columns):
        raise ValueError(f"{len(fields)} columns, expected at least {max(columns) + 1}")
    emotion, pixels, usage = (fields[column].strip() for column in columns)
    if usage not in USAGES:
        raise ValueError(f"Usage is {usage[:20]!r}, expected {', '.join(USAGES)}")
    if not (emotion.isascii() and emotion.isdigit() and int(emotion[:9]) < N_EMOTIONS):
        raise ValueError(f"emotion is {emotion[:20]!r}, expected 0 to {N_EMOTIONS - 1}")
    if pixels.translate(_DIGITS_AND_BLANKS):
        texts = pixels.split()
        for at, text in enumerate(texts, 1):
            if not (text.isascii() and text.isdigit()):
                raise ValueError(f"pixel {at} is {text[:20]!r}, not a whole number")
        pixels = " ".join(texts)  # only the blanks between them are others
    # Four times faster than int() on each value; the check above leaves it nothing to stumble over.
    values = np.fromstring(pixels, dtype=np.int64, sep=" ")
    if len(values) != SIDE * SIDE:
        raise ValueError(f"{len(values)} pixels, expected {SIDE * SIDE}")
    if values.max() > 255:
        at = int(np.argmax(values > 255))
        raise ValueError(f"pixel {at + 1} is {values[at]}, expected 0 to 255")
    return int(emotion), values.astype(np.uint8).tobytes()
