"""Several networks as one: they see the same face, and a last layer joins what they say of it.

One graph, so one file, one call and one softmax; every runtime that runs its members runs it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from ferbench.classifiers.keras.ends import CropShape
from ferbench.errors import ParameterError, UnknownNameError
from ferbench.specs import Spec, parse_spec

__all__ = ["ensemble_of", "give_weights", "have_like_layers", "member_spec", "members_of"]

Builder = Callable[..., keras.Model]

_MEMBER = "member_{}"


def ensemble_of(networks: Mapping[str, Builder]) -> Builder:
    """The builder of ensembles of the given networks, by registry name."""

    def ensemble(
        shape: CropShape,
        n_classes: int,
        *,
        of: Sequence[str] = ("se-resnet", "mini-xception"),
        mirror: bool = False,
    ) -> keras.Model:
        """Several networks in one: a softmax over the mean of their scores.

        That is the normalised geometric mean of their probabilities. The mean is a dense layer over all scores side by
        side, so that calibration scales it and training may go on with everything.

        Parameters
        ----------
        shape : (h, w)
            Size of the crops; None where it may vary.
        n_classes : int
            Number of expressions.
        of : sequence of str
            Specs of two networks or more, without a recipe: ``["se-resnet(width=24)", "mini-xception"]``; one is enough
            where it sees the mirror image too.
        mirror : bool
            Show each network the mirror image too, which takes twice as long.
        """
        if not isinstance(mirror, bool):
            raise ParameterError("mirror of ensemble", got=repr(mirror), expected="true or false")
        members = _members(networks, of, shape, n_classes, fewest=1 if mirror else 2)
        image = keras.Input((*shape, 1), name="gray")
        # Both views go through a network together: its weights are read once.
        views = keras.ops.concatenate([image, keras.ops.flip(image, axis=2)], axis=0) if mirror else image
        scores = [member(views) for member in members]
        x = layers.Concatenate(name="all_scores")(scores) if len(scores) > 1 else scores[0]
        if mirror:
            x = keras.ops.mean(keras.ops.reshape(x, (2, -1, n_classes * len(members))), axis=0)
        mean = layers.Dense(n_classes, name="scores")
        x = mean(x)
        mean.set_weights([_mean_kernel(n_classes, [1.0] * len(members)), np.zeros(n_classes, np.float32)])
        return keras.Model(image, layers.Softmax(dtype="float32", name="probabilities")(x), name="ensemble")

    return ensemble


def member_spec(network: str, params: Mapping[str, Any]) -> str:
    """What an ensemble calls a network that is trained already: weights that came from a file come from it no more."""
    return str(Spec(network, {**params, **({"weights": "none"} if "weights" in params else {})}))


def give_weights(ensemble: keras.Model, trained: Sequence[keras.Model], shares: Sequence[float]) -> None:
    """Give the members of an ensemble the weights of trained networks, and each of them its share of the mean.

    Raises
    ------
    ParameterError
        The layers of one differ from its member's.
    """
    for i, (network, model) in enumerate(zip(trained, members_of(ensemble), strict=True), start=1):
        if not have_like_layers(network, model):
            raise ParameterError(
                f"network {i} of the ensemble is not what its record says",
                got=f"{network.count_params():,} parameters",
                expected=f"{model.count_params():,} in layers of the same shapes",
            )
        model.set_weights(network.get_weights())
    scores = ensemble.get_layer("scores")
    _, bias = scores.get_weights()
    scores.set_weights([_mean_kernel(len(bias), shares), bias])


def have_like_layers(one: keras.Model, other: keras.Model) -> bool:
    """Whether the weights of one network fit into another."""
    return [w.shape for w in one.weights] == [w.shape for w in other.weights]


def members_of(network: keras.Model) -> list[keras.Model]:
    """The networks within an ensemble, up to their scores, in their order; none within another network."""
    by_name = {layer.name: layer for layer in network.layers if isinstance(layer, keras.Model)}
    names = (_MEMBER.format(i) for i in range(1, len(by_name) + 1))
    return [by_name[name] for name in names if name in by_name]


def _members(
    networks: Mapping[str, Builder], of: Sequence[str], shape: CropShape, n_classes: int, *, fewest: int
) -> list[keras.Model]:
    if isinstance(of, str) or not isinstance(of, Sequence) or len(of) < fewest:
        raise ParameterError(
            "parameter of, of ensemble",
            got=repr(of),
            expected="a list of specs of two networks or more, or of one with mirror=True",
        )
    members = []
    for i, text in enumerate(of, start=1):
        if not isinstance(text, str):
            raise ParameterError("a part of ensemble", got=repr(text), expected="the spec of a network")
        spec = parse_spec(text)
        if spec.name not in networks:
            raise UnknownNameError("network of ensemble", spec.name, networks)
        build = networks[spec.name]
        own = {p.name for p in inspect.signature(build).parameters.values() if p.kind is p.KEYWORD_ONLY}
        if strange := sorted(set(spec.params) - own):
            raise ParameterError(
                f"{strange[0]} is no parameter of the network {spec.name}",
                got=text,
                expected=", ".join(sorted(own)) or "none",
                fix="a recipe is given to the ensemble as a whole",
            )
        whole = build(shape, n_classes, **spec.params)
        members.append(keras.Model(whole.input, whole.layers[-1].input, name=_MEMBER.format(i)))
    return members


def _mean_kernel(n_classes: int, shares: Sequence[float]) -> npt.NDArray[np.float32]:
    """(members · C, C) float32: what takes the weighted mean of scores side by side."""
    share = np.asarray(shares, np.float64) / sum(shares)
    return np.kron(share[:, None], np.eye(n_classes)).astype(np.float32)
