"""Specs: a component's name and parameters as text, such as ``lbp(grid=7)``."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ferbench.errors import ParameterError

__all__ = ["Spec", "parse_spec", "parse_value"]


@dataclass(frozen=True)
class Spec:
    """A component's name and parameters: what ``lbp(grid=7)`` means.

    ``str(spec)`` is canonical (parameters sorted), so equal specs have equal text and digests.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.params:
            return self.name
        return f"{self.name}({', '.join(f'{k}={_literal(v)}' for k, v in sorted(self.params.items()))})"

    def __hash__(self) -> int:
        return hash(str(self))


_LITERALS = ("None", "True", "False", "true", "false")


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    is_word = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.-]*", value) is not None
    is_bare = value not in _LITERALS if is_word else isinstance(value, str) and _is_canonical(value)
    return value if is_bare else repr(value)


@lru_cache(maxsize=1024)  # each level of nesting asks for all those below it
def _is_canonical(text: str) -> bool:
    """Whether a text is a spec with parameters, written as specs write themselves."""
    try:
        spec = parse_spec(text)
    except ParameterError:
        return False
    return bool(spec.params) and str(spec) == text


_SPEC = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\((.*)\))?\s*", re.DOTALL)


def parse_spec(text: str | Spec) -> Spec:
    """Read ``name`` or ``name(param=value, …)``.

    Values are Python literals (numbers, strings, tuples, lists, ``None``, ``True``), where ``true`` and ``false`` do as
    well; any other bare word is a string, and so is a spec within the spec, as ``union`` takes them.

    Examples
    --------
    >>> parse_spec("lbp(grid=7, method=uniform)").params
    {'grid': 7, 'method': 'uniform'}
    >>> parse_spec("union(of=[hog(cell=6), lbp])").params
    {'of': ['hog(cell=6)', 'lbp']}
    """
    if isinstance(text, Spec):
        return text
    expected = "name or name(param=value, ...)"
    match = _SPEC.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ParameterError("not a component spec", got=repr(text), expected=expected)
    name, arguments = match.groups()
    if not arguments or not arguments.strip():
        return Spec(name)
    try:
        call = ast.parse(f"f({_quote_words(arguments)})", mode="eval").body
        if not isinstance(call, ast.Call):
            raise ValueError
        params = _params(call)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ParameterError("not a component spec", got=repr(text), expected=expected) from None
    return Spec(name, params)


def parse_value(text: str) -> Any:
    """Read one value as it stands in a spec's brackets.

    Examples
    --------
    >>> parse_value("0.5"), parse_value("nri-uniform"), parse_value("[3, 4]")
    (0.5, 'nri-uniform', [3, 4])
    """
    try:
        params = parse_spec(f"spec(value={text})").params
    except ParameterError:
        params = {}
    if set(params) != {"value"}:
        raise ParameterError("not a value", got=repr(text.strip()), expected="one number, word, list or spec")
    return params["value"]


def _value(node: ast.expr) -> Any:
    """A literal; a spec, as text; or a list of such."""
    if isinstance(node, ast.List):
        return [_value(one) for one in node.elts]
    if isinstance(node, ast.Call):
        name = ast.literal_eval(node.func)
        if not isinstance(name, str):
            raise ValueError
        return str(Spec(name, _params(node)))
    return ast.literal_eval(node)


def _params(call: ast.Call) -> dict[str, Any]:
    """The keywords of a call that has nothing else."""
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise ValueError
    return {str(keyword.arg): _value(keyword.value) for keyword in call.keywords}


_WORD = re.compile(
    r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')           # quoted, with escapes: left alone
      |(?<![\w.])([A-Za-z_~./][\w.~/-]*)(?=\s*[,()\]}]|\s*$)  # a bare word that ends or is a value""",
    re.VERBOSE,
)


def _quote_words(arguments: str) -> str:
    """Put quotes around bare words in value position, so that ``method=nri-uniform`` reads as a string."""

    def quote(match: re.Match[str]) -> str:
        word = match.group(2)
        if word in ("true", "false"):
            return str(word).capitalize()
        return match.group(0) if word in (None, *_LITERALS) else repr(word)

    return _WORD.sub(quote, arguments)
