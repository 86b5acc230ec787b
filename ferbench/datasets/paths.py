"""Where datasets lie on this machine, where their decoded form is kept, and what to say when one is not there."""

from __future__ import annotations

import os
from pathlib import Path

from ferbench.errors import DatasetNotFoundError
from ferbench.samples import DatasetInfo

__all__ = ["cache_dir", "data_root", "locate", "not_found"]


def data_root() -> Path:
    """The folder that ``FERBENCH_DATA`` names.

    Raises
    ------
    DatasetNotFoundError
        The variable is not set, or names no folder.
    """
    value = os.environ.get("FERBENCH_DATA", "")
    if not value:
        raise DatasetNotFoundError(
            "FERBENCH_DATA is not set",
            expected="the folder that holds the dataset files",
            fix="export FERBENCH_DATA=/that/folder, or give path=...",
        )
    root = Path(value).expanduser()
    if not root.is_dir():
        raise DatasetNotFoundError(
            "FERBENCH_DATA names no folder", got=str(root), fix="set it to the folder that holds the dataset files"
        )
    return root


def cache_dir() -> Path:
    """Where decoded datasets are kept: ``FERBENCH_CACHE``, else ``~/.cache/ferbench``. Deleting it is always safe."""
    value = os.environ.get("FERBENCH_CACHE", "")
    return Path(value).expanduser() if value else Path.home() / ".cache" / "ferbench"


def locate(info: DatasetInfo, path: str | os.PathLike[str] | None) -> Path:
    """The file or folder of a dataset: ``path`` if given, else the first of ``info.files`` under the data root.

    Raises
    ------
    DatasetNotFoundError
        Nothing is there; the message names what was looked for, the source and the licence.
    """
    if path is not None:
        given = Path(path).expanduser()
        if not given.exists():
            raise not_found(info, f"no such file or folder: {given}")
        return given
    try:
        root = data_root()
    except DatasetNotFoundError as error:
        raise not_found(info, str(error.what) + (f" ({error.got})" if error.got else "")) from None
    for name in info.files:
        if (root / name).exists():
            return root / name
    raise not_found(info, f"not in {root}")


def not_found(info: DatasetInfo, why: str) -> DatasetNotFoundError:
    """The error for a dataset that is not on this machine."""
    source = f"get it from {info.homepage} (licence: {info.licence})" if info.homepage else f"licence: {info.licence}"
    return DatasetNotFoundError(
        f"dataset {info.name!r} not found, {why}",
        expected=f"one of {', '.join(info.files)} in FERBENCH_DATA" if info.files else "path=<folder or zip>",
        fix=source + ", then set FERBENCH_DATA to its folder or give path=...",
    )
