"""Where a table may be written, said before any work."""

from __future__ import annotations

import os
from pathlib import Path

from ferbench.errors import ParameterError

__all__ = ["check_table"]


def check_table(path: str | os.PathLike[str] | None) -> None:
    """Refuse a folder, and a name that a photograph or film has; ``-`` is standard output."""
    from ferbench.datasets.decode import is_image_name
    from ferbench.realtime.sources import VIDEO_SUFFIXES

    if path is None or os.fspath(path) == "-":
        return
    place = Path(path)
    if place.is_dir():
        raise ParameterError("a table is a file", got=f"{path}, a folder", expected="such as faces.csv")
    if is_image_name(place.name) or place.suffix.lower() in VIDEO_SUFFIXES:
        raise ParameterError("a table is no picture", got=str(path), expected="such as faces.csv")
