"""What a report shows of spoilt faces and of other data sets: ordered, named, nothing recomputed."""

from __future__ import annotations

from dataclasses import dataclass

from ferbench.benchmarks.evidence import Estimate
from ferbench.benchmarks.records import DatasetSummary, Summary
from ferbench.benchmarks.shifts import GeneralisationSummary, RobustnessSummary, TransferSummary
from ferbench.reports.formatting import points
from ferbench.specs import Spec, parse_spec

__all__ = ["MAX_LINES", "MatrixView", "RobustnessView", "dataset_names", "loss", "matrix_views", "robustness_views"]

MAX_LINES = 8
"""Pipelines drawn in one figure: more lines, or more colours, nobody tells apart. The tables have all."""


@dataclass(frozen=True)
class RobustnessView:
    """Spoilt faces of one data set.

    Attributes
    ----------
    info : DatasetSummary
    anchor : str
    rows : tuple of RobustnessSummary
        Measured rows, best mean corrupted accuracy first.
    others : tuple of RobustnessSummary
        Rows without figures.
    """

    info: DatasetSummary
    anchor: str
    rows: tuple[RobustnessSummary, ...]
    others: tuple[RobustnessSummary, ...]

    @property
    def names(self) -> list[str]:
        """Corruptions, in the order of the table."""
        return list(self.rows[0].accuracy) if self.rows else []

    @property
    def severities(self) -> list[int]:
        """Severities that were measured."""
        return self.rows[0].severities if self.rows else []

    @property
    def baseline(self) -> str | None:
        """Row that mCE compares with."""
        return self.rows[0].baseline if self.rows else None

    @property
    def drawn(self) -> tuple[RobustnessSummary, ...]:
        """Rows that the figure shows."""
        return self.rows[:MAX_LINES]


@dataclass(frozen=True)
class MatrixView:
    """The cross-dataset matrix of one row: what it learnt from downwards, what was scored across.

    Attributes
    ----------
    row : str
    sources : tuple of str
        Specs of what it learnt from.
    targets : tuple of DatasetSummary
    cells : dict
        ``{(source, target spec): TransferSummary}``.
    means : dict of str to GeneralisationSummary
        By source, where there is an own data set and another.
    """

    row: str
    sources: tuple[str, ...]
    targets: tuple[DatasetSummary, ...]
    cells: dict[tuple[str, str], TransferSummary]
    means: dict[str, GeneralisationSummary]

    def notes(self, names: dict[str, str]) -> list[str]:
        """What must stand below the matrix: refusals, failures, expressions that were mapped."""
        said = []
        for (source, target), one in self.cells.items():
            where = f"{names.get(source, source)} → {names.get(target, target)}"
            if one.reason:
                said.append(f"{where}: {one.status}: {one.reason}")
            if one.mapped:
                said.append(f"{where}: {', '.join(f'{label} {what}' for label, what in _mapped(one).items())}")
            if one.note:
                said.append(f"{where}: {one.note}")
        return said


def _mapped(one: TransferSummary) -> dict[str, str]:
    fixed = ("left out", "counted wrong")
    words = {label: what if what in fixed else f"counted as {what}" for label, what in one.mapped.items()}
    if one.n_dropped:
        last = next((label for label in reversed(words) if words[label] == "left out"), None)
        if last is not None:
            words[last] += f" ({one.n_dropped:,} faces)"
    return words


def robustness_views(summary: Summary) -> list[RobustnessView]:
    """One view for each data set whose faces were spoilt."""
    views = []
    for number, info in enumerate(summary.datasets, start=1):
        here = [one for one in summary.robustness if one.dataset == info.spec]
        measured = sorted((one for one in here if one.mean), key=lambda one: -one.mean.value if one.mean else 0.0)
        if here:
            others = tuple(one for one in here if not one.mean)
            views.append(RobustnessView(info, f"d{number}", tuple(measured), others))
    return views


def matrix_views(summary: Summary) -> list[MatrixView]:
    """One matrix for each row, in the order of the suite; a baseline's like any other's."""
    views = []
    for row in dict.fromkeys(one.row for one in summary.transfers):
        mine = [one for one in summary.transfers if one.row == row]
        order = [info.spec for info in summary.datasets]
        sources = sorted(
            dict.fromkeys(one.trained_on for one in mine),
            key=lambda spec: order.index(spec) if spec in order else len(order),
        )
        views.append(
            MatrixView(
                row,
                tuple(sources),
                tuple(summary.datasets),
                {(one.trained_on, one.dataset): one for one in mine},
                {one.trained_on: one for one in summary.generalisation if one.row == row},
            )
        )
    return views


def dataset_names(summary: Summary) -> dict[str, str]:
    """Short names of the data sets: the title, or where several share it the spec with what tells them apart."""
    names = {}
    for info in summary.datasets:
        alike = [parse_spec(other.spec).params for other in summary.datasets if other.title == info.title]
        own = parse_spec(info.spec)
        # A parameter that only one of them has tells it apart, too.
        apart = {k: v for k, v in own.params.items() if any(params.get(k, ...) != v for params in alike)}
        names[info.spec] = info.title if len(alike) == 1 else str(Spec(own.name, apart))
    return names


def loss(drop: Estimate) -> str:
    """What is lost, as a difference in points: ``"−5.2"``; in parentheses where its interval holds 0 or is unknown."""
    text = points(-drop.value)
    is_shown = drop.low is not None and drop.high is not None and (drop.low > 0 or drop.high < 0)
    return text if is_shown else f"({text})"
