"""What a network knows from others: teachers that it was distilled from, weights that it began with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ferbench.datasets import has_learnt_from
from ferbench.pipelines.storage import find_saved, read_record

__all__ = [
    "FACES",
    "INITIAL",
    "SEARCHED",
    "TEACHER",
    "Seen",
    "ancestors_of",
    "as_ancestors",
    "chosen_on",
    "compared_on",
    "once",
    "seen",
]

TEACHER, INITIAL = "teacher", "initial weights"
FACES = ("dataset", "split", "revision")
"""What names the faces in a record of a training."""
SEARCHED = "searched_on"
"""Of the record of a training by the winner of a search: the faces that the search scored."""

COMPARED = "compared_on"
"""Of the record of a training: faces by which a person chose this model among ``n_candidates``; a record of each."""


def compared_on(trained_on: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The faces by whose figures somebody chose a model, or a member of an ensemble, among a few.

    No search, and yet they flatter it a little. Networks that learn from it are not told.
    """
    known = trained_on.get(COMPARED)
    own = [dict(one) for one in known if isinstance(one, dict)] if isinstance(known, list) else []
    return once([*own, *(one for member in _members(trained_on) for one in compared_on(member))])


def _members(trained_on: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of an ensemble, what its members' records say."""
    members = trained_on.get("members")
    return [one for one in members if isinstance(one, dict)] if isinstance(members, list) else []


def chosen_on(trained_on: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The faces by which settings of a model, or of the members of an ensemble, were chosen; each a record of some.

    While it was trained (``tuned_on``), or in a search before that (:data:`SEARCHED`).
    """
    own = [trained_on.get(key) for key in ("tuned_on", SEARCHED)]
    inner = [one for member in _members(trained_on) for one in chosen_on(member)]
    return once([*(dict(one) for one in own if isinstance(one, dict)), *inner])


class Seen(NamedTuple):
    """That a model knows faces: ``how``, such as "it was trained on", and the record that names them."""

    how: str
    faces: Mapping[str, Any]


def seen(trained_on: Mapping[str, Any], *, dataset: str, revision: str, split: str) -> Seen | None:
    """How a model of this record knows some faces: what it learnt from first, then choices, then those before it.

    Parameters
    ----------
    trained_on : mapping
        The record of the training, as a saved pipeline has it.
    dataset, revision, split : str
        As of :func:`~ferbench.datasets.has_learnt_from`.
    """
    own = {key: value for key, value in trained_on.items() if key not in ("ancestors", "members")}
    known = [
        Seen("it was trained on", own),
        *(Seen("its settings were chosen on", faces) for faces in chosen_on(trained_on)),
        *(Seen(f"its {one['role']} {one['name']} learnt from", one) for one in ancestors_of(trained_on)),
    ]
    named = (one for one in known if has_learnt_from(one.faces, dataset=dataset, revision=revision, split=split))
    return next(named, None)


def as_ancestors(role: str, name: str) -> list[dict[str, Any]]:
    """What a network that learns from a saved pipeline keeps in ``trained_on["ancestors"]``: it, and those before it.

    Parameters
    ----------
    role : str
        :data:`TEACHER` or :data:`INITIAL`.
    name : str
        The saved pipeline: a shipped one, or a folder.

    Returns
    -------
    list of dict
        ``role``, ``name``, and ``dataset``, ``split`` and ``revision`` of the faces that it learnt from, or that its
        settings were chosen on.
    """
    trained_on = read_record(find_saved(name))["trained_on"]
    own = [_entry(role, name, faces) for faces in (trained_on, *chosen_on(trained_on))]
    return once([*own, *ancestors_of(trained_on)])


def ancestors_of(trained_on: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The ancestors that a record of a training names; without data set those of which it does not say more."""
    known = trained_on.get("ancestors")
    if isinstance(known, list):
        return [dict(one) for one in known if isinstance(one, dict)]
    if members := _members(trained_on):  # an ensemble learnt what they learnt
        return once([one for member in members for one in ancestors_of(member)])
    teachers = trained_on.get("teachers")
    named = [(TEACHER, one) for one in (teachers if isinstance(teachers, list) else [])]
    if trained_on.get("initial"):
        named.append((INITIAL, trained_on["initial"]))
    return once([_entry(role, str(name), {}) for role, name in named])


def _entry(role: str, name: str, faces: Mapping[str, Any]) -> dict[str, Any]:
    # The name of its folder: where that lay on one machine says nothing on another.
    return {"role": role, "name": Path(name).name, **{key: faces[key] for key in FACES if key in faces}}


def once(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries, each one time, in their order."""
    return [one for i, one in enumerate(entries) if one not in entries[:i]]
