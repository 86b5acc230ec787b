"""Fits and quality cells of a run: which work is left, and who does it: this process, others beside it, or dask."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ferbench.benchmarks.quality import Job, run_job
from ferbench.benchmarks.records import Cell, CellError, Part
from ferbench.benchmarks.store import Run, utc_now
from ferbench.errors import MissingDependencyError, RunError

__all__ = ["jobs_of", "run_jobs"]

_LOGS = "logs"  # what worker processes print on stderr
_SHARED_VARIABLES = ("FERBENCH_DATA", "FERBENCH_CACHE")


def jobs_of(run: Run, cells: Sequence[Cell]) -> list[Job]:
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


def run_jobs(run: Run, cells: Sequence[Cell], *, jobs: int, scheduler: str | None) -> Iterator[Part]:
    todo = jobs_of(run, cells)
    if not todo:
        return
    if scheduler is None and jobs == 1:
        for job in todo:
            yield from run_job(job)
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    reported: set[str] = set()
    with _backend(jobs, scheduler):
        try:
            results = Parallel(n_jobs=jobs, batch_size=1, return_as="generator_unordered")(
                delayed(run_job)(job if scheduler else _logged(job)) for job in todo
            )
            for parts in results:
                reported.update(part.cell.id for part in parts)
                yield from parts
        except TerminatedWorkerError:
            # A worker was killed (memory, a crash in native code) and joblib cannot say which cell did it.
            yield from _one_by_one(run, cells, reported)
    if scheduler is None:
        # Idle workers would share the machine with the cells that are timed.
        get_reusable_executor().shutdown(wait=True)


def _logged(job: Job) -> Job:
    """The job with its worker's stderr in a file of the run."""
    return replace(job, log=job.run / _LOGS)


def _one_by_one(run: Run, cells: Sequence[Cell], reported: set[str]) -> Iterator[Part]:
    """The work left after a worker died, each job in a process of its own: the one that dies again is a failed row."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    for job in jobs_of(run, cells):
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
def _backend(jobs: int, scheduler: str | None) -> Iterator[None]:
    """Joblib's backend: processes of this machine, or the workers of a dask scheduler."""
    from joblib import parallel_config

    if scheduler is None:
        threads = max(1, (os.cpu_count() or 1) // jobs)
        with parallel_config(backend="loky", inner_max_num_threads=threads):
            yield
        return
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise MissingDependencyError("distributed", "dask", "--scheduler") from error
    try:
        client = Client(scheduler, timeout="10s")  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise RunError(
            "cannot reach the scheduler",
            got=scheduler,
            expected="an address such as tcp://host:8786",
            fix="start one with 'dask scheduler' and workers with 'dask worker ADDRESS --nthreads 1'",
        ) from error
    with client, parallel_config(backend="dask"):
        yield
