"""Reading suite files: YAML whose errors name the file, the line and the nearest right key."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from ferbench.benchmarks.grid import Search
from ferbench.benchmarks.shifts import Corruptions, Cross
from ferbench.benchmarks.suite import PlacedError, Suite
from ferbench.benchmarks.suite_entries import DatasetEntry, PipelineEntry, PipelineOverride, Profile
from ferbench.errors import InvalidSuiteError, suggestion

__all__ = ["bundled_suites", "find_suite", "parse_suite", "read_suite"]

_LATER = {
    "grid": "'grid:' belongs to a pipeline, beside its 'classifier:'",
    "metrics": "all metrics are always computed; remove the key",
}
_MODELS: dict[str, type[BaseModel]] = {
    "datasets": DatasetEntry,
    "pipelines": PipelineEntry,
    "profiles": Profile,
    "corruptions": Corruptions,
    "cross": Cross,
}


def bundled_suites() -> dict[str, Path]:
    """Suites that come with ferbench, by name. (``suites/`` of the source tree is a link to the same folder.)"""
    folder = Path(str(files("ferbench"))) / "suites"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_suite(name: str) -> Path:
    """The file of a suite given by path or by the name of a bundled one.

    Raises
    ------
    InvalidSuiteError
        If there is no such file; the nearest bundled names are suggested.
    """
    path, bundled = Path(name), bundled_suites()
    if path.is_file():
        return path
    if name in bundled:
        return bundled[name]
    raise InvalidSuiteError(
        f"no suite file {name!r}",
        expected=f"a YAML file or one of {', '.join(bundled)}" if bundled else "a YAML file",
        fix=suggestion(path.stem, bundled),
    )


def read_suite(path: str | Path) -> Suite:
    """The suite in a YAML file.

    Raises
    ------
    InvalidSuiteError
        If the file cannot be read or is not a valid suite; the message names file and line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSuiteError(f"cannot read the suite {path}", got=str(error)) from error
    return parse_suite(text, source=str(path), folder=Path(path).parent)


def parse_suite(text: str, *, source: str = "suite", folder: Path = Path()) -> Suite:
    """The suite in a YAML text.

    Parameters
    ----------
    text : str
    source : str
        Named in errors.
    folder : Path
        Where relative paths of saved pipelines start.

    Examples
    --------
    >>> parse_suite("schema: 1\\nname: x\\ndatasets: [{name: fer2013}]\\npipelines: [{id: a, classifier: knn}]").name
    'x'
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise InvalidSuiteError(
                f"{source}: not a suite", expected="YAML with the keys schema, name, datasets, pipelines"
            )
        _refuse_duplicate_keys(root, source)
        data = loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        where = f"{source}, line {mark.line + 1}" if mark else source
        raise InvalidSuiteError(f"{where}: not valid YAML", got=problem) from error
    except (RecursionError, ValueError, TypeError) as error:
        # construct_document raises ValueError for impossible dates and TypeError for keys such as lists.
        raise InvalidSuiteError(f"{source}: not valid YAML", got=str(error)) from error
    try:
        suite = Suite.model_validate(data)
    except ValidationError as error:
        raise _located(error, root, source) from error
    suite.locate(folder, lambda path: f"{source}, line {_locate(root, path)[0]}")
    return suite


def _located(error: ValidationError, root: yaml.MappingNode, source: str) -> InvalidSuiteError:
    """The first problem as one line with its place; the others are counted."""
    problems = error.errors(include_url=False)
    # A misspelt key is unknown and its right spelling missing: the first says more.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    cause = problem.get("ctx", {}).get("error")
    path = [*problem["loc"], *(cause.place if isinstance(cause, PlacedError) else ())]
    line, value = _locate(root, path)
    where = f"{source}, line {line}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    key = str(path[-1]) if path else ""
    if problem["type"] == "extra_forbidden":
        if key in _LATER:
            return InvalidSuiteError(f"{where}: {_LATER[key]}{more}")
        known = _known_keys(path[:-1])
        hint = suggestion(key, known) or f"known keys: {', '.join(known)}"
        return InvalidSuiteError(f"{where}: unknown key {key!r}{more}", fix=hint)
    if problem["type"] == "missing":
        place = f" of {'.'.join(map(str, path[:-1]))}" if path[:-1] else ""
        return InvalidSuiteError(f"{where}: the key {key!r}{place} is missing{more}")
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return InvalidSuiteError(f"{where}: {message}{more}")
    return InvalidSuiteError(
        f"{where}: {'.'.join(map(str, path))} has a wrong value{more}",
        got=value,
        expected=_expected(problem["type"], message),
    )


def _expected(kind: str, message: str) -> str:
    """What pydantic wanted, as the end of a sentence."""
    if kind == "string_pattern_mismatch":
        return "letters, digits and . _ + -, a letter or a digit first"
    if kind == "too_short":
        return "one entry at least"
    plain = {
        "int_type": "a whole number",
        "float_type": "a number; YAML takes 1e3 for text, and 1.0e+3 for a number",
        "string_type": "text; YAML takes 12, yes and 2020-01-01 for text only in quotes",
        "bool_type": "true or false",
        "list_type": "a list, such as [a]",
        "dict_type": "keys and values",
    }
    return plain.get(kind, message.removeprefix("Input should be "))


def _known_keys(path: Sequence[str | int]) -> list[str]:
    """Keys that the mapping at a path may have."""
    model: type[BaseModel] = _MODELS.get(str(path[0]), Suite) if path else Suite
    if model is PipelineEntry and "profiles" in path:
        model = PipelineOverride
    if model is Profile and "datasets" in path:
        model = DatasetEntry
    if model is PipelineEntry and path[-1] == "search":
        model = Search
    return [field.alias or name for name, field in model.model_fields.items()]


def _locate(node: yaml.Node, path: Sequence[str | int]) -> tuple[int, str]:
    """Line (from 1) and text of the value at a path, or of its nearest ancestor in the file."""
    line = node.start_mark.line + 1
    for step in path:
        child: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(step):
                    line, child = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            child = node.value[step]
            line = child.start_mark.line + 1
        if child is None:
            break
        node = child
    if isinstance(node, yaml.ScalarNode):
        # Quotes, where YAML read text: "3" is another thing than 3.
        return line, repr(node.value) if node.tag == "tag:yaml.org,2002:str" else node.value or "nothing"
    return line, "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


def _refuse_duplicate_keys(root: yaml.Node, source: str) -> None:
    """YAML lets the last of two equal keys win silently; here the second is an error."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys: set[Any] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in keys and key.value != "<<":
                    raise InvalidSuiteError(f"{source}, line {key.start_mark.line + 1}: the key {key.value!r} twice")
                keys.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
                todo.append(value)
        elif isinstance(node, yaml.SequenceNode):
            todo.extend(node.value)
