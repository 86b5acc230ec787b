"""Reading meaning from the folders that images lie in: which is the expression, which the split."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ferbench.datasets.content import Skipped
from ferbench.errors import LabelError
from ferbench.labels import AFFECTNET8, CKPLUS7, FER7, FERPLUS8, LABEL_SPACES, LabelSpace, canonical_label

__all__ = ["Placed", "file_id", "file_ids", "infer_label_space", "place"]

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


class Placed(NamedTuple):
    """An image file with what its folders say: ``split`` is ``"all"`` where no folder names one."""

    name: str
    label: str
    split: str


def place(names: Iterable[str]) -> tuple[list[Placed], list[Skipped]]:
    """Label and split of every image of a ``[<split>/]<class>/<image>`` tree.

    The class is the innermost folder that names an expression, so that ``happy/subject7/a.png`` works; a folder above
    it may name a split.

    Returns
    -------
    placed, skipped
        An image outside any folder is skipped; one in a folder of no known expression is an error.

    Raises
    ------
    LabelError
        With the folder's name and the nearest expression.
    """
    placed, skipped = [], []
    for name in names:
        folders = name.split("/")[:-1]
        label = _innermost_expression(folders)
        if label is None:
            inner = [folder for folder in folders if folder.lower() not in SPLIT_FOLDERS]
            if not inner:
                skipped.append(Skipped(name, "not in a folder named after an expression"))
                continue
            try:
                canonical_label(inner[-1])
            except LabelError as error:
                raise LabelError(f"folder {inner[-1]!r} of {name} names no expression", fix=error_fix(error)) from None
            continue
        split = next((SPLIT_FOLDERS[f.lower()] for f in reversed(folders) if f.lower() in SPLIT_FOLDERS), "all")
        placed.append(Placed(name, label, split))
    return placed, skipped


def error_fix(error: LabelError) -> str:
    """What a label error advises, or the list of names that would do."""
    known = "angry, contempt, disgust, fear, happy, sad, surprise, neutral or a synonym"
    return f"rename it: {known}" + (f" ({error.args[0].rsplit('; ', 1)[1]})" if "did you mean" in str(error) else "")


def _innermost_expression(folders: list[str]) -> str | None:
    for folder in reversed(folders):
        try:
            return canonical_label(folder)
        except LabelError:
            continue
    return None


def infer_label_space(labels: Iterable[str]) -> LabelSpace:
    """The smallest usual space that holds all of the labels.

    FER7 without contempt; CK+'s seven for contempt without neutral; FER+'s eight for both. Where two spaces have
    the same labels in another order (FER+ and AffectNet), FER+'s order is taken; give ``label_space`` to choose.
    """
    present = set(labels)
    for space in (FER7, CKPLUS7, FERPLUS8, AFFECTNET8):
        if present <= set(space.labels):
            return space
    raise LabelError(
        "no label space holds these labels", got=", ".join(sorted(present)), expected=", ".join(sorted(LABEL_SPACES))
    )


def file_ids(names: Sequence[str]) -> list[str]:
    """Ids of files: their paths without the ending, and without the folders that all of them share.

    Two files that differ in the ending only keep it.
    """
    shared = os.path.commonpath([name.rpartition("/")[0] for name in names]) if names else ""
    ids = [file_id(name)[len(shared) + 1 if shared else 0 :] for name in names]
    twice = {name for name, n in Counter(ids).items() if n > 1}
    return [f"{i}.{name.rsplit('.', 1)[-1]}" if i in twice else i for i, name in zip(ids, names, strict=True)]


def file_id(name: str) -> str:
    """A printable id of a file: its path without the ending."""
    stem = name.rsplit(".", 1)[0]
    return stem.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
