"""Trained networks made one: the same face shown to each of them, one answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.errors import ParameterError
from ferbench.pipelines.lineage import FACES
from ferbench.pipelines.pipeline import Pipeline
from ferbench.pipelines.spec import complete
from ferbench.registry import create
from ferbench.specs import Spec

__all__ = ["average_networks", "combine_networks"]

_LEAST_LIKENESS = 0.5
"""Cosine between the weights of networks of one origin, at least. It was 0.96 and more where one was trained on from
the other, for 6 to 36 epochs, and under 0.01 between networks that began with different random weights."""


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
    if len(members) < (1 if mirror else 2):
        expected = "two networks or more, or one with its mirror"
        raise ParameterError("there is nothing to combine", got=", ".join(members), expected=expected)
    shares, first, pipelines = _checked(members, shares)

    from ferbench.classifiers.keras.ensemble import give_weights, member_spec

    trained = [create("classifiers", pipeline.parts.classifier) for pipeline in pipelines]
    parameters: dict[str, Any] = {"of": [member_spec(one.network, one.network_params or {}) for one in trained]}
    if mirror:
        parameters["mirror"] = True
    whole = _with_network(first, Spec("ensemble", parameters), _origin(members, shares))
    give_weights(whole.estimator_.model_, [pipeline.estimator_.model_ for pipeline in pipelines], shares)
    return whole


def average_networks(members: Mapping[str, Pipeline], *, shares: Sequence[float] | None = None) -> Pipeline:
    """One network whose weights are the weighted means of several trained networks' weights [1]_. Nothing is learnt.

    It is as large and as fast as one of them. Only networks of one origin have such a mean: one that was trained on
    from the other, or several from a third.

    Parameters
    ----------
    members : mapping of str to Pipeline
        Trained networks with their Keras models, all of the same layers, under the names that the record shall have
        for them. Labels, size of crops and the faces they learnt from are the same for all; detector and crops are
        the first one's.
    shares : sequence of float, optional
        Weight of each in the mean; equal where left out.

    Returns
    -------
    Pipeline
        ``trained_on["members"]`` has what each one's record said, ``trained_on["mean_of"]`` is ``"weights"``.

    Raises
    ------
    ParameterError
        They cannot be combined, their weights have nothing in common, or a share is not above 0.

    References
    ----------
    .. [1] M. Wortsman et al.: Model soups: averaging weights of multiple fine-tuned models improves accuracy without
           increasing inference time. ICML 2022.
    """
    if len(members) < 2:
        raise ParameterError("there is nothing to average", got=", ".join(members), expected="two networks or more")
    shares, first, pipelines = _checked(members, shares)
    trained = [create("classifiers", pipeline.parts.classifier) for pipeline in pipelines]
    specs = [Spec(one.network, one.network_params or {}) for one in trained]
    for name, spec in zip(members, specs, strict=True):
        if spec != specs[0]:
            raise ParameterError(
                f"{name} has other layers than {next(iter(members))}",
                got=str(spec),
                expected=str(specs[0]),
                fix="combine their scores instead",
            )
    weights = [pipeline.estimator_.model_.get_weights() for pipeline in pipelines]
    for name, theirs in zip(members, weights, strict=True):
        if (likeness := _likeness(theirs, weights[0])) < _LEAST_LIKENESS:
            raise ParameterError(
                f"{name} and {next(iter(members))} are not of one origin: a mean of their weights would know nothing",
                got=f"a cosine of {likeness:.2f} between their weights",
                expected=f"{_LEAST_LIKENESS} or more, as where one is trained on from the other (train --from)",
                fix="combine their scores instead",
            )
    whole = _with_network(first, specs[0], _origin(members, shares) | {"mean_of": "weights"})
    means = [np.average(of_one, axis=0, weights=shares) for of_one in zip(*weights, strict=True)]
    whole.estimator_.model_.set_weights(means)
    return whole


def _likeness(a: Sequence[npt.NDArray[Any]], b: Sequence[npt.NDArray[Any]]) -> float:
    """Cosine between the kernels of two networks; biases and batch norms are alike in all networks."""
    one, other = (np.concatenate([w.ravel() for w in weights if w.ndim > 1]).astype(np.float64) for weights in (a, b))
    return float(one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), np.finfo(np.float64).tiny))


def _with_network(first: Pipeline, spec: Spec, origin: dict[str, Any]) -> Pipeline:
    """A pipeline as the first one, with another network, which has no weights of its own yet."""
    classifier = create("classifiers", spec).assemble(first.estimator_.classes_, (first.input_size,) * 2)
    parts = complete(first.parts.detector, None, spec, Spec("litert"))
    return replace(first, parts=parts, trained_on=origin).adopt(classifier)


def _checked(
    members: Mapping[str, Pipeline], shares: Sequence[float] | None
) -> tuple[list[float], Pipeline, list[Pipeline]]:
    """Shares of all, the first one, and all, of networks that have their faces and labels in common."""
    chosen = [1.0] * len(members) if shares is None else list(shares)
    if len(chosen) != len(members) or not all(math.isfinite(share) and share > 0 for share in chosen):
        raise ParameterError("shares", got=chosen, expected=f"{len(members)} numbers above 0")
    first_name, first = next(iter(members.items()))
    for name, pipeline in members.items():
        _check_alike(name, pipeline, first_name, first)
    return chosen, first, list(members.values())


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
