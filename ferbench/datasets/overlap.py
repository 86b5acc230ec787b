"""Whether a model learnt from the faces that it is to be judged on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ferbench.errors import FerbenchError
from ferbench.registry import entries, entry
from ferbench.specs import Spec, parse_spec

__all__ = ["has_learnt_from", "same_pictures"]


def has_learnt_from(trained_on: Mapping[str, Any], *, dataset: str, revision: str, split: str) -> bool:
    """Whether a record of a training, or of one that it builds on, names the faces of this split.

    Parameters
    ----------
    trained_on : mapping
        ``dataset``, ``revision`` and ``split`` of the training, as a saved pipeline's record has them; in
        ``ancestors`` those of its teachers and of the networks whose weights it began with, in ``members`` the
        records of what an ensemble was put together from.
    dataset, revision, split : str
        Name or spec of the dataset, digest of its content, and what is to be scored; ``all`` is every split.

    Returns
    -------
    bool
        True where the content is the same, or where both label the same pictures, as FER2013 and FER+ do: their
        splits then have the same names, and their digests say nothing.
    """
    return any(_names(one, dataset, revision, split) for one in _records(trained_on))


def _records(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A record, and those in it of what its model owes to."""
    yield record
    for key in ("ancestors", "members"):
        inner = record.get(key)
        for one in inner if isinstance(inner, list) else ():
            if isinstance(one, Mapping):
                yield from _records(one)


def _names(record: Mapping[str, Any], dataset: str, revision: str, split: str) -> bool:
    learnt, learnt_split = record.get("dataset"), record.get("split")
    if not isinstance(learnt, str) or not (learnt_split == split or "all" in (learnt_split, split)):
        return False
    # The same content is the same faces, whatever it is called: a folder has a path here and another name there.
    if revision and record.get("revision") == revision:
        return True
    return same_pictures(learnt, dataset)


def same_pictures(a: str, b: str) -> bool:
    """Whether two datasets, by name or spec, label one collection of pictures otherwise.

    As FER2013 and FER+ do, FER+ in two modes, or one dataset with and without its contempt.

    >>> same_pictures("ferplus", "fer2013"), same_pictures("fer2013", "ckplus"), same_pictures("fer2013", "fer2013")
    (True, False, False)
    >>> same_pictures("ferplus(mode=majority)", "ferplus"), same_pictures("ckplus", "ckplus(contempt=drop)")
    (True, True)
    """
    one, other = _spec(a), _spec(b)
    if one.name == other.name and one.params != other.params and _plain(one) == _plain(other):
        return True
    pictures = _pictures(one.name)
    return pictures == _pictures(other.name) and (one.name != other.name or pictures != one.name)


def _spec(text: str) -> Spec:
    try:
        return parse_spec(text)
    except FerbenchError:
        return Spec(text)  # a path


def _plain(spec: Spec) -> dict[str, Any]:
    """Its parameters but for what becomes of contempt."""
    return {name: value for name, value in spec.params.items() if name != "contempt"}


def _pictures(name: str) -> str:
    """Name of the dataset that the pictures come from."""
    if name not in entries("datasets"):
        return name
    known = getattr(entry("datasets", name).load(), "known", None)
    return getattr(known, "pictures_of", "") or name
