"""Running a plan: fits and quality cells in parallel, then latency cells one at a time, everything resumable."""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ferbench.benchmarks.environment import capture_environment, machine_fingerprint
from ferbench.benchmarks.facts import dataset_facts
from ferbench.benchmarks.frames import write_frames
from ferbench.benchmarks.grid import candidates
from ferbench.benchmarks.latency import frames_needed, measure_latency
from ferbench.benchmarks.plan import Plan, expand, needed_splits
from ferbench.benchmarks.pretrained import SavedPipeline, read_saved
from ferbench.benchmarks.progress import RunProgress
from ferbench.benchmarks.quality import Job, check_component, execute, run_job
from ferbench.benchmarks.records import SCHEMA, Cell, CellError, Part, Summary
from ferbench.benchmarks.store import Run, utc_now, write_atomically
from ferbench.benchmarks.suite import Suite
from ferbench.errors import InvalidSuiteError, MissingDependencyError, ModelFileError, RunError
from ferbench.pipelines.spec import is_network
from ferbench.registry import parse_spec

__all__ = ["Outcome", "RunOptions", "make_plan", "open_run", "run_plan"]

_LOGS = "logs"  # what worker processes print on stderr
_SHARED_VARIABLES = ("FERBENCH_DATA", "FERBENCH_CACHE")


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
    """

    runs: Path = Path("runs")
    jobs: int = 1
    scheduler: str | None = None
    new: bool = False
    only: tuple[str, ...] = ()
    latency: bool = True


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
    suite.profile(profile)  # a wrong name is said before a dataset is read
    saved = {
        entry.id: _read_saved(suite, entry.id, entry.saved) for entry in suite.pipelines if entry.saved is not None
    }
    facts = {entry.name: dataset_facts(entry.name, needed_splits(suite, entry)) for entry in suite.datasets}
    return expand(suite, profile, facts, machine=machine_fingerprint(), saved=saved)


def _read_saved(suite: Suite, pipeline: str, name: str) -> SavedPipeline:
    try:
        return read_saved(name, suite.folder)
    except ModelFileError as error:
        raise InvalidSuiteError(f"{suite.place(pipeline)}: {error}") from error


def open_run(plan: Plan, options: RunOptions, suite_text: str) -> Run:
    """The newest run of this plan, or a new one."""
    found = None if options.new else Run.find(options.runs, plan.digest)
    if found is not None:
        return found
    frozen = {
        "suite.yaml": suite_text.encode(),
        "environment.json": json.dumps(capture_environment(), indent=1, default=str).encode(),
        # Last, since its presence is what makes the folder a run.
        "plan.json": json.dumps(_plan_record(plan), indent=1).encode(),
    }
    return Run.create(options.runs, plan.suite.name, plan.digest, frozen)


def _plan_record(plan: Plan) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "suite": plan.suite.model_dump(mode="json", by_alias=True),
        "profile": plan.profile_name,
        "machine": plan.machine,
        "datasets": {spec: facts.model_dump(mode="json") for spec, facts in plan.facts.items()},
        "saved": {row: saved.record().model_dump(mode="json") for row, saved in plan.saved.items()},
        "cells": [{"id": cell.id, **cell.model_dump(mode="json")} for cell in plan.cells],
    }


def run_plan(plan: Plan, run: Run, options: RunOptions, command: str) -> Outcome:
    """Do every cell that is not done, then build the summary unless it is up to date.

    Failed and skipped cells are tried again.

    Raises
    ------
    RunError
        If another process works in the folder, or the scheduler cannot be reached.
    """
    cells = plan.only(options.only, latency=options.latency)
    pending = _pending(run, cells)
    if not pending and _is_current(run):
        run.mark_latest()
        return Outcome(run, run.summary(), 0)
    with run.locked():
        pending = _pending(run, cells)
        _check_components(pending)
        _bring_saved(plan, run, pending)
        with RunProgress(plan, pending, options.jobs) as progress:
            for note in run.notes:
                progress.say(f"note: {note}")
            _say_bypassed(plan, pending, progress.say)
            for part in _run_jobs(run, cells, options):
                progress.done(part)
            for part in _run_latency(plan, run, [cell for cell in pending if cell.kind == "latency"]):
                progress.done(part)
        from ferbench.benchmarks.summary import write_summary

        stamp = run.stamp()
        summary = write_summary(run, plan, command)
        write_atomically(run.folder / ".derived", stamp.encode())
        run.mark_latest()
    return Outcome(run, summary, len(pending))


def _is_current(run: Run) -> bool:
    stamp = run.folder / ".derived"
    return (
        stamp.is_file() and (run.folder / "summary.json").is_file() and stamp.read_text(encoding="utf-8") == run.stamp()
    )


def _pending(run: Run, cells: Iterable[Cell]) -> list[Cell]:
    parts = run.parts()
    return [cell for cell in cells if cell.id not in parts or parts[cell.id].status != "ok"]


def _check_components(cells: Sequence[Cell]) -> None:
    """Make each component once: a wrong parameter is the suite's mistake, to be said before hours of work.

    A package that is not installed is no mistake of the suite: its rows are skipped and say what is missing.
    """
    specs = {("detectors", cell.pipeline.detector) for cell in cells}
    made = [cell for cell in cells if "saved" not in cell.options]  # what is saved was made already
    specs |= {("features", cell.pipeline.features) for cell in made if cell.pipeline.features is not None}
    # Networks are checked by the worker that trains them, which is the first thing that workers do: TensorFlow takes
    # seconds to import, and need never enter this process.
    specs |= {("classifiers", c.pipeline.classifier) for c in made if not is_network(parse_spec(c.pipeline.classifier))}
    # What a grid adds, the same: a misspelt parameter must not wait for the fit.
    specs |= {
        ("classifiers", str(spec))
        for cell in made
        if "grid" in cell.options and not is_network(parse_spec(cell.pipeline.classifier))
        for spec in candidates(cell.pipeline.classifier, cell.options["grid"])
    }
    for group, spec in sorted(specs):
        check_component(group, spec)


def _bring_saved(plan: Plan, run: Run, cells: Sequence[Cell]) -> None:
    """Copy the saved pipelines that cells need into the run: it stays whole whatever becomes of their folders."""
    for cell in cells:
        if "saved" in cell.options and not run.artefact(cell).is_dir():
            run.save_artefact(cell, plan.saved[cell.row].copy_to)


def _say_bypassed(plan: Plan, cells: Sequence[Cell], say: Callable[[str], None]) -> None:
    used = {cell.dataset for cell in cells}
    for spec, facts in plan.facts.items():
        detectors = {cell.pipeline.detector for cell in cells if cell.dataset == spec} - {"whole-image"}
        if spec in used and facts.kind == "crops" and detectors:
            say(f"note: {spec} holds face crops: the detector is bypassed ({', '.join(sorted(detectors))})")


# Fits and quality cells ----------------------------------------------------------------------------------------------


def _jobs_of(run: Run, cells: Sequence[Cell]) -> list[Job]:
    """Work that is left, one job per fit: networks first, since they take longest, and different detectors early.

    Jobs that share a detector would wait for the first one's detections side by side; apart, each has its own work.
    """
    parts = run.parts()
    done = {cell_id for cell_id, part in parts.items() if part.status == "ok"}
    scored: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.kind == "quality" and cell.id not in done:
            scored[str(cell.options.get("fit") or cell.options.get("saved"))].append(cell)
    variables = {name: os.environ[name] for name in _SHARED_VARIABLES if name in os.environ}
    jobs = [
        Job(run.folder.resolve(), cell, tuple(scored[cell.id]), cell.id in done, variables)
        for cell in cells
        if cell.kind == "fit" and (cell.id not in done or scored[cell.id])
    ]
    fits = {cell.id for cell in cells if cell.kind == "fit"}
    jobs += [
        Job(run.folder.resolve(), None, tuple(own), True, variables) for key, own in scored.items() if key not in fits
    ]
    jobs.sort(key=lambda job: (job.fit is None, _cell_of(job).pipeline.features is not None))
    first = {_detections_of(job): job for job in reversed(jobs)}
    return sorted(jobs, key=lambda job: first[_detections_of(job)] is not job)


def _cell_of(job: Job) -> Cell:
    return job.quality[0] if job.fit is None else job.fit


def _detections_of(job: Job) -> tuple[str, str]:
    return _cell_of(job).dataset, _cell_of(job).pipeline.detector


def _run_jobs(run: Run, cells: Sequence[Cell], options: RunOptions) -> Iterator[Part]:
    jobs = _jobs_of(run, cells)
    if not jobs:
        return
    if options.scheduler is None and options.jobs == 1:
        for job in jobs:
            yield from run_job(job)
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    reported: set[str] = set()
    with _backend(options):
        try:
            results = Parallel(n_jobs=options.jobs, batch_size=1, return_as="generator_unordered")(
                delayed(run_job)(job if options.scheduler else _logged(job)) for job in jobs
            )
            for parts in results:
                reported.update(part.cell.id for part in parts)
                yield from parts
        except TerminatedWorkerError:
            # A worker was killed (memory, a crash in native code) and joblib cannot say which cell did it.
            yield from _one_by_one(run, cells, reported)
    if options.scheduler is None:
        # Idle workers would share the machine with the cells that are timed.
        get_reusable_executor().shutdown(wait=True)


def _logged(job: Job) -> Job:
    """The job with its worker's stderr in a file of the run."""
    return replace(job, log=job.run / _LOGS)


