"""Evidence of a run that is being summed up, and of one that was stored before there were checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferbench.benchmarks.cells import Part
from ferbench.benchmarks.checks.evidence import Evidence
from ferbench.benchmarks.checks.leaks import Leaks, leaks_of_cells
from ferbench.benchmarks.checks.table import run_checks
from ferbench.benchmarks.records import Summary
from ferbench.benchmarks.store import Run, write_atomically
from ferbench.benchmarks.summary_file import summary_bytes
from ferbench.datasets import same_pictures
from ferbench.errors import FerbenchError

if TYPE_CHECKING:
    from ferbench.benchmarks.plan import Plan

__all__ = ["check_stored", "checked", "checked_summary", "remember_ignored"]


def checked(summary: Summary, plan: Plan, parts: Mapping[str, Part]) -> Summary:
    """The summary with the result of every check.

    Parameters
    ----------
    summary : Summary
        Finished but for its checks.
    plan : Plan
    parts : mapping of cell id to Part
        What was done of it.
    """
    evidence = Evidence(
        summary,
        {"suite": plan.suite.model_dump(mode="json", by_alias=True)},
        {cell.id: parts[cell.id] for cell in plan.cells if cell.id in parts},
        {info.spec: _leaks(plan, info.spec, parts) for info in summary.datasets},
    )
    return summary.model_copy(update={"checks": run_checks(evidence)})


def check_stored(summary: Summary, plan: Mapping[str, Any] | None = None) -> Summary:
    """The summary as it is where it was checked; otherwise checked by what it holds, with no data set read again.

    Parameters
    ----------
    summary : Summary
    plan : mapping, optional
        ``plan.json`` of the run, where it is known.
    """
    if summary.checks:
        return summary
    return summary.model_copy(update={"checks": run_checks(Evidence(summary, plan or {}))})


def checked_summary(folder: str | Path) -> Summary:
    """The stored summary of a run, with its checks even where it was stored before there were any.

    Raises
    ------
    RunError
        If the folder is no run, or its files cannot be read.
    """
    run = Run.open(folder)
    return check_stored(run.summary(), run.read_json("plan.json"))


def remember_ignored(run: Run, summary: Summary, codes: Sequence[str]) -> Summary:
    """The summary, checked, with the codes that the user wants to hear nothing of; stored where they are others."""
    summary = check_stored(summary, run.read_json("plan.json"))
    if summary.ignored_checks != list(codes):
        summary = summary.model_copy(update={"ignored_checks": list(codes)})
        write_atomically(run.folder / "summary.json", summary_bytes(summary))
    return summary


def _leaks(plan: Plan, dataset: str, parts: Mapping[str, Part]) -> Leaks | str:
    cells = [cell for cell in plan.cells if cell.dataset == dataset and cell.id in parts]
    facts = plan.facts[dataset]
    came = [saved.record() for saved in plan.saved.values()]
    own = {
        one.split
        for one in came
        if one.dataset and one.split and (one.revision == facts.revision or same_pictures(one.dataset, dataset))
    }
    try:
        return leaks_of_cells(cells, sorted(own)) or f"nothing was learnt from {facts.title} here"
    except FerbenchError as error:
        return f"the pictures of {facts.title} could not be compared: {error}"
