"""Running a plan: fits and quality cells in parallel, then latency cells one at a time, everything resumable."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferbench.benchmarks.cells import SCORED, Cell
from ferbench.benchmarks.environment import capture_environment, machine_fingerprint
from ferbench.benchmarks.estimate import detector_notes, estimate_cell
from ferbench.benchmarks.facts import DatasetFacts, dataset_facts
from ferbench.benchmarks.grid import candidates
from ferbench.benchmarks.guard import GuardPolicy
from ferbench.benchmarks.jobs import Workers, run_jobs
from ferbench.benchmarks.plan import Plan, expand, needed_splits
from ferbench.benchmarks.plan_file import plan_record
from ferbench.benchmarks.pretrained import SavedPipeline, read_saved
from ferbench.benchmarks.progress import RunProgress
from ferbench.benchmarks.records import Summary
from ferbench.benchmarks.rounds import time_cells
from ferbench.benchmarks.store import Run, write_atomically
from ferbench.benchmarks.suite import Suite
from ferbench.benchmarks.suite_entries import DatasetEntry
from ferbench.benchmarks.suite_file import parse_suite
from ferbench.benchmarks.summary_file import OtherVersionError
from ferbench.benchmarks.work import check_component
from ferbench.digests import file_digest
from ferbench.errors import (
    DataError,
    DatasetNotFoundError,
    InvalidSuiteError,
    LabelError,
    ModelFileError,
    ParameterError,
    RunError,
    UnknownNameError,
)
from ferbench.pipelines.spec import is_network
from ferbench.pipelines.storage import check_files, read_record
from ferbench.specs import parse_spec

__all__ = ["Outcome", "RunOptions", "check_components", "make_plan", "open_run", "run_plan"]

_DERIVED, _TABLE = ".derived", "results.parquet"


@dataclass(frozen=True)
class RunOptions:
    """How a plan is run.

    Attributes
    ----------
    runs : Path
        Folder of all runs.
    jobs : int
        Worker processes for fits and quality cells; 1 works in this process.
    scheduler : str or None
        Address of a dask scheduler whose workers do them instead; they must see the same disk.
    new : bool
        Start a new run instead of going on with the newest of this plan.
    only : tuple of str
        Rows to do; all where empty.
    latency : bool
        Whether to time.
    guard : "warn", "wait" or "refuse"
        What to do before a timing round if other programs use the machine.
    """

    runs: Path = Path("runs")
    jobs: int = 1
    scheduler: str | None = None
    new: bool = False
    only: tuple[str, ...] = ()
    latency: bool = True
    guard: GuardPolicy = "warn"


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes
    ----------
    run : Run
    summary : Summary
    n_done : int
        Cells done now; 0 where everything was there.
    """

    run: Run
    summary: Summary
    n_done: int


def make_plan(suite: Suite, profile: str | None) -> Plan:
    """Expand a suite with the datasets and the machine that are here."""
    suite = suite.under(profile)  # a wrong name is said before a dataset is read
    saved = {
        entry.id: _read_saved(suite, entry.id, entry.saved) for entry in suite.pipelines if entry.saved is not None
    }
    facts = {entry.name: _read_facts(suite, entry) for entry in suite.datasets}
    return expand(suite, profile, facts, machine=machine_fingerprint(), saved=saved)


def _read_facts(suite: Suite, entry: DatasetEntry) -> DatasetFacts:
    try:
        return dataset_facts(entry.name, needed_splits(suite, entry))
    except DatasetNotFoundError:  # its own message says where to get it; nothing in the suite is wrong
        raise
    except (DataError, LabelError, ParameterError, UnknownNameError) as error:
        raise InvalidSuiteError(f"{suite.dataset_place(entry.name)}: {error}") from error


def _read_saved(suite: Suite, pipeline: str, name: str) -> SavedPipeline:
    try:
        return read_saved(name, suite.folder)
    except ModelFileError as error:
        raise InvalidSuiteError(f"{suite.place(pipeline)}: {error}") from error


def open_run(plan: Plan, options: RunOptions, suite_text: str) -> Run:
    """The newest run of this plan, or a new one."""
    found = None if options.new else Run.find(options.runs, plan.digest)
    frozen: dict[str, Callable[[], bytes]] = {
        "suite.yaml": suite_text.encode,
        "environment.json": lambda: json.dumps(capture_environment(), indent=1, default=str).encode(),
        # Last, since its presence is what makes the folder a run.
        "plan.json": lambda: json.dumps(plan_record(plan), indent=1).encode(),
    }
    if found is None:
        return Run.create(options.runs, plan.suite.name, plan.digest, {name: make() for name, make in frozen.items()})
    for name in _damaged_inputs(plan, found):
        # The same plan on the same kind of machine: what it was frozen from is here.
        write_atomically(found.folder / name, frozen[name]())
        found.notes.append(f"{name} was damaged and is written anew")
    return found


