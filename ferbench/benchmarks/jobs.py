"""Fits and quality cells of a run: which work is left, and who does it: this process, others beside it, or dask."""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ferbench.benchmarks.apart import run_apart
from ferbench.benchmarks.records import SCORED, Cell, CellError, Part
from ferbench.benchmarks.store import SCRATCH, Run
from ferbench.benchmarks.work import Job, do_cells, store_lost
from ferbench.errors import MissingDependencyError, RunError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Workers", "jobs_of", "run_jobs"]

_LOGS = "logs"  # what worker processes print on stderr
_BEGUN = f"{SCRATCH}/begun"  # a file for each job at work, so that it is known what a dead worker was doing
_SHARED_VARIABLES = ("FERBENCH_DATA", "FERBENCH_CACHE")
_WAIT_FOR_WORKERS_S = 10
_POLL_S, _LOOK_FOR_WORKERS_S, _MISS_WORKERS_S = 0.02, 5, 60  # a nanny starts its worker again within seconds
_START_WORKERS = "start workers with 'dask worker ADDRESS --nthreads 1'"


@dataclass(frozen=True)
class Workers:
    """Who fits and scores.

    Attributes
    ----------
    jobs : int
        Processes beside this one; 1 works in this process.
    scheduler : str or None
        Address of a dask scheduler whose workers do it instead.
    cell_seconds : float or None
        Most seconds for one cell, each job then being done in a process of its own that can be killed.
    """

    jobs: int = 1
    scheduler: str | None = None
    cell_seconds: float | None = None


def run_jobs(run: Run, cells: Sequence[Cell], workers: Workers) -> Iterator[Part]:
    """Do the fits and quality cells that are left, and hand each part on when it is stored.

    Raises
    ------
    RunError
        If the scheduler cannot be reached, has no workers, or has one that does not see the run's folder.
    MissingDependencyError
        If there is a scheduler and no ``distributed``.
    """
    jobs = [replace(job, cell_seconds=workers.cell_seconds) for job in jobs_of(run, cells)]
    if not jobs:
        return
    if workers.scheduler is not None:
        yield from _on_dask(run, jobs, workers.scheduler)
    elif workers.jobs > 1:
        yield from _in_processes(run, [_logged(job) for job in jobs], workers.jobs)
    else:
        for job in jobs:
            yield from do_cells(job) if job.cell_seconds is None else run_apart(_logged(job))


def jobs_of(run: Run, cells: Sequence[Cell]) -> list[Job]:
    """Work that is left, one job per fit: networks first, since they take longest, and different detectors early.

    Jobs that share a detector would wait for the first one's detections side by side; apart, each has its own work.
    """
    parts = run.parts()
    done = {cell_id for cell_id, part in parts.items() if part.status == "ok"}
    scored: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.kind in SCORED and cell.id not in done:
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
    jobs.sort(key=lambda job: (job.fit is None, _first(job).pipeline.features is not None))
    first = {_detections_of(job): job for job in reversed(jobs)}
    return sorted(jobs, key=lambda job: first[_detections_of(job)] is not job)


def _first(job: Job) -> Cell:
    return job.quality[0] if job.fit is None else job.fit


def _detections_of(job: Job) -> tuple[str, str]:
    return _first(job).dataset, _first(job).pipeline.detector


def _logged(job: Job) -> Job:
    """The job with its worker's stderr in a file of the run."""
    return replace(job, log=job.run / _LOGS)


def _do(job: Job) -> list[Part]:
    """What a worker does with a job."""
    return list(do_cells(job)) if job.cell_seconds is None else run_apart(job)


# Processes of this machine -------------------------------------------------------------------------------------------


def _in_processes(run: Run, jobs: Sequence[Job], n: int) -> Iterator[Part]:
    """Jobs on ``n`` processes. Those at work when one dies are done again, apart; the others go on side by side."""
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    left = {_first(job).id: job for job in jobs}
    while left:
        shutil.rmtree(run.folder / _BEGUN, ignore_errors=True)
        try:
            for key, parts in _side_by_side(list(left.values()), n):
                del left[key]
                yield from parts
        except TerminatedWorkerError:
            # Killed for its memory, by a crash in native code, or by somebody. joblib ends the other workers too, and
            # cannot say which job it was: one of those at work, each of which now gets a process of its own.
            begun = {path.name for path in (run.folder / _BEGUN).glob("*")}
            for key in (begun & set(left)) or set(left):
                yield from run_apart(left.pop(key))
    # Idle workers would share the machine with the cells that are timed.
    get_reusable_executor().shutdown(wait=True)


def _side_by_side(jobs: Sequence[Job], n: int) -> Iterator[tuple[str, list[Part]]]:
    from joblib import Parallel, delayed, parallel_config

    threads = max(1, (os.cpu_count() or 1) // n)
    with parallel_config(backend="loky", inner_max_num_threads=threads):
        yield from Parallel(n_jobs=n, batch_size=1, return_as="generator_unordered")(
            delayed(_do_and_sign)(job) for job in jobs
        )


def _do_and_sign(job: Job) -> tuple[str, list[Part]]:
    """Do a job, with a file that tells that it is at work; the job's first cell tells it from the others."""
    key = _first(job).id
    sign = job.run / _BEGUN / key
    sign.parent.mkdir(parents=True, exist_ok=True)
    sign.touch()
    parts = _do(job)
    sign.unlink(missing_ok=True)
    return key, parts


# Workers of a dask scheduler -----------------------------------------------------------------------------------------


def _on_dask(run: Run, jobs: Sequence[Job], address: str) -> Iterator[Part]:
    """Jobs on dask workers. The scheduler gives a dead worker's job to another one; one that kills several fails."""
    from concurrent.futures import CancelledError

    with _connected(address) as client:
        from distributed import KilledWorker

        futures = dict(zip(client.map(_do, jobs, pure=False), jobs, strict=True))
        for future in _as_completed(client, list(futures), address):
            job = futures.pop(future)
            try:
                parts = future.result()
            except KilledWorker as error:
                reason = CellError(type="WorkerDied", message=f"{error.allowed_failures + 1} workers died of it")
                parts = store_lost(run, job, reason)
            except CancelledError as error:
                raise RunError(
                    "the scheduler went away", got=address, fix="start it again and repeat the command: it goes on"
                ) from error
            future.release()
            yield from parts


def _as_completed(client: Client, futures: list[Any], address: str) -> Iterator[Any]:
    """Futures as they end. dask would wait for ever for workers to come back; here it is said when none is left."""
    from distributed import as_completed

    completed: Any = as_completed(futures)  # type: ignore[no-untyped-call]
    looked = seen = time.monotonic()
    while not completed.is_empty():
        yield from completed.next_batch(block=False)
        time.sleep(_POLL_S)
        now = time.monotonic()
        if now - looked > _LOOK_FOR_WORKERS_S:
            looked, seen = now, now if client.nthreads() else seen  # type: ignore[no-untyped-call]
        if now - seen > _MISS_WORKERS_S:
            raise RunError(
                "no worker is left", got=address, fix=f"{_START_WORKERS} and repeat the command: what was done is kept"
            )


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise MissingDependencyError("distributed", "dask", "--scheduler") from error
    try:
        client: Any = Client(address, timeout="10s")  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise RunError(
            "cannot reach the scheduler",
            got=address,
            expected="an address such as tcp://host:8786",
            fix=f"start one with 'dask scheduler' and {_START_WORKERS.removeprefix('start ')}",
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_WAIT_FOR_WORKERS_S)
        except TimeoutError as error:
            raise RunError("the scheduler has no workers", got=address, fix=_START_WORKERS) from error
        yield client
