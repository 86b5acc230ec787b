"""Where a table or a folder of pictures may be written, said before any work."""

from __future__ import annotations

import os
from pathlib import Path

from ferbench.errors import ParameterError, SourceError

__all__ = ["check_picture_folder", "check_table", "make_picture_folder"]

_NO_FOLDER = "annotated pictures go into a folder"


def check_table(path: str | os.PathLike[str] | None) -> None:
    """Refuse a folder, and a name that a photograph or film has; ``-`` is standard output."""
    from ferbench.datasets.decode import is_image_name
    from ferbench.realtime.sources import VIDEO_SUFFIXES

    if path is None or os.fspath(path) == "-":
        return
    place = Path(path)
    if not os.fspath(path):
        raise ParameterError("a table is a file", got="''", expected="such as faces.csv")
    if place.is_dir():
        raise ParameterError("a table is a file", got=f"{path}, a folder", expected="such as faces.csv")
    if is_image_name(place.name) or place.suffix.lower() in VIDEO_SUFFIXES:
        raise ParameterError("a table is no picture", got=str(path), expected="such as faces.csv")


def check_picture_folder(path: str) -> None:
    """Refuse an empty name, and a file where a folder is to be."""
    if not path:
        raise ParameterError(_NO_FOLDER, got="''", expected="such as annotated/")
    place = Path(path)
    for part in (place, *place.parents):
        if part.exists() and not part.is_dir():
            raise ParameterError(_NO_FOLDER, got=f"{part}, a file", expected="such as annotated/")


def make_picture_folder(path: str) -> None:
    """Make a folder and try whether a file can be made in it.

    Raises
    ------
    SourceError
        If not. Permissions alone do not tell: a file system may be read-only or none.
    """
    import tempfile

    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise SourceError(
            f"cannot write annotated pictures into {path}",
            got=error.strerror,
            expected="a folder that can be written to",
            fix="choose another folder",
        ) from error