def _damaged_inputs(plan: Plan, run: Run) -> list[str]:
    damaged = []
    try:
        planned = [cell["id"] for cell in run.read_json("plan.json")["cells"]]
    except (RunError, KeyError, TypeError):
        planned = []
    if planned != [cell.id for cell in plan.cells]:
        damaged.append("plan.json")
    try:
        run.read_json("environment.json")
    except RunError:
        damaged.append("environment.json")
    try:
        parse_suite((run.folder / "suite.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, InvalidSuiteError):
        damaged.append("suite.yaml")
    return damaged


def run_plan(plan: Plan, run: Run, options: RunOptions, command: str) -> Outcome:
    """Do every cell that is not done, then build the summary unless it is up to date.

    Failed and skipped cells are tried again.

    Raises
    ------
    RunError
        If another process works in the folder, or the scheduler cannot be reached.
    """
    cells = plan.only(options.only, latency=options.latency)
    n_notes = len(run.notes)
    pending = _pending(run, cells, repair=False)  # another process may hold the folder
    if not pending and (known := _current_summary(run)) is not None:
        run.mark_latest()
        return Outcome(run, known, 0)
    with run.locked():
        del run.notes[n_notes:]  # what is damaged is found again, and done again, now that nobody else works here
        _discard_damaged(run, _pending(run, cells))
        pending = _pending(run, cells)
        check_components(plan, pending)
        _bring_saved(plan, run)
        with RunProgress(plan, pending, options.jobs) as progress:
            for note in (*run.notes, *detector_notes(plan, pending)):
                progress.say(f"note: {note}")
            workers = Workers(options.jobs, options.scheduler, plan.profile.cell_seconds)
            for part in run_jobs(run, cells, workers, lambda cell: estimate_cell(cell, plan)):
                progress.done(part)
            timed = [cell for cell in pending if cell.kind == "latency"]
            for part in time_cells(plan, run, timed, guard=options.guard, say=progress.say):
                progress.done(part)
        from ferbench.benchmarks.summary import write_summary

        stamp = run.stamp()
        summary = write_summary(run, plan, command)
        write_atomically(run.folder / _DERIVED, f"{stamp} {file_digest(run.folder / _TABLE)[:16]}".encode())
        run.mark_latest()
    return Outcome(run, summary, len(pending))


def _current_summary(run: Run) -> Summary | None:
    """The stored summary, where it and the table beside it are whole and made of the parts that are there."""
    known = run.folder / _DERIVED
    if not known.is_file() or not (run.folder / _TABLE).is_file():
        return None
    # Merged runs, and those of before, have the stamp alone.
    stamp, _, table = known.read_text(encoding="utf-8", errors="replace").partition(" ")
    if stamp != run.stamp() or (table and table != file_digest(run.folder / _TABLE)[:16]):
        return None
    try:
        return run.summary()
    except OtherVersionError:
        raise
    except RunError:
        return None


def _discard_damaged(run: Run, pending: Sequence[Cell]) -> None:
    """Have fits done again whose saved pipeline is damaged and still needed, and what was scored with it."""
    parts = run.parts()
    for made in sorted({str(cell.options.get("fit") or cell.options.get("saved")) for cell in pending} - {"None"}):
        folder = run.folder / "artefacts" / made
        if not folder.is_dir():
            continue  # not made yet
        try:
            check_files(folder, read_record(folder))
        except (ModelFileError, FileNotFoundError) as error:
            shutil.rmtree(folder)
            if made in parts:
                run.discard(made, f"damaged pipeline of {parts[made].cell.row}, which is fitted again: {error}")
            for cell_id, part in parts.items():
                if part.cell.kind in SCORED and made in (part.cell.options.get("fit"), part.cell.options.get("saved")):
                    run.discard(cell_id, f"scores of {part.cell.row} are made again with it")


def _pending(run: Run, cells: Iterable[Cell], *, repair: bool = True) -> list[Cell]:
    parts = run.parts(repair=repair)
    return [cell for cell in cells if cell.id not in parts or parts[cell.id].status != "ok"]


def check_components(plan: Plan, cells: Iterable[Cell]) -> None:
    """Make each component of some cells once: a wrong parameter is to be said before hours of work, with its line.

    A package that is not installed is no mistake of the suite: its rows are skipped and say what is missing.

    Raises
    ------
    InvalidSuiteError
        If a detector, features or a classifier other than a network has no such parameter, or not with such a value.
    """
    rows: dict[tuple[str, str], str] = {}  # of each component, the first row that has it
    for cell in cells:
        rows.setdefault(("detectors", cell.pipeline.detector), cell.row)
        if "saved" in cell.options:
            continue  # what is saved was made already
        if cell.pipeline.features is not None:
            rows.setdefault(("features", cell.pipeline.features), cell.row)
        # Networks are checked by the worker that trains them, which is the first thing that workers do: TensorFlow
        # takes seconds to import, and need never enter this process.
        if not is_network(parse_spec(cell.pipeline.classifier)):
            rows.setdefault(("classifiers", cell.pipeline.classifier), cell.row)
            # What a grid adds, the same: a misspelt parameter must not wait for the fit.
            for candidate in candidates(cell.pipeline.classifier, cell.options.get("grid", {})):
                rows.setdefault(("classifiers", str(candidate)), cell.row)
    for (group, spec), row in rows.items():
        check_component(group, spec, plan.suite.place(row.split("@")[0]))


def _bring_saved(plan: Plan, run: Run) -> None:
    """Copy the saved pipelines of a plan into the run: it stays whole whatever becomes of their folders.

    Those of rows that are not asked for too: without them the plan could not be read again, as by a merge.
    """
    for cell in plan.cells:
        if "saved" in cell.options and not run.artefact(cell).is_dir():
            run.save_artefact(cell, plan.saved[cell.row].copy_to)
