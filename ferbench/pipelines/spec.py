"""A pipeline's name: ``detector/features/classifier@runtime``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ferbench.errors import ParameterError, UnknownNameError
from ferbench.pipelines.artefacts import canonical_runtime
from ferbench.registry import entries, entry
from ferbench.specs import Spec, parse_spec, parse_value

__all__ = ["FEATURES", "Family", "PipelineParts", "parse_pipeline_id", "parse_settings", "with_values"]

Family = Literal["baseline", "classical", "deep"]

FEATURES = "features."
"""What the name of a parameter of features begins with, where it stands beside the classifier's."""


@dataclass(frozen=True)
class PipelineParts:
    """The component specs of a pipeline; ``features`` is None for a network."""

    detector: Spec
    features: Spec | None
    classifier: Spec
    runtime: Spec

    @property
    def id(self) -> str:
        """Canonical text: equal pipelines have equal ids."""
        parts = [self.detector, self.features, self.classifier]
        return "/".join(str(part) for part in parts if part is not None) + f"@{self.runtime}"

    @property
    def family(self) -> Family:
        """``deep`` for networks, ``baseline`` for the majority class, ``classical`` otherwise."""
        if self.classifier.name == "majority":
            return "baseline"
        return "deep" if is_network(self.classifier) else "classical"


def is_network(classifier: Spec) -> bool:
    """Whether a classifier takes crops instead of features: told without importing it for the built-in ones."""
    known = entry("classifiers", classifier.name)
    if known.package == "ferbench":
        return known.extra == "deep"
    return bool(getattr(known.load(), "takes_crops", False))


def parse_pipeline_id(text: str) -> PipelineParts:
    """Read ``detector/features/classifier@runtime``; detector, features and runtime may be left out.

    Without a detector the image is the face (``whole-image``); without features a classical classifier gets
    ``pixels``; without a runtime it is ``keras`` for networks and ``sklearn`` for the rest.

    Raises
    ------
    ParameterError, UnknownNameError
        If the text or a name in it is wrong; near names are suggested.
    """
    body, *runtime = _split(text, "@")
    names = _split(body, "/")
    if len(runtime) > 1 or not 1 <= len(names) <= 3:
        raise ParameterError("not a pipeline", got=repr(text), expected="detector/features/classifier@runtime")
    return assemble(names, runtime[0] if runtime else None)


def assemble(names: list[str] | list[str | Spec], runtime: str | Spec | None = None) -> PipelineParts:
    """Tell which part each of one to three specs is, and fill in the rest."""
    *front, last = [parse_spec(name) for name in names]
    detector: Spec | None = None
    features: Spec | None = None
    for spec in front:
        if spec.name in entries("detectors") and detector is None and features is None:
            detector = spec
        elif spec.name in entries("features") and features is None:
            features = spec
        elif len(front) == 2:
            kind = "detectors" if spec is front[0] else "features"
            raise UnknownNameError(kind[:-1], spec.name, entries(kind))
        else:
            raise UnknownNameError("detector or features", spec.name, [*entries("detectors"), *entries("features")])
    entry("classifiers", last.name)
    return complete(detector, features, last, None if runtime is None else parse_spec(runtime))


def complete(detector: Spec | None, features: Spec | None, classifier: Spec, runtime: Spec | None) -> PipelineParts:
    """Fill in what a pipeline leaves out, and refuse what does not go together."""
    network = is_network(classifier)
    if network and features is not None:
        raise ParameterError(
            f"{classifier.name} is a network and takes crops, not features", got=str(features), fix="leave it out"
        )
    runtime = canonical_runtime(runtime or Spec("keras" if network else "sklearn"))
    if network == (runtime.name == "sklearn"):
        raise ParameterError(
            f"runtime {runtime.name} cannot run {classifier.name}",
            expected="keras, litert, onnx or opencv" if network else "sklearn",
        )
    return PipelineParts(
        detector or Spec("whole-image"), features or (None if network else Spec("pixels")), classifier, runtime
    )


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Read texts of the form ``NAME=VALUE``, as :func:`with_values` takes them.

    Examples
    --------
    >>> parse_settings(["epochs=8", "features.method=nri-uniform"])
    {'epochs': 8, 'features.method': 'nri-uniform'}
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise ParameterError("not a parameter and its value", got=repr(text), expected="NAME=VALUE")
        if name in values:
            raise ParameterError(f"{name} is set twice", got=f"{values[name]!r} and {value}")
        values[name] = parse_value(value)
    return values


def with_values(parts: PipelineParts, values: Mapping[str, Any]) -> PipelineParts:
    """The pipeline with other values of some parameters.

    Parameters
    ----------
    parts : PipelineParts
    values : mapping of str to value
        By the names of the classifier's parameters, or ``features.`` and the name of one of the features'.

    Raises
    ------
    ParameterError
        A parameter of features is named, and the pipeline has none.
    """
    features = {name.removeprefix(FEATURES): v for name, v in values.items() if name.startswith(FEATURES)}
    own = {name: v for name, v in values.items() if not name.startswith(FEATURES)}
    classifier = Spec(parts.classifier.name, {**parts.classifier.params, **own})
    if features:
        if parts.features is None:
            raise ParameterError(f"{parts.classifier.name} is a network and has no features", got=", ".join(features))
        parts = replace(parts, features=Spec(parts.features.name, {**parts.features.params, **features}))
    # Through the text and back: what a preset file or a suite will read.
    return parse_pipeline_id(replace(parts, classifier=classifier).id)


def _split(text: str, at: str) -> list[str]:
    """Split outside brackets and quotes: parameters may hold slashes."""
    parts, depth, quote = [""], 0, ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == at and not depth:
            parts.append("")
            continue
        parts[-1] += char
    return parts
