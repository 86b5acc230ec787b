"""Digests of files, by which one that was exchanged or damaged is told."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ferbench.errors import ModelFileError

__all__ = ["check_digest", "file_digest"]


def file_digest(path: Path) -> str:
    """The sha256 of a file's content, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(path: Path, digest: str, *, fix: str) -> None:
    """Raise :class:`ModelFileError` if a file is missing or is not the one of this sha256; ``fix`` says what helps."""
    if not path.is_file():
        raise ModelFileError(f"{path} is missing", fix=fix)
    if (got := file_digest(path)) != digest:
        raise ModelFileError(
            f"{path} was exchanged or damaged", got=f"sha256 {got[:12]}…", expected=f"{digest[:12]}…", fix=fix
        )
