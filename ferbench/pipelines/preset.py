"""Presets: pipelines with a name and a recipe, in YAML files that users copy and edit.

``pipeline`` is an id; ``recipe`` has more parameters of its classifier, one a line, which reads better than brackets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ferbench.checks import is_number
from ferbench.errors import ParameterError, UnknownNameError
from ferbench.pipelines.spec import parse_pipeline_id
from ferbench.specs import Spec

__all__ = ["PresetInfo", "Published", "find_preset", "preset_text", "presets", "read_preset"]


@dataclass(frozen=True)
class Published:
    """Figures that a publication gives for a system, as shares in [0, 1]; not measured here.

    Attributes
    ----------
    accuracy : float
    protocol : str
        Which faces were scored, and what may have been chosen on them, as far as known.
    dataset : str or None
        Name of the data set of these faces; None where it is not one that ferbench knows.
    precision, recall, macro_f1 : float or None
        Means over the classes, where given.
    """

    accuracy: float
    protocol: str
    dataset: str | None = None
    precision: float | None = None
    recall: float | None = None
    macro_f1: float | None = None


@dataclass(frozen=True)
class PresetInfo:
    """A named pipeline.

    Attributes
    ----------
    name, title : str
        What users type, and what it is.
    pipeline : str
        Its id, the recipe included.
    source : str
        The publication or system it follows.
    published : Published or None
        Its authors' figures; None where there are none.
    training : dict
        What ``ferbench train`` makes a network's targets of, unless told otherwise, on the ``dataset`` it names:
        ``soft_labels``, ``teachers``, ``distil``.
    searched_on : dict
        Of a winner of ``ferbench tune``: ``dataset``, ``split`` and ``revision`` of the faces that it was chosen on.
    """

    name: str
    title: str
    pipeline: str
    source: str = ""
    published: Published | None = None
    training: dict[str, Any] = field(default_factory=dict)
    searched_on: dict[str, Any] = field(default_factory=dict)


@cache
def presets() -> dict[str, PresetInfo]:
    """Every preset that comes along, by name, from ``presets/*.yaml``."""
    folder = Path(str(resources.files("ferbench.pipelines") / "presets"))
    return {file.stem: read_preset(file) for file in sorted(folder.glob("*.yaml"))}


def find_preset(name: str) -> PresetInfo | None:
    """The preset of that name, or in that YAML file; None where the text is neither, such as a pipeline's id."""
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise ParameterError("no such preset file", got=name)
        return read_preset(Path(name))
    return presets().get(name)


def read_preset(path: Path) -> PresetInfo:
    """Read a preset file.

    Raises
    ------
    ParameterError, UnknownNameError
        The file is no YAML, lacks or misnames a field, or its pipeline cannot be.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} is no YAML file", got=" ".join(str(error).split())) from error
    if not isinstance(content, Mapping):
        raise ParameterError(f"{path} is no preset", got=type(content).__name__, expected="title and pipeline")
    known = {f.name: f.type for f in fields(PresetInfo)} | {"recipe": ""}
    for name, value in content.items():
        if name not in known or name == "name":
            raise UnknownNameError(f"field in {path}:", str(name), set(known) - {"name"})
        kind = Mapping if name in ("recipe", "training", "published", "searched_on") else str
        if not isinstance(value, kind):
            raise ParameterError(f"{name} in {path}", got=repr(value), expected="fields" if kind is Mapping else "text")
    for name, value in content.get("searched_on", {}).items():
        if not isinstance(value, str):
            raise ParameterError(f"{name} of searched_on in {path}", got=repr(value), expected="text")
    if missing := {"title", "pipeline"} - set(content):
        raise ParameterError(f"{path} is no preset", got=f"no {' and no '.join(sorted(missing))}")
    rest = {name: value for name, value in content.items() if name not in ("recipe", "pipeline", "published")}
    return PresetInfo(
        name=path.stem,
        pipeline=_with_recipe(path, content["pipeline"], content.get("recipe", {})),
        published=_published(path, content["published"]) if content.get("published") else None,
        **rest,
    )


def _published(path: Path, figures: Mapping[str, Any]) -> Published:
    known = {f.name: f for f in fields(Published)}
    for name, value in figures.items():
        if name not in known:
            raise UnknownNameError(f"published figure in {path}:", str(name), set(known))
        if name in ("dataset", "protocol"):
            if not isinstance(value, str):
                raise ParameterError(f"published {name} in {path}", got=repr(value), expected="text")
        elif not is_number(value) or not 0 <= value <= 1:
            raise ParameterError(f"published {name} in {path}", got=repr(value), expected="a share from 0 to 1")
    if missing := [name for name, one in known.items() if one.default is MISSING and name not in figures]:
        raise ParameterError(f"the published figures in {path} are not whole", got=f"no {' and no '.join(missing)}")
    return Published(**figures)


def _with_recipe(path: Path, pipeline: str, recipe: Mapping[str, Any]) -> str:
    """The canonical id of a pipeline whose classifier gets the recipe's parameters, too."""
    parts = parse_pipeline_id(pipeline)
    own = parts.classifier.params
    if twice := sorted(set(own) & set(recipe)):
        raise ParameterError(f"{path} says twice what {twice[0]} is", got=f"{own[twice[0]]} and {recipe[twice[0]]}")
    values = {str(name): _value(v) for name, v in recipe.items()}
    return replace(parts, classifier=Spec(parts.classifier.name, {**own, **values})).id


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    # YAML 1.1 reads 5e-4 as a text: it wants 5.0e-4.
    is_number = isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value)
    return float(value) if is_number else value


def preset_text(title: str, pipeline: str, *, source: str = "", searched_on: Mapping[str, str] | None = None) -> str:
    """A preset file for a pipeline, its classifier's parameters as a recipe."""
    parts = parse_pipeline_id(pipeline)
    bare = replace(parts, classifier=Spec(parts.classifier.name))
    content: dict[str, Any] = {"title": title, "pipeline": bare.id}
    if parts.classifier.params:
        content["recipe"] = {
            name: list(v) if isinstance(v, tuple) else v for name, v in sorted(parts.classifier.params.items())
        }
    if source:
        content["source"] = source
    if searched_on:
        content["searched_on"] = dict(searched_on)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
