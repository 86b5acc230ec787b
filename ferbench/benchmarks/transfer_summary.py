"""From stored cells to the cross-dataset matrix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ferbench.benchmarks.cells import Cell, Part
from ferbench.benchmarks.means import estimate_of_means
from ferbench.benchmarks.pairs import Scored
from ferbench.benchmarks.plan import Plan
from ferbench.benchmarks.pooled import groups_of, problem_of, right_of
from ferbench.benchmarks.shifts import GeneralisationSummary, TransferSummary
from ferbench.benchmarks.statistics import bootstrap
from ferbench.benchmarks.store import Run
from ferbench.datasets import same_pictures

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["generalisation", "summarise_transfers"]

_Key = tuple[str, str]  # row, data set


def summarise_transfers(run: Run, plan: Plan, parts: Mapping[str, Part]) -> list[TransferSummary]:
    """The cross-dataset matrix: what was learnt and scored on one data set, on two, and what is refused."""
    if plan.suite.cross is None:
        return []

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
        if problem := problem_of(cells, parts):
            result.append(TransferSummary.model_validate({**head, "status": problem[0], "reason": problem[1]}))
            continue
        items, _ = run.pooled_items([cell.id for cell in cells])
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
        if problem := problem_of([cell], parts):
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
    groups, over = groups_of(items)
    drop = None
    if rival is not None:
        # Where one answers that contempt is disgust and the other that it is contempt, each is right by its own labels.
        theirs = rival.set_index("id").loc[items["id"]].reset_index()
        table = np.stack([right_of(theirs), right_of(items)], axis=1)
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
