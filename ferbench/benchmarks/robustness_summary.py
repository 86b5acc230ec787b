"""From stored cells to the figures on spoilt faces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.cells import Cell, Part
from ferbench.benchmarks.evidence import Estimate
from ferbench.benchmarks.means import estimate_of_means, ratio
from ferbench.benchmarks.plan import Plan
from ferbench.benchmarks.pooled import groups_of, problem_of, right_of
from ferbench.benchmarks.shifts import RobustnessSummary
from ferbench.benchmarks.store import Run
from ferbench.errors import RunError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["robustness_figures", "summarise_robustness"]

_Key = tuple[str, str]  # row, data set
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Faces:
    """Who is right on which faces: column 0 as they are, then corruption by corruption, severity by severity."""

    ids: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_]
    right: _Array
    interval_over: str


def summarise_robustness(run: Run, plan: Plan, parts: Mapping[str, Part]) -> list[RobustnessSummary]:
    """One record for each row and data set of which cells were done; rows that lack cells say so."""
    block = plan.suite.corruptions
    if block is None:
        return []
    planned: dict[_Key, list[Cell]] = defaultdict(list)
    for cell in plan.cells:
        if cell.kind in ("quality", "robustness"):
            planned[cell.row, cell.dataset].append(cell)
    tables: dict[_Key, _Faces] = {}
    problems: dict[_Key, tuple[Literal["failed", "skipped"], str]] = {}
    for key, cells in planned.items():
        if not any(cell.id in parts for cell in cells):
            continue
        if problem := problem_of(cells, parts):
            problems[key] = problem
        else:
            tables[key] = _faces(run, cells, block.names, block.severities)
    result = []
    for row, dataset in planned:
        key = row, dataset
        if key in problems:
            status, reason = problems[key]
            result.append(RobustnessSummary(row=row, dataset=dataset, status=status, reason=reason))
        elif key in tables:
            rival = next((k for k in tables if k[1] == dataset and k[0].split("@")[0] == block.baseline), None)
            against = tables[rival] if rival is not None else None
            figures = robustness_figures(
                tables[key].right, tables[key].groups, block.names, block.severities, plan.suite.seed,
                None if against is None else against.right,
            )  # fmt: skip
            result.append(
                RobustnessSummary(
                    row=row,
                    dataset=dataset,
                    status="ok",
                    n=len(tables[key].ids),
                    interval_over=tables[key].interval_over,
                    severities=block.severities,
                    baseline=None if rival is None else rival[0],
                    **figures,
                )
            )
    return result


def _faces(run: Run, cells: Sequence[Cell], names: Sequence[str], severities: Sequence[int]) -> _Faces:
    def pooled(chosen: Sequence[Cell]) -> pd.DataFrame:
        ordered = sorted(chosen, key=lambda cell: cell.fold or 0)
        return run.pooled_items([cell.id for cell in ordered])[0]

    clean = pooled([cell for cell in cells if cell.kind == "quality"])
    ids = clean["id"].to_numpy(dtype=np.str_)
    columns = [right_of(clean)]
    for name in names:
        spoilt = pooled([cell for cell in cells if cell.options.get("corruption") == name])
        for severity in severities:
            here = spoilt[spoilt["severity"] == severity]
            if not np.array_equal(here["id"].to_numpy(dtype=np.str_), ids):
                raise RunError(
                    f"{name} of {cells[0].row} on {cells[0].dataset} was measured on other faces than the clean ones",
                    got=f"{len(here)} faces",
                    expected=f"{len(ids)} faces in their order",
                    fix="run the suite with --new",
                )
            columns.append(right_of(here))
    groups, over = groups_of(clean)
    return _Faces(ids, groups, np.stack(columns, axis=1), over)


def robustness_figures(
    right: _Array,
    groups: npt.NDArray[np.str_],
    names: Sequence[str],
    severities: Sequence[int],
    seed: int,
    baseline: _Array | None = None,
) -> dict[str, Any]:
    """The figures of a :class:`~ferbench.benchmarks.shifts.RobustnessSummary`, with intervals.

    With error rates E, a mean over severities for each corruption c, and those of the baseline E', mCE is the mean over
    corruptions of ``E_c / E'_c`` and relative mCE that of ``(E_c - E_clean) / (E'_c - E'_clean)`` (Hendrycks and
    Dietterich, ICLR 2019, whose baseline is AlexNet).

    Parameters
    ----------
    right : (N, 1 + C * S) float64
        1 where a face is right: clean, then corruption by corruption, severity by severity.
    groups : (N,) str
        What is resampled.
    names, severities : the C corruptions and S severities
    seed : int
    baseline : (N, 1 + C * S) float64, optional
        The baseline on the same faces.
    """
    n_kinds, n_levels = len(names), len(severities)
    width = 1 + n_kinds * n_levels

    def figures(means: _Array) -> dict[str, _Array]:
        accuracy = means[:, 1:width].reshape(-1, n_kinds, n_levels)
        clean, kinds = means[:, 0], accuracy.mean(axis=2)
        values = {"clean": clean, "mean": kinds.mean(axis=1), "relative": ratio(kinds.mean(axis=1), clean)}
        values |= {f"kind {i}": kinds[:, i] for i in range(n_kinds)}
        values |= {f"{i} {j}": accuracy[:, i, j] for i in range(n_kinds) for j in range(n_levels)}
        if baseline is not None:
            theirs = means[:, width + 1 :].reshape(-1, n_kinds, n_levels).mean(axis=2)
            their_clean = means[:, width]
            values["mce"] = ratio(1 - kinds, 1 - theirs).mean(axis=1)
            growth, their_growth = clean[:, None] - kinds, their_clean[:, None] - theirs
            values["relative_mce"] = ratio(growth, their_growth).mean(axis=1)
        return values

    found = estimate_of_means(right if baseline is None else np.hstack([right, baseline]), groups, figures, seed)
    return {
        "clean": found["clean"],
        "mean": found["mean"],
        "relative": _defined(found["relative"]),
        "accuracy": {name: [found[f"{i} {j}"] for j in range(n_levels)] for i, name in enumerate(names)},
        "by_corruption": {name: found[f"kind {i}"] for i, name in enumerate(names)},
        "mce": _defined(found.get("mce")),
        "relative_mce": _defined(found.get("relative_mce")),
    }


def _defined(estimate: Estimate | None) -> Estimate | None:
    return None if estimate is None or np.isnan(estimate.value) else estimate
