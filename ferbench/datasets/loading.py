"""From a name, a spec or a path to a dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, overload

from ferbench.contracts import Dataset
from ferbench.errors import DataError, DatasetNotFoundError, ParameterError, UnknownNameError
from ferbench.registry import create, entries
from ferbench.samples import Samples
from ferbench.specs import Spec, parse_spec

__all__ = ["load_dataset", "load_recorded"]

_TABLE_SUFFIXES = (".csv", ".csv.gz", ".csv.xz", ".csv.zip")


@overload
def load_dataset(spec: str | os.PathLike[str] | Spec | Dataset, split: None = None, **params: Any) -> Dataset: ...
@overload
def load_dataset(spec: str | os.PathLike[str] | Spec | Dataset, split: str, **params: Any) -> Samples: ...
def load_dataset(
    spec: str | os.PathLike[str] | Spec | Dataset, split: str | None = None, **params: Any
) -> Dataset | Samples:
    """A dataset, or one split of it.

    Parameters
    ----------
    spec : str, path, Spec or Dataset
        A registered name (``"fer2013"``), a spec (``"images(path=/my/faces)"``), the path of a folder or zip of
        images by class, the path of a FER2013 table (``.csv``, also compressed), or a dataset, which is passed on.
    split : str, optional
        ``"train"``, ``"val"``, ``"test"``, ``"all"``: give its samples instead of the dataset.
    **params
        Parameters of the dataset, such as ``path``.

    Raises
    ------
    DatasetNotFoundError
        It is not on this machine; the message says which files are looked for, their source and their licence.
    UnknownNameError
        No such dataset, parameter or split.

    Examples
    --------
    >>> load_dataset("fer2013", path="/data/fer2013.csv").info.title
    'FER2013'
    """
    dataset = _dataset(spec, params)
    return dataset if split is None else dataset.split(split)


def load_recorded(record: Mapping[str, Any], *, fix: str) -> Dataset:
    """The dataset that the record of a training names.

    Parameters
    ----------
    record : mapping
        A pipeline's ``trained_on``.
    fix : str
        How a user names another one, for the errors.

    Raises
    ------
    DataError
        It names none, or one that is no registered name: a folder of pictures is recorded without its path.
    """
    if (name := record.get("dataset")) is None:
        raise DataError("the pipeline does not say what it learnt from", fix=fix)
    try:
        return load_dataset(name)
    except UnknownNameError:
        raise DataError(f"the pipeline does not say where {name} lies", fix=fix) from None


def _dataset(spec: str | os.PathLike[str] | Spec | Dataset, params: dict[str, Any]) -> Dataset:
    if not isinstance(spec, str | os.PathLike | Spec):
        # Not isinstance(spec, Dataset): on Python 3.11 that evaluates ``revision``, which reads the whole dataset.
        if not (callable(getattr(type(spec), "split", None)) and hasattr(type(spec), "revision")):
            raise ParameterError(
                "not a dataset", got=type(spec).__name__, expected="a name, a spec, a path or a dataset"
            )
        if params:
            raise ParameterError("a dataset that is made already takes no parameters", got=", ".join(sorted(params)))
        return spec
    if isinstance(spec, Spec) or (isinstance(spec, str) and not _is_path(spec)):
        parsed = parse_spec(spec)
        return cast(Dataset, create("datasets", Spec(parsed.name, {**parsed.params, **params})))
    path = Path(spec).expanduser()
    if not path.exists():
        raise DatasetNotFoundError(
            f"no such file or folder: {path}", expected="a folder or zip of images by class, or a dataset's name"
        )
    name = "fer2013" if path.is_file() and path.name.lower().endswith(_TABLE_SUFFIXES) else "images"
    return cast(Dataset, create("datasets", Spec(name, {"path": str(path), **params})))


def _is_path(text: str) -> bool:
    """Whether a text is meant as a path: a registered name never is, whatever lies in the current folder."""
    if text.split("(", 1)[0].strip() in entries("datasets"):
        return False
    looks_like_one = text.startswith((".", "~", os.sep)) or os.sep in text.split("(", 1)[0]
    return looks_like_one or text.lower().endswith((".zip", *_TABLE_SUFFIXES)) or Path(text).exists()
