"""Fits and quality cells of a run: which work is left, and who does it: this process, others beside it, or dask."""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ferbench.benchmarks.apart import run_apart
from ferbench.benchmarks.cells import SCORED, Cell, CellError, Part
from ferbench.benchmarks.store import SCRATCH, Run
from ferbench.benchmarks.threads import available_cores, thread_environment
from ferbench.benchmarks.work import Job, do_cells, store_lost
from ferbench.errors import MissingDependencyError, RunError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Workers", "jobs_of", "run_jobs"]

_LOGS = "logs"  # what worker processes print on stderr
_BEGUN = f"{SCRATCH}/begun"  # a file for each job at work, so that it is known what a dead worker was doing
_SHARED_VARIABLES = ("FERBENCH_DATA", "FERBENCH_CACHE")
_WAIT_FOR_WORKERS_S = 30  # for those that were started together with the run
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


def run_jobs(
    run: Run, cells: Sequence[Cell], workers: Workers, seconds: Callable[[Cell], float] | None = None
) -> Iterator[Part]:
    """Do the fits and quality cells that are left, and hand each part on when it is stored.

    Parameters
    ----------
    run : Run
    cells : sequence of Cell
    workers : Workers
    seconds : callable, optional
        How long a cell will take, roughly: the longest jobs are begun first.

    Raises
    ------
    RunError
        If the scheduler cannot be reached, has no workers, or has one that does not see the run's folder.
    MissingDependencyError
        If there is a scheduler and no ``distributed``.
    """
    jobs = [replace(job, cell_seconds=workers.cell_seconds) for job in jobs_of(run, cells, seconds)]
    if not jobs:
        return
    if workers.scheduler is not None:
        yield from _on_dask(run, jobs, workers.scheduler)
    elif workers.jobs > 1:
        threads = max(1, available_cores() // workers.jobs)
        # For what each job imports, and for a process that it gets to itself.
        limits = thread_environment(threads)
        limited = [replace(_logged(job), environment=limits | job.environment) for job in jobs]
        yield from _in_processes(run, limited, workers.jobs, threads)
    else:
        for job in jobs:
            yield from do_cells(job) if job.cell_seconds is None else run_apart(_logged(job))


def jobs_of(run: Run, cells: Sequence[Cell], seconds: Callable[[Cell], float] | None = None) -> list[Job]:
    """Work that is left, one job per fit: the longest first, lest one of them is left over at the end.

    Before those come the first job of each detector and the first of each kind of features: jobs that share them
    would wait side by side until the first of them has them; apart, each has its own work.
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
    cost = seconds or (lambda cell: float(cell.pipeline.features is None))
    jobs.sort(key=lambda job: -sum(map(cost, job.cells)))
    early = dict.fromkeys(_firsts(jobs, _detections_of) + _firsts(jobs, _features_of))
    return [jobs[i] for i in early] + [job for i, job in enumerate(jobs) if i not in early]


def _firsts(jobs: Sequence[Job], what: Callable[[Job], object]) -> list[int]:
    """Positions of the first job of each kind."""
    return list({what(job): i for i, job in reversed(list(enumerate(jobs)))}.values())[::-1]


def _first(job: Job) -> Cell:
    return job.quality[0] if job.fit is None else job.fit


def _detections_of(job: Job) -> tuple[str, str]:
    return _first(job).dataset, _first(job).pipeline.detector


def _features_of(job: Job) -> tuple[str, str, str | None]:
    return *_detections_of(job), _first(job).pipeline.features


def _logged(job: Job) -> Job:
    """The job with its worker's stderr in a file of the run."""
    return replace(job, log=job.run / _LOGS)


def _do(job: Job) -> list[Part]:
    """What a worker does with a job."""
    return list(do_cells(job)) if job.cell_seconds is None else run_apart(job)


# Processes of this machine -------------------------------------------------------------------------------------------


def _in_processes(run: Run, jobs: Sequence[Job], n: int, threads: int) -> Iterator[Part]:
    """Jobs on ``n`` processes. Those at work when one dies are done again, apart; the others go on side by side."""
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    left = {_first(job).id: job for job in jobs}
    while left:
        shutil.rmtree(run.folder / _BEGUN, ignore_errors=True)
        try:
            for key, parts in _side_by_side(list(left.values()), n, threads):
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


def _side_by_side(jobs: Sequence[Job], n: int, threads: int) -> Iterator[tuple[str, list[Part]]]:
    from joblib import Parallel, delayed, parallel_config

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
    """Jobs on dask workers. The scheduler gives a dead worker's job to another one; one that kills several is done
    once more in a process of its own beside a worker, which then costs the cell at work alone."""
    from concurrent.futures import CancelledError

    with _connected(address) as client:
        from distributed import KilledWorker, as_completed

        at_work: dict[Any, Job] = {client.submit(_do, job, pure=False): job for job in jobs}
        done: Any = as_completed(list(at_work))  # type: ignore[no-untyped-call]
        apart: set[Any] = set()
        workers = _Workers(client, address)
        for future in _as_they_end(workers, done):
            job = at_work.pop(future)
            try:
                yield from _result(workers, future)
            except KilledWorker as error:
                if future in apart:
                    reason = CellError(type="WorkerDied", message=f"{error.allowed_failures + 1} workers died of it")
                    yield from store_lost(run, job, reason)
                    continue
                again: Any = client.submit(run_apart, job, pure=False)
                at_work[again] = job
                apart.add(again)
                done.add(again)
            except CancelledError as error:
                raise RunError(
                    "the scheduler went away", got=address, fix="start it again and repeat the command: it goes on"
                ) from error
            future.release()


class _Workers:
    """Says when none is left: dask would wait for ever for them to come back."""

    def __init__(self, client: Client, address: str) -> None:
        self._client, self._address = client, address
        self._looked = self._seen = time.monotonic()

    def expect(self) -> None:
        """Raise RunError if there has been none for a while; ask for them now and then."""
        now = time.monotonic()
        if now - self._looked > _LOOK_FOR_WORKERS_S:
            self._looked = now
            if self._client.nthreads():  # type: ignore[no-untyped-call]
                self._seen = now
        if now - self._seen > _MISS_WORKERS_S:
            raise RunError(
                "no worker is left",
                got=self._address,
                fix=f"{_START_WORKERS} and repeat the command: what was done is kept",
            )


def _as_they_end(workers: _Workers, completed: Any) -> Iterator[Any]:
    while not completed.is_empty():
        yield from completed.next_batch(block=False)
        time.sleep(_POLL_S)
        workers.expect()


def _result(workers: _Workers, future: Any) -> list[Part]:
    """What a job gave. A worker that died since takes it along: dask has it done again, by those that are left."""
    while True:
        try:
            parts: list[Part] = future.result(timeout=_LOOK_FOR_WORKERS_S)
        except TimeoutError:
            if future.status == "error":  # the job's own
                raise
            workers.expect()
        else:
            return parts


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
