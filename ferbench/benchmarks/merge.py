"""Runs of one suite, made on several machines, as one run.

Cells are digests of what determines their outcome, so runs of the same suite on the same data have the same fits and
scores under the same names; these must agree. Timings carry the machine's fingerprint in their digest and stay apart.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferbench.benchmarks.cells import SCORED, Cell, Part
from ferbench.benchmarks.disk import check_disk, write_atomically
from ferbench.benchmarks.plan import Plan
from ferbench.benchmarks.plan_file import plan_record, read_plan
from ferbench.benchmarks.records import Summary
from ferbench.benchmarks.store import Run
from ferbench.benchmarks.summary import write_summary
from ferbench.errors import ParameterError, RunError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Merged", "merge_runs"]

MAX_DIFFERENCE = 1e-4
"""Probabilities of one cell on two machines may differ by as much: sums of float32 in another order, no other model."""

_NAMED = 5  # cells named in a message; the rest is counted


@dataclass(frozen=True)
class Merged:
    """What came of a merge.

    Attributes
    ----------
    run : Run
        The new run.
    summary : Summary
    notes : tuple of str
        What a reader must know: what was measured twice, done with other versions, damaged.
    """

    run: Run
    summary: Summary
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    run: Run
    plan: Plan
    parts: dict[str, Part]

    @classmethod
    def open(cls, folder: str | Path) -> _Source:
        run = Run.open(folder)
        return cls(run, read_plan(run), run.parts(repair=False))


def merge_runs(folders: Sequence[str | Path], out: str | Path, command: str) -> Merged:
    """Put the cells of several runs into one folder, which appears whole, and summarise them.

    Parameters
    ----------
    folders : sequence of path
        Two runs or more; what they have in common is taken from the first that did it.
    out : path
        Folder of the new run; it must not exist.
    command : str
        What the user typed.

    Raises
    ------
    ParameterError
        Fewer than two runs, one named twice, or a folder that exists.
    RunError
        Other suites, profiles or data, or scores of one cell that differ.
    StorageError
        If the new folder cannot be written.
    """
    target = Path(out)
    if target.exists():
        raise ParameterError(f"{out} exists already", expected="a new folder", fix="choose another --out")
    sources = [_Source.open(folder) for folder in folders]
    if len({source.run.folder for source in sources}) < max(2, len(sources)):
        raise ParameterError("runs to merge", got=", ".join(map(str, folders)), expected="two different ones or more")
    for other in sources[1:]:
        _check_same_suite(sources[0], other)
    _check_agreement(sources)
    chosen, notes = _choose(sources)
    plan = _joined_plan(sources)
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        _copy(chosen, Run(temporary))
        _write_inputs(sources, plan, temporary)
        temporary.rename(target)
    except OSError as error:
        check_disk(error)
        raise RunError(f"cannot write {target}", got=error.strerror, fix="choose another --out") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    run = Run.open(target)
    summary = write_summary(run, plan, command)
    write_atomically(run.folder / ".derived", run.stamp().encode())
    return Merged(run, summary, (*_other_versions(sources), *notes))


def _check_same_suite(a: _Source, b: _Source) -> None:
    mine, theirs = _identity(a.plan), _identity(b.plan)
    place = _first_difference(mine, theirs)
    if place is None:
        return
    kept = "a different suite" if place[0].startswith(("suite", "profile")) else "other data"
    raise RunError(
        f"{b.run.id} measured {kept} than {a.run.id}",
        got=f"{place[0]}: {place[2]!r}, not {place[1]!r}",
        fix="merge runs of one suite, one profile and one revision of the data",
    )


def _identity(plan: Plan) -> dict[str, Any]:
    """What must be equal, most telling first."""
    suite = plan.suite.model_dump(mode="json", by_alias=True)
    for budget in suite["profiles"].values():
        del budget["cell_seconds"]  # decides which cells end, not what comes of them
    for entry in suite["pipelines"]:
        if entry["saved"] is not None:  # a path; what counts is the content
            entry["saved"] = next((one.content for row, one in plan.saved.items() if _base(row) == entry["id"]), None)
    return {
        "suite": suite,
        "profile": plan.profile_name,
        "revision of": {spec: facts.revision for spec, facts in plan.facts.items()},
    }


def _base(row: str) -> str:
    return row.partition("@")[0]


def _first_difference(a: Any, b: Any, place: str = "") -> tuple[str, Any, Any] | None:
    """Where two JSON values differ first, and both values there."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            found = _first_difference(a.get(key), b.get(key), f"{place} {key}".strip())
            if found is not None:
                return found
        return None
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return next(
            (d for i, (x, y) in enumerate(zip(a, b, strict=True)) if (d := _first_difference(x, y, f"{place}[{i}]"))),
            None,
        )
    return None if a == b else (place, a, b)


def _check_agreement(sources: Sequence[_Source]) -> None:
    """Scores that two runs have of one cell must be the same."""
    first: dict[str, _Source] = {}
    differ = []
    for source in sources:
        for cell_id in (cell.id for cell in source.plan.cells):
            part = source.parts.get(cell_id)
            if part is None or part.cell.kind not in SCORED or part.status != "ok":
                continue
            like = first.setdefault(cell_id, source)
            if like is not source and (how := _difference(like.run, source.run, cell_id)) is not None:
                fold = "" if part.cell.fold is None else f" fold {part.cell.fold + 1}"
                differ.append(
                    f"{part.cell.row} on {part.cell.dataset}{fold} in {like.run.id} and {source.run.id} ({how})"
                )
    if differ:
        more = f", and {len(differ) - _NAMED} more" if len(differ) > _NAMED else ""
        raise RunError(
            f"{len(differ)} scores of the same cell differ between the runs",
            got=", ".join(differ[:_NAMED]) + more,
            fix="train such a pipeline once and let the suite name the result (saved: FOLDER), or merge without a run",
        )