def _one_by_one(run: Run, cells: Sequence[Cell], reported: set[str]) -> Iterator[Part]:
    """The work left after a worker died, each job in a process of its own: the one that dies again is a failed row."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    for job in _jobs_of(run, cells):
        if _cell_of(job).id in reported:
            continue
        try:
            # Two workers for one job: with one, joblib would work in this process.
            (parts,) = Parallel(n_jobs=2, backend="loky")([delayed(run_job)(_logged(job))])
        except TerminatedWorkerError as error:
            said = f"{str(error).splitlines()[0]} See {run.folder / _LOGS}."
            reason = CellError(type="WorkerDied", message=said)
            lost = [*job.quality] if job.is_fitted or job.fit is None else [job.fit, *job.quality]
            parts = [Part(cell=cell, status="failed", error=reason, started=utc_now(), seconds=0.0) for cell in lost]
            for part in parts:
                run.write_part(part)
        yield from parts


@contextmanager
def _backend(options: RunOptions) -> Iterator[None]:
    """Joblib's backend: processes of this machine, or the workers of a dask scheduler."""
    from joblib import parallel_config

    if options.scheduler is None:
        threads = max(1, (os.cpu_count() or 1) // options.jobs)
        with parallel_config(backend="loky", inner_max_num_threads=threads):
            yield
        return
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise MissingDependencyError("distributed", "dask", "--scheduler") from error
    try:
        client = Client(options.scheduler, timeout="10s")  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise RunError(
            "cannot reach the scheduler",
            got=options.scheduler,
            expected="an address such as tcp://host:8786",
            fix="start one with 'dask scheduler' and workers with 'dask worker ADDRESS --nthreads 1'",
        ) from error
    with client, parallel_config(backend="dask"):
        yield


# Latency cells -------------------------------------------------------------------------------------------------------


def _run_latency(plan: Plan, run: Run, cells: Sequence[Cell]) -> Iterator[Part]:
    """Time cells serially, round by round, the rows of each round in a seeded random order."""
    if not cells:
        return
    parts = run.parts()
    scratch = run.folder / ".scratch"
    frames = {spec: max(frames_needed(c) for c in cells if c.dataset == spec) for spec in {c.dataset for c in cells}}
    for cell in _interleaved(plan, cells):
        fit = parts.get(str(cell.options.get("fit")))
        if "saved" not in cell.options and (fit is None or fit.status != "ok"):
            why = "its pipeline was not fitted" if fit is None or fit.error is None else fit.error.message
            error = CellError(type=fit.error.type if fit and fit.error else "NotFitted", message=why)
            status = fit.status if fit is not None else "failed"
            part = Part(cell=cell, status=status, error=error, started=utc_now(), seconds=0.0)
            run.write_part(part)
        else:
            part, table = execute(cell, lambda cell=cell: _time(cell, run, scratch, frames[cell.dataset]))  # type: ignore[misc]
            run.write_part(part, table)
        yield part
    shutil.rmtree(scratch, ignore_errors=True)


def _interleaved(plan: Plan, cells: Sequence[Cell]) -> list[Cell]:
    ordered = []
    for number in sorted({cell.round or 0 for cell in cells}):
        mine = [cell for cell in cells if (cell.round or 0) == number]
        order = np.random.default_rng([plan.suite.seed, number]).permutation(len(mine))
        ordered += [mine[i] for i in order]
    return ordered


def _time(cell: Cell, run: Run, scratch: Path, n_frames: int) -> tuple[dict[str, Any], Any]:
    from ferbench.benchmarks.views import fold_index, load_view

    samples = load_view(cell.dataset, cell.revision, cell.eval_split, cell.limit, cell.seed)
    index = fold_index(cell)
    frames = write_frames(samples if index is None else samples.subset(index), scratch, n=n_frames, seed=cell.seed)
    return measure_latency(cell, run.artefact(cell), frames, scratch=scratch)
