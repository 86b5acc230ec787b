"""dlib and its model files, which come with the ``landmarks`` extra."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ferbench.errors import MissingDependencyError, ModelFileError

__all__ = ["dlib_model", "import_dlib"]

_PACKAGE = "face_recognition_models"
_EXTRA = "landmarks"


def import_dlib(needed_for: str) -> Any:
    """The module ``dlib``.

    Raises
    ------
    MissingDependencyError
        It is not installed.
    """
    try:
        return importlib.import_module("dlib")
    except ModuleNotFoundError as error:
        if error.name != "dlib":
            raise
        raise MissingDependencyError("dlib", _EXTRA, needed_for) from error


def dlib_model(name: str, needed_for: str) -> Path:
    """Path of one of dlib's model files.

    Parameters
    ----------
    name : str
        File name, such as ``mmod_human_face_detector.dat``.
    needed_for : str
        What asks for it, for the message.

    Raises
    ------
    MissingDependencyError
        The package that carries the files is not installed.
    ModelFileError
        It is installed without this file.
    """
    # Never imported: its __init__ needs pkg_resources, which setuptools has removed.
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(_PACKAGE, _EXTRA, needed_for)
    path = Path(spec.submodule_search_locations[0]) / "models" / name
    if not path.is_file():
        raise ModelFileError(f"{path} is missing", fix=f"pip install --force-reinstall {_PACKAGE}")
    return path
