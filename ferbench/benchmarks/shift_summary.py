"""From stored cells to the figures on spoilt faces and to the cross-dataset matrix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.evidence import Estimate
from ferbench.benchmarks.means import estimate_of_means, ratio
from ferbench.benchmarks.pairs import Scored
from ferbench.benchmarks.plan import Plan
from ferbench.benchmarks.records import Cell, Part
from ferbench.benchmarks.shifts import GeneralisationSummary, RobustnessSummary, TransferSummary
from ferbench.benchmarks.statistics import bootstrap
from ferbench.benchmarks.store import Run
from ferbench.datasets import same_pictures
from ferbench.errors import RunError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["generalisation", "robustness_figures", "summarise_robustness", "summarise_transfers"]

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
        if problem := _problem(cells, parts):
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


def _problem(cells: Sequence[Cell], parts: Mapping[str, Part]) -> tuple[Literal["failed", "skipped"], str] | None:
    """Why cells cannot be summed up, or None."""
    for cell in cells:
        part = parts.get(cell.id)
        if part is not None and part.status != "ok":
            return part.status, part.error.message if part.error else "no reason was recorded"
    missing = sum(cell.id not in parts for cell in cells)
    return ("skipped", f"{missing} of {len(cells)} cells are not done yet") if missing else None


def _faces(run: Run, cells: Sequence[Cell], names: Sequence[str], severities: Sequence[int]) -> _Faces:
    import pandas as pd

    def pooled(chosen: Sequence[Cell]) -> pd.DataFrame:
        ordered = sorted(chosen, key=lambda cell: cell.fold or 0)
        return pd.concat([run.items(cell.id) for cell in ordered], ignore_index=True)

    clean = pooled([cell for cell in cells if cell.kind == "quality"])
    ids = clean["id"].to_numpy(dtype=np.str_)
    columns = [_right(clean)]
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
            columns.append(_right(here))
    groups, over = _groups(clean)
    return _Faces(ids, groups, np.stack(columns, axis=1), over)


def _right(items: pd.DataFrame) -> _Array:
    return np.asarray(items["predicted"] == items["truth"], dtype=np.float64)


def _groups(items: pd.DataFrame) -> tuple[npt.NDArray[np.str_], str]:
    """What is resampled, and its name."""
    over = "faces" if items["subject"].isna().any() else "subjects"
    return items["id" if over == "faces" else "subject"].to_numpy(dtype=np.str_), over


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


# The cross-dataset matrix --------------------------------------------------------------------------------------------


def summarise_transfers(run: Run, plan: Plan, parts: Mapping[str, Part]) -> list[TransferSummary]:
    """The cross-dataset matrix: what was learnt and scored on one data set, on two, and what is refused."""
    if plan.suite.cross is None:
        return []
    import pandas as pd

    own: dict[_Key, list[Cell]] = defaultdict(list)
    for cell in plan.of_kind("quality"):
        own[cell.row, cell.dataset].append(cell)
    result: list[TransferSummary] = []
    diagonal: dict[_Key, pd.DataFrame] = {}
    for (row, dataset), cells in own.items():
        if not any(cell.id in parts for cell in cells):
            continue
        saved = plan.saved.get(row)
        head = {"row": row, "dataset": dataset, "trained_on": dataset, "is_diagonal": True}
        if saved is not None:
            head["trained_on"] = saved.trained_on.get("dataset") or "unknown"
            head["is_diagonal"] = saved.trained_on.get("revision") == plan.facts[dataset].revision
        if problem := _problem(cells, parts):
            result.append(TransferSummary.model_validate({**head, "status": problem[0], "reason": problem[1]}))
            continue
        items = pd.concat([run.items(cell.id) for cell in cells], ignore_index=True)
        if saved is None:
            diagonal[row, dataset] = items
        result.append(_transfer(head, items, {}, None, plan.suite.seed))
    for cell in plan.of_kind("cross"):
        part = parts.get(cell.id)
        if part is None:
            continue
        head = {
            "row": cell.row,
            "dataset": cell.dataset,
            "trained_on": cell.options["trained_on"],
            "is_diagonal": False,
        }
        if problem := _problem([cell], parts):
            result.append(TransferSummary.model_validate({**head, "status": problem[0], "reason": problem[1]}))
            continue
        rival = diagonal.get((cell.row, cell.dataset))
        result.append(_transfer(head, run.items(cell.id), part.metrics, rival, plan.suite.seed))
    result += [
        TransferSummary(
            row=one.row,
            trained_on=one.trained_on,
            dataset=one.dataset,
            is_diagonal=False,
            status="refused",
            reason=one.reason,
        )
        for one in plan.refused
    ]
    return result


def _transfer(
    head: Mapping[str, Any], items: pd.DataFrame, metrics: Mapping[str, Any], rival: pd.DataFrame | None, seed: int
) -> TransferSummary:
    common = {**head, "n_dropped": metrics.get("n_dropped", 0), "mapped": metrics.get("mapped", {})}
    if not len(items):
        return TransferSummary.model_validate(
            {**common, "status": "skipped", "reason": "the policies leave out every face"}
        )
    labels = [name.removeprefix("p_") for name in items.columns if name.startswith("p_")]
    scores = bootstrap(Scored("", items, labels).sums, seed=seed)["end_to_end"]
    groups, over = _groups(items)
    drop = None
    if rival is not None:
        # Where one answers that contempt is disgust and the other that it is contempt, each is right by its own labels.
        theirs = rival.set_index("id").loc[items["id"]].reset_index()
        table = np.stack([_right(theirs), _right(items)], axis=1)
        drop = estimate_of_means(table, groups, lambda means: {"drop": means[:, 0] - means[:, 1]}, seed)["drop"]
    note = None
    if not head["is_diagonal"] and same_pictures(head["trained_on"], head["dataset"]):
        note = "pictures of one collection under two labellings, in different splits: no other data set"
    return TransferSummary.model_validate(
        {
            **common,
            "status": "ok",
            "n": len(items),
            "n_missed": int((~items["detected"]).sum()),
            "interval_over": over,
            "accuracy": scores["accuracy"],
            "macro_f1": scores["macro_f1"],
            "drop": drop,
            "note": note,
        }
    )


def generalisation(transfers: Sequence[TransferSummary]) -> list[GeneralisationSummary]:
    """Own accuracy against the mean of the other data sets, for each row and what it learnt from.

    Other labellings of the same pictures are no other data set and do not count.
    """
    found: dict[_Key, list[TransferSummary]] = defaultdict(list)
    for one in transfers:
        if one.accuracy is not None and one.note is None:
            found[one.row, one.trained_on].append(one)
    result = []
    for (row, trained_on), cells in found.items():
        at_home = [cell.accuracy.value for cell in cells if cell.accuracy and cell.is_diagonal]
        away = [cell.accuracy.value for cell in cells if cell.accuracy and not cell.is_diagonal]
        if len(at_home) == 1 and away and at_home[0] > 0:
            own, others = at_home[0], float(np.mean(away))
            result.append(
                GeneralisationSummary(
                    row=row,
                    trained_on=trained_on,
                    own=own,
                    others=others,
                    n_others=len(away),
                    relative_drop=(own - others) / own,
                )
            )
    return result
