"""Grids of settings: which candidates there are, and how many fits it takes to find the best. Pure arithmetic.

A *full* search fits every candidate on every fold. *Halving* starts all of them on a part of the training faces, keeps
the best third, gives these three times as many, and so on: only the last few see all faces [1]_.

References
----------
.. [1] K. Jamieson, A. Talwalkar: Non-stochastic best arm identification and hyperparameter optimization. AISTATS 2016.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ferbench.benchmarks.cells import Cell
from ferbench.specs import Spec, parse_spec

__all__ = ["Grid", "Rung", "Search", "candidates", "count_fits", "rungs", "search_work"]

FACTOR = 3
"""One in so many goes on to the next rung (scikit-learn's default too)."""


def _grid(value: object) -> object:
    """Validator of a grid: lists of plain values, none twice."""
    for name, values in value.items() if isinstance(value, dict) else ():
        if not isinstance(values, list) or not values:
            raise ValueError(f"grid values of {name!r} must be a list: {{{name}: [1, 10]}}")
        for one in values:
            if not isinstance(one, bool | int | float | str | None):
                raise ValueError(f"a grid value of {name!r} must be a number or a word, not {one!r}")
            if isinstance(one, str) and _is_number(one):
                raise ValueError(f"YAML reads {one} of {name!r} as text; write it as {float(one)}")
        if len({repr(one) for one in values}) < len(values):
            raise ValueError(f"a grid value of {name!r} is named twice")
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


Grid = Annotated[dict[str, list[Any]], BeforeValidator(_grid)]


class Search(BaseModel):
    """How the best of a grid's settings is found, on training faces alone."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    by: Literal["folds", "tune"] = Field(
        default="folds", description="folds of the training faces, or the data set's tune split"
    )
    folds: int = Field(default=5, ge=2, description="number of folds, none of which shares a subject with another")
    method: Literal["full", "halving"] = Field(
        default="full", description="every candidate on all training faces, or successive halving"
    )
    metric: Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss"] = Field(
        default="accuracy", description="what the best one is best at"
    )

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.by == "tune" and "folds" in self.model_fields_set:
            raise ValueError("'folds' needs 'by: folds'; a tune split is scored as it is")
        return self


@dataclass(frozen=True)
class Rung:
    """One round of a search.

    Attributes
    ----------
    n_candidates : int
    share : float
        Of the training faces that each is fitted to.
    """

    n_candidates: int
    share: float


def candidates(classifier: str, grid: Mapping[str, Sequence[Any]]) -> list[Spec]:
    """Every combination of a grid's values as a classifier's spec, the last parameter changing fastest.

    Examples
    --------
    >>> [str(spec) for spec in candidates("knn", {"n_neighbors": [1, 5]})]
    ['knn(n_neighbors=1)', 'knn(n_neighbors=5)']
    """
    base = parse_spec(classifier)
    return [
        Spec(base.name, {**base.params, **dict(zip(grid, values, strict=True))}) for values in product(*grid.values())
    ]


def rungs(n_candidates: int, method: str) -> list[Rung]:
    """The rounds of a search over so many candidates."""
    if method == "full":
        return [Rung(n_candidates, 1.0)]
    left = [n_candidates]
    while left[-1] > FACTOR:
        left.append(-(-left[-1] // FACTOR))
    return [Rung(n, float(FACTOR) ** (i + 1 - len(left))) for i, n in enumerate(left)]


def count_fits(cell: Cell) -> int:
    """Fits that a fit cell takes: one, and those of its search."""
    return 1 + sum(rung.n_candidates * n_folds for rung, n_folds, _ in _rounds(cell))


def search_work(cell: Cell) -> tuple[float, float]:
    """What the search of a fit cell costs, in fits to all training faces and in faces scored per training face.

    The second is for folds; a search on the tune split scores that split for every candidate of every rung.
    """
    fits = sum(rung.n_candidates * n_folds * rung.share * part for rung, n_folds, part in _rounds(cell))
    scored = sum(rung.n_candidates * n_folds * ((1 - part) or 1.0) for rung, n_folds, part in _rounds(cell))
    return fits, scored


def _rounds(cell: Cell) -> list[tuple[Rung, int, float]]:
    """Rungs, with the number of fits of a candidate and the share of the training faces that is not held out."""
    if "grid" not in cell.options:
        return []
    search = cell.options["search"]
    n = len(candidates(cell.pipeline.classifier, cell.options["grid"]))
    n_folds = search["folds"] if search["by"] == "folds" else 1
    part = (n_folds - 1) / n_folds if search["by"] == "folds" else 1.0
    return [(rung, n_folds, part) for rung in rungs(n, search["method"])]