def _difference(a: Run, b: Run, cell_id: str) -> str | None:
    """How the predictions of a cell differ in two runs; None where they agree."""
    mine, theirs = a.items(cell_id), b.items(cell_id)
    said = [name for name in mine.columns if not name.startswith("p_")]
    if list(mine.columns) != list(theirs.columns) or len(mine) != len(theirs):
        return "other faces or classes"
    faces = [name for name in said if name not in ("predicted", "detected")]
    if not mine[faces].equals(theirs[faces]):
        return "other faces"
    names = [name for name in mine.columns if name.startswith("p_")]
    gap = np.abs(mine[names].to_numpy(np.float64) - theirs[names].to_numpy(np.float64))
    is_other = (mine["predicted"] != theirs["predicted"]) | (mine["detected"] != theirs["detected"])
    n_other = sum(
        not _are_tied(mine.iloc[i], mine["predicted"].iat[i], theirs["predicted"].iat[i])
        for i in np.flatnonzero(is_other).tolist()
    )
    if n_other:
        return f"{n_other:,} of {len(mine):,} faces predicted otherwise"
    largest = float(np.nanmax(gap, initial=0.0))
    return f"probabilities differ by {largest:.2g}" if largest > MAX_DIFFERENCE else None


def _are_tied(face: pd.Series[Any], one: object, other: object) -> bool:
    """Whether two labels of a face may change places within the difference of probabilities that is allowed."""
    if one == other or f"p_{one}" not in face or f"p_{other}" not in face:
        return False
    return bool(abs(face[f"p_{one}"] - face[f"p_{other}"]) <= 2 * MAX_DIFFERENCE)


def _choose(sources: Sequence[_Source]) -> tuple[dict[str, _Source], list[str]]:
    """The run that each cell is taken from: the first that did it, or the first that failed at it."""
    chosen: dict[str, _Source] = {}
    twice: dict[tuple[str, str], int] = {}
    for source in sources:
        for cell_id, part in source.parts.items():
            known = chosen.get(cell_id)
            if known is None or (known.parts[cell_id].status != "ok" and part.status == "ok"):
                chosen[cell_id] = source
            elif part.cell.kind == "latency" and part.status == "ok" and part != known.parts[cell_id]:
                pair = known.run.id, source.run.id
                twice[pair] = twice.get(pair, 0) + 1
    notes = [
        f"{n} timings were made by {a} and again by {b} on the same kind of machine: those of {a} are kept"
        for (a, b), n in twice.items()
    ]
    return chosen, [*notes, *(f"{source.run.id}: {note}" for source in sources for note in source.run.notes)]


def _joined_plan(sources: Sequence[_Source]) -> Plan:
    order = {"fit": 0, "latency": 2}
    cells: dict[str, Cell] = {}
    for source in sources:
        for cell in source.plan.cells:
            cells.setdefault(cell.id, cell)
    return replace(sources[0].plan, cells=tuple(sorted(cells.values(), key=lambda cell: order.get(cell.kind, 1))))


def _copy(chosen: dict[str, _Source], run: Run) -> None:
    """Copy every file of the chosen cells as it is: parts keep the checksums that they were written with."""
    for cell_id, source in chosen.items():
        home, part = source.run.folder, source.parts[cell_id]
        names = [f"parts/{cell_id}.json", *json.loads((home / f"parts/{cell_id}.json").read_bytes())["files"]]
        names += [name for name in (f"failures/{cell_id}.txt", f"searches/{cell_id}.json") if (home / name).is_file()]
        for name in names:
            (run.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(home / name, run.folder / name)
        artefact = source.run.artefact(part.cell)
        if artefact.is_dir() and not (run.folder / "artefacts" / artefact.name).exists():
            shutil.copytree(artefact, run.folder / "artefacts" / artefact.name)


def _write_inputs(sources: Sequence[_Source], plan: Plan, folder: Path) -> None:
    first = sources[0].run.folder
    merged = [
        {"run": source.run.id, "machine": source.plan.machine, "n_cells": len(source.parts)} for source in sources
    ]
    environments = {run: environment for source in sources for run, environment in _environments(source).items()}
    shutil.copyfile(first / "suite.yaml", folder / "suite.yaml")
    shutil.copyfile(first / "environment.json", folder / "environment.json")
    write_atomically(folder / "environments.json", json.dumps(environments, indent=1).encode())
    write_atomically(folder / "plan.json", json.dumps({**plan_record(plan), "merged": merged}, indent=1).encode())


def _environments(source: _Source) -> dict[str, dict[str, Any]]:
    """By run: of one that is merged itself those of all in it."""
    return source.run.environments() or {source.run.id: source.run.read_json("environment.json")}


def _other_versions(sources: Sequence[_Source]) -> list[str]:
    """Notes on packages that differ between the runs: scores agree all the same, but timings may owe to them."""
    packages = [one.get("packages", {}) for source in sources for one in _environments(source).values()]
    other = sorted({name for own in packages for name in own if len({str(p.get(name)) for p in packages}) > 1})
    return [f"the runs were made with other versions of {', '.join(other)}: see their environments"] if other else []
