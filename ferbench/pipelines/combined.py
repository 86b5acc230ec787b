"""Trained networks made one: the same face shown to each of them, one answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ferbench.errors import ParameterError
from ferbench.pipelines.lineage import FACES
from ferbench.pipelines.pipeline import Pipeline
from ferbench.pipelines.spec import complete
from ferbench.registry import create
from ferbench.specs import Spec

__all__ = ["combine_networks"]


def combine_networks(
    members: Mapping[str, Pipeline], *, shares: Sequence[float] | None = None, mirror: bool = False
) -> Pipeline:
    """One network that answers by the weighted mean of several trained networks' scores. Nothing is learnt.

    Parameters
    ----------
    members : mapping of str to Pipeline
        Trained networks with their Keras models, under the names that the record shall have for them. Labels, size of
        crops and the faces they learnt from are the same for all; detector and crops are the first one's.
    shares : sequence of float, optional
        Weight of each in the mean; equal where left out.
    mirror : bool
        Show each of them the mirror image too, which takes twice as long. One network alone gains from it.

    Returns
    -------
    Pipeline
        Its classifier is ``ensemble(of=[…])``; ``trained_on["members"]`` has what each one's record said.

    Raises
    ------
    ParameterError
        They cannot be combined, or a share is not above 0.
    """
    names, pipelines = list(members), list(members.values())
    if len(names) < (1 if mirror else 2):
        raise ParameterError(
            "there is nothing to combine", got=", ".join(names), expected="two networks or more, or one with its mirror"
        )
    shares = [1.0] * len(names) if shares is None else list(shares)
    if len(shares) != len(names) or not all(math.isfinite(share) and share > 0 for share in shares):
        raise ParameterError("shares", got=shares, expected=f"{len(names)} numbers above 0")
    first = pipelines[0]
    for name, pipeline in members.items():
        _check_alike(name, pipeline, names[0], first)

    from ferbench.classifiers.keras.adapter import ensemble
    from ferbench.classifiers.keras.ensemble import give_weights, member_spec

    trained = [create("classifiers", pipeline.parts.classifier) for pipeline in pipelines]
    parameters: dict[str, Any] = {"of": [member_spec(one.network, one.network_params or {}) for one in trained]}
    if mirror:
        parameters["mirror"] = True
    classifier = ensemble(**parameters).assemble(first.estimator_.classes_, (first.input_size, first.input_size))
    give_weights(classifier.model_, [pipeline.estimator_.model_ for pipeline in pipelines], shares)
    parts = complete(first.parts.detector, None, Spec("ensemble", parameters), Spec("litert"))
    return replace(first, parts=parts, trained_on=_origin(members, shares)).adopt(classifier)


def _check_alike(name: str, pipeline: Pipeline, first_name: str, first: Pipeline) -> None:
    if pipeline.family != "deep" or not hasattr(pipeline.estimator_, "model_"):
        raise ParameterError(
            f"{name} has no network to combine", got=pipeline.id, expected="a network with its model.keras"
        )
    for what, theirs, ours in (
        ("labels", ", ".join(pipeline.classes_), ", ".join(first.classes_)),
        ("size of crops", pipeline.input_size, first.input_size),
        *((of, pipeline.trained_on.get(of), first.trained_on.get(of)) for of in FACES),
    ):
        if theirs != ours:
            raise ParameterError(
                f"{name} and {first_name} differ in their {what}",
                got=theirs,
                expected=ours,
                fix="combine networks that learnt the same labels from the same faces",
            )


def _origin(members: Mapping[str, Pipeline], shares: Sequence[float]) -> dict[str, Any]:
    """The faces that the whole learnt from, its members' teachers, and what else each one's record says."""
    records = [pipeline.trained_on for pipeline in members.values()]
    origin: dict[str, Any] = {key: records[0][key] for key in FACES if key in records[0]}
    for key in ("n", "n_missed"):  # members may have learnt from parts of the split: the most that one of them saw
        if counts := [record[key] for record in records if isinstance(record.get(key), int)]:
            origin[key] = max(counts)
    if teachers := list(dict.fromkeys(teacher for record in records for teacher in record.get("teachers", ()))):
        origin["teachers"] = teachers
    origin["members"] = [
        {
            "pipeline": Path(name).name,
            "share": share,
            **{key: value for key, value in record.items() if key not in FACES},
        }
        for name, share, record in zip(members, shares, records, strict=True)
    ]
    return origin
