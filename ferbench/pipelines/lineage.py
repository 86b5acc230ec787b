"""What a network knows from others: teachers that it was distilled from, weights that it began with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferbench.pipelines.storage import find_saved, read_record

__all__ = ["FACES", "INITIAL", "SEARCHED", "TEACHER", "ancestors_of", "as_ancestors", "chosen_on"]

TEACHER, INITIAL = "teacher", "initial weights"
FACES = ("dataset", "split", "revision")
"""What names the faces in a record of a training."""
SEARCHED = "searched_on"
"""Of the record of a training by the winner of a search: the faces that the search scored."""


def chosen_on(trained_on: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The faces by which settings of a model, or of the members of an ensemble, were chosen; each a record of some.

    While it was trained (``tuned_on``), or in a search before that (:data:`SEARCHED`).
    """
    own = [trained_on.get(key) for key in ("tuned_on", SEARCHED)]
    members = trained_on.get("members")
    inner = [
        one
        for member in (members if isinstance(members, list) else [])
        if isinstance(member, dict)
        for one in chosen_on(member)
    ]
    return _once([*(dict(one) for one in own if isinstance(one, dict)), *inner])


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
    return _once([*own, *ancestors_of(trained_on)])


def ancestors_of(trained_on: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The ancestors that a record of a training names; without data set those of which it does not say more."""
    known = trained_on.get("ancestors")
    if isinstance(known, list):
        return [dict(one) for one in known if isinstance(one, dict)]
    if isinstance(members := trained_on.get("members"), list):  # of an ensemble, which learnt what they learnt
        return _once([one for member in members if isinstance(member, dict) for one in ancestors_of(member)])
    teachers = trained_on.get("teachers")
    named = [(TEACHER, one) for one in (teachers if isinstance(teachers, list) else [])]
    if trained_on.get("initial"):
        named.append((INITIAL, trained_on["initial"]))
    return _once([_entry(role, str(name), {}) for role, name in named])


def _entry(role: str, name: str, faces: Mapping[str, Any]) -> dict[str, Any]:
    # The name of its folder: where that lay on one machine says nothing on another.
    return {"role": role, "name": Path(name).name, **{key: faces[key] for key in FACES if key in faces}}


def _once(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for i, one in enumerate(entries) if one not in entries[:i]]
