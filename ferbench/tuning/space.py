"""What is searched: ranges and choices of the parameters of a pipeline's classifier and features."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from ferbench.checks import is_number
from ferbench.errors import ParameterError
from ferbench.pipelines.spec import FEATURES, PipelineParts
from ferbench.registry import entry
from ferbench.specs import parse_value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["DEFAULTS", "Dimension", "Space", "parse_dimension", "search_space", "untried"]

DEFAULTS = {
    "learning_rate": "1e-4:1e-2:log",
    "batch_size": "32|64|128",
    "dropout": "0.0:0.6",
    "C": "0.01:100:log",
    "gamma": "0.01:10:log",
    "n_neighbors": "1:31",
}
"""What is searched where nothing is named: those of these parameters that the classifier has..."""

_OF_ITS_OWN = {"local-svm": {"n_neighbors": "50:1000:log"}}
"""...but for these classifiers, to whom a parameter means something else."""

_LISTED = 10_000
"""Sets of values; a larger space is not listed, and one of its sets may be tried twice."""

_FORM = "NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=a|b|c"


@dataclass(frozen=True)
class Dimension:
    """One parameter and its values: a range, or choices.

    Attributes
    ----------
    name : str
        A parameter of the classifier, or ``features.`` and one of the features.
    low, high : int or float
        Ends of a range, whole where both are; unused with choices.
    is_log : bool
        Whether the range is searched by orders of magnitude.
    choices : tuple
        Empty for a range.
    """

    name: str
    low: float = 0
    high: float = 0
    is_log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def ends(self) -> tuple[Any, ...]:
        """Those of its values by which the others are judged: all choices, or both ends of a range."""
        return self.choices or (self.low, self.high)

    def distribution(self) -> BaseDistribution:
        """What Optuna draws from."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return IntDistribution(self.low, self.high, log=self.is_log)
        return FloatDistribution(self.low, self.high, log=self.is_log)

    @property
    def values(self) -> Sequence[Any] | None:
        """All of its values, or None where they cannot be counted."""
        if self.choices:
            return self.choices
        return range(self.low, self.high + 1) if isinstance(self.low, int) and isinstance(self.high, int) else None


Space = tuple[Dimension, ...]


def untried(space: Space, tried: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
    """The sets of values that are left, or None where there are more than can be listed.

    Examples
    --------
    >>> untried((Dimension("C", choices=(1, 10)), Dimension("k", 1, 2)), [{"C": 1, "k": 2}, {"C": 10, "k": 1}])
    [{'C': 1, 'k': 1}, {'C': 10, 'k': 2}]
    """
    listed = [dimension.values for dimension in space]
    if any(values is None for values in listed) or math.prod(len(values or ()) for values in listed) > _LISTED:
        return None
    names = [dimension.name for dimension in space]
    every = (dict(zip(names, values, strict=True)) for values in product(*(values or () for values in listed)))
    return [values for values in every if values not in tried]


def parse_dimension(text: str) -> Dimension:
    """Read one of the forms ``C=0.1:10:log``, ``n_neighbors=1:31`` and ``batch_size=32|64``.

    Raises
    ------
    ParameterError
        The text is in none of these forms.
    """
    name, equals, values = (part.strip() for part in text.partition("="))
    if not (name and equals and values):
        raise ParameterError("not a range to search", got=repr(text), expected=_FORM)
    if "|" in values:
        choices = tuple(parse_value(part) for part in values.split("|"))
        if any(isinstance(choice, list) for choice in choices):
            raise ParameterError("a list cannot be searched", got=text, expected="numbers, words, true or false")
        if len(set(choices)) < len(choices):
            raise ParameterError("a value stands twice in what is to be searched", got=text)
        return Dimension(name, choices=choices)
    low, *rest = values.split(":")
    ends = [parse_value(low), *(parse_value(part) for part in rest[:1])]
    is_log = rest[1:] == ["log"]
    if len(rest) not in (1, 2) or (len(rest) == 2 and not is_log) or not all(is_number(end) for end in ends):
        raise ParameterError("not a range to search", got=repr(text), expected=_FORM)
    if not ends[0] < ends[1] or (is_log and ends[0] <= 0):
        raise ParameterError("not a range to search", got=repr(text), expected="LOW < HIGH, and LOW > 0 for log")
    return Dimension(name, ends[0], ends[1], is_log)


def _as_parameter(dimension: Dimension, parts: PipelineParts) -> Dimension:
    """The same in real numbers where the parameter is one: ``C=1:100`` is no range of whole numbers."""
    factory = entry("classifiers", parts.classifier.name)
    if parts.features is not None and dimension.name.startswith(FEATURES):
        factory = entry("features", parts.features.name)
    known = inspect.signature(factory.load()).parameters.get(dimension.name.removeprefix(FEATURES))
    if dimension.choices or known is None:
        return dimension
    types = re.findall(r"\w+", str(known.annotation))
    if not isinstance(known.default, float) and ("float" not in types or "int" in types):
        return dimension
    return replace(dimension, low=float(dimension.low), high=float(dimension.high))


def search_space(parts: PipelineParts, texts: Sequence[str]) -> Space:
    """The space that is searched: what is named, or :data:`DEFAULTS`.

    Raises
    ------
    ParameterError
        Nothing is named and the classifier has none of the defaults, or a parameter is named twice.
    """
    space = tuple(_as_parameter(parse_dimension(text), parts) for text in texts)
    if not space:
        has = inspect.signature(entry("classifiers", parts.classifier.name).load()).parameters
        ranges = DEFAULTS | _OF_ITS_OWN.get(parts.classifier.name, {})
        space = tuple(parse_dimension(f"{name}={values}") for name, values in ranges.items() if name in has)
    if not space:
        raise ParameterError(f"{parts.classifier.name} has no parameter that is searched unasked", fix="use --search")
    names = [dimension.name for dimension in space]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ParameterError("a parameter is searched twice", got=", ".join(sorted(twice)))
    return space
