"""What a worker does with a job: a fit and what is scored with it, stored cell by cell.

:func:`do_cells` stores each part as soon as it is done, so that a killed run loses only the cell that was running, and
it answers with parts, never with an exception of a component.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferbench.benchmarks import quality
from ferbench.benchmarks.cells import Cell, CellError, Part, Status
from ferbench.benchmarks.disk import check_disk, utc_now
from ferbench.benchmarks.store import Run
from ferbench.errors import (
    DeviceError,
    InvalidSuiteError,
    MissingDependencyError,
    ParameterError,
    RunError,
    ShapeError,
    UnknownNameError,
)
from ferbench.pipelines.crops import check_step
from ferbench.registry import create

if TYPE_CHECKING:
    import pandas as pd

    from ferbench.pipelines import Pipeline

__all__ = ["Job", "check_component", "do_cells", "execute", "store_lost"]


@dataclass(frozen=True)
class Job:
    """A pipeline and what is scored with it: the unit that travels to a worker.

    Attributes
    ----------
    run : Path
        The run folder, on a disk that the worker sees.
    fit : Cell or None
        How the pipeline is made; None where it came trained.
    quality : tuple of Cell
        Quality cells of this pipeline that are not done yet.
    is_fitted : bool
        The artefact is there already.
    environment : dict
        Variables that the worker must share with the planner, such as ``FERBENCH_DATA``.
    log : Path or None
        Folder for what the worker prints on stderr; None leaves stderr alone.
    cell_seconds : float or None
        Most seconds for one cell.
    """

    run: Path
    fit: Cell | None
    quality: tuple[Cell, ...]
    is_fitted: bool
    environment: dict[str, str] = field(default_factory=dict)
    log: Path | None = None
    cell_seconds: float | None = None

    @property
    def cells(self) -> tuple[Cell, ...]:
        """What is to be done, in order."""
        return self.quality if self.fit is None or self.is_fitted else (self.fit, *self.quality)


def _redirect_stderr(folder: Path) -> None:
    """Send what libraries print in this worker to a file: TensorFlow's start-up lines would bury the progress.

    The file descriptor itself moves, since native code does not ask Python; a crash leaves its trace there too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / f"worker-{os.getpid()}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def check_component(group: str, spec: str, place: str) -> None:
    """Make a component once, so that a wrong parameter is told before work begins, with its place in the suite.

    Raises
    ------
    InvalidSuiteError
        If it has no such parameter, or not with such a value.
    """
    try:
        check_step(create(group, spec))
    except MissingDependencyError:
        return  # its cells will be skipped, and say what is missing
    except (UnknownNameError, ParameterError, ShapeError) as error:
        raise InvalidSuiteError(f"{place}: {spec}: {error}") from error


def do_cells(job: Job) -> Iterator[Part]:
    """Fit if needed, score, store; one part for each cell, as soon as it is stored.

    Raises
    ------
    InvalidSuiteError
        If a network is given a wrong parameter.
    RunError
        If this machine does not see the run's folder.
    StorageError
        If a part cannot be stored.
    """
    if not (job.run / "plan.json").is_file():
        raise RunError(
            f"the worker on {platform.node()} does not see the folder of the run",
            got=f"nothing at {job.run}",
            fix="put --runs on a disk that every worker has under the same path, or run apart and use 'ferbench merge'",
        )
    os.environ.update(job.environment)
    if job.log is not None:
        _redirect_stderr(job.log)
    run = Run(job.run)
    # A worker that died may have had this job before: what it stored stands.
    done = [part for cell in job.cells if (part := run.part(cell.id)) is not None and part.status == "ok"]
    yield from done
    job = _left_of(job, {part.cell.id for part in done})
    fitted: list[Pipeline] = []
    if (fit := job.fit) is not None and not job.is_fitted:
        if fit.pipeline.features is None:
            check_component("classifiers", fit.pipeline.classifier, fit.row)
        part, _ = execute(fit, lambda: (quality.fit(fit, run, fitted), None))
        run.write_part(part)
        yield part
        if part.status != "ok" and part.error is not None:
            yield from _store_scores_lost(run, job, part.status, part.error)
            return
    for cell in job.quality:
        part, table = execute(cell, lambda cell=cell: quality.score(cell, run, fitted))  # type: ignore[misc]
        run.write_part(part, table)
        yield part


def _left_of(job: Job, done: set[str]) -> Job:
    is_fitted = job.is_fitted or (job.fit is not None and job.fit.id in done)
    return replace(job, is_fitted=is_fitted, quality=tuple(cell for cell in job.quality if cell.id not in done))


def store_lost(run: Run, job: Job, error: CellError) -> list[Part]:
    """Store that nothing came of a job: its fit failed and so it could not be scored, or its scores failed."""
    if job.fit is None or job.is_fitted:
        parts = [Part(cell=c, status="failed", error=error, started=utc_now(), seconds=0.0) for c in job.quality]
        for part in parts:
            run.write_part(part)
        return parts
    fit = Part(cell=job.fit, status="failed", error=error, started=utc_now(), seconds=0.0)
    run.write_part(fit)
    return [fit, *_store_scores_lost(run, job, "failed", error)]


def _store_scores_lost(run: Run, job: Job, status: Status, error: CellError) -> Iterator[Part]:
    reason = CellError(type=error.type, message=f"the fit did not succeed: {error.message}")
    for cell in job.quality:
        part = Part(cell=cell, status=status, error=reason, started=utc_now(), seconds=0.0)
        run.write_part(part)
        yield part


def execute(
    cell: Cell, work: Callable[[], tuple[dict[str, Any], pd.DataFrame | None]]
) -> tuple[Part, pd.DataFrame | None]:
    """Do a cell's work; whatever a component raises becomes the cell's outcome.

    A missing package or device gives a skipped cell, everything else a failed one.

    Raises
    ------
    StorageError
        If the disk is full, read-only or broken, which is no outcome of a cell.
    """
    started, clock = utc_now(), time.perf_counter()
    status: Status
    try:
        metrics, table = work()
    except (MissingDependencyError, DeviceError) as error:
        status, problem = "skipped", error
    except Exception as error:  # noqa: BLE001 - a failed cell is a row with its error, whatever its component raised
        check_disk(error)
        status, problem = "failed", error  # type: ignore[assignment]
    else:
        seconds = time.perf_counter() - clock
        return Part(cell=cell, status="ok", started=started, seconds=seconds, metrics=metrics), table
    reason = CellError(type=type(problem).__name__, message=str(problem) or "no message")
    return Part(cell=cell, status=status, error=reason, started=started, seconds=time.perf_counter() - clock), None
