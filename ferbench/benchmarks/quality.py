"""Fit and quality cells: what a worker process does, from a dataset to stored predictions.

:func:`run_job` is the unit that joblib sends to a worker. It writes each part as soon as it is done, so that a killed
run loses only the cell that was running, and it answers with parts, never with an exception of a component.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.annotators import annotator_agreement
from ferbench.benchmarks.pretrained import read_saved
from ferbench.benchmarks.records import Cell, CellError, Part, Status
from ferbench.benchmarks.store import Run, utc_now
from ferbench.benchmarks.spoilt import classify_spoilt
from ferbench.benchmarks.transfer import known_labels_only
from ferbench.benchmarks.tuning import find_settings
from ferbench.benchmarks.views import View, crops_of
from ferbench.errors import (
    DeviceError,
    InvalidSuiteError,
    MissingDependencyError,
    NoFaceError,
    ParameterError,
    UnknownNameError,
)
from ferbench.registry import create

if TYPE_CHECKING:
    import pandas as pd

    from ferbench.pipelines import Pipeline

__all__ = ["Job", "check_component", "execute", "run_job"]

AGREEMENT_FACES = 512
"""Faces on which a runtime is compared with its reference: enough for flips of a percent to show."""


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
    """

    run: Path
    fit: Cell | None
    quality: tuple[Cell, ...]
    is_fitted: bool
    environment: dict[str, str] = field(default_factory=dict)
    log: Path | None = None


def _redirect_stderr(folder: Path) -> None:
    """Send what libraries print in this worker to a file: TensorFlow's start-up lines would bury the progress.

    The file descriptor itself moves, since native code does not ask Python; a crash leaves its trace there too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / f"worker-{os.getpid()}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def check_component(group: str, spec: str) -> None:
    """Make a component once, so that a wrong parameter is told before work begins.

    Raises
    ------
    InvalidSuiteError
        If it has no such parameter, or not with such a value.
    """
    try:
        create(group, spec)
    except MissingDependencyError:
        return  # its cells will be skipped, and say what is missing
    except (UnknownNameError, ParameterError) as error:
        raise InvalidSuiteError(f"{spec}: {error}") from error


def run_job(job: Job) -> list[Part]:
    """Fit if needed, score, store; one part for each cell that was done."""
    os.environ.update(job.environment)
    if job.log is not None:
        _redirect_stderr(job.log)
    run, parts = Run(job.run), []
    fitted: list[Pipeline] = []
    if (fit := job.fit) is not None and not job.is_fitted:
        if fit.pipeline.features is None:
            check_component("classifiers", fit.pipeline.classifier)
        part, _ = execute(fit, lambda: (_fit(fit, run, fitted), None))
        run.write_part(part)
        parts.append(part)
        if part.status != "ok" and part.error is not None:
            error = CellError(type=part.error.type, message=f"the fit did not succeed: {part.error.message}")
            for cell in job.quality:
                lost = Part(cell=cell, status=part.status, error=error, started=utc_now(), seconds=0.0)
                run.write_part(lost)
                parts.append(lost)
            return parts
    for cell in job.quality:
        part, table = execute(cell, lambda cell=cell: _score(cell, run, fitted))  # type: ignore[misc]
        run.write_part(part, table)
        parts.append(part)
    return parts


def execute(
    cell: Cell, work: Callable[[], tuple[dict[str, Any], pd.DataFrame | None]]
) -> tuple[Part, pd.DataFrame | None]:
    """Do a cell's work; whatever a component raises becomes the cell's outcome.

    A missing package or device gives a skipped cell, everything else a failed one.
    """
    started, clock = utc_now(), time.perf_counter()
    status: Status
    try:
        metrics, table = work()
    except (MissingDependencyError, DeviceError) as error:
        status, problem = "skipped", error
    except Exception as error:  # noqa: BLE001 - a failed cell is a row with its error, whatever its component raised
        status, problem = "failed", error  # type: ignore[assignment]
    else:
        seconds = time.perf_counter() - clock
        return Part(cell=cell, status="ok", started=started, seconds=seconds, metrics=metrics), table
    reason = CellError(type=type(problem).__name__, message=str(problem) or "no message")
    return Part(cell=cell, status=status, error=reason, started=started, seconds=time.perf_counter() - clock), None


def _fit(cell: Cell, run: Run, fitted: list[Pipeline]) -> dict[str, Any]:
    from ferbench.pipelines import make_pipeline

    pipeline = make_pipeline(cell.pipeline.id)
    found = find_settings(cell, pipeline, run.search_path(cell)) if "grid" in cell.options else None
    if found is not None:
        pipeline = make_pipeline(cell.pipeline.model_copy(update={"classifier": found.classifier}).id)
    view = View(cell, pipeline)
    samples = view.samples
    pipeline.label_space = samples.label_space
    at, sample_of_crop = crops_of(view)
    if not len(at):
        raise NoFaceError(f"{cell.pipeline.detector} found no face to learn from", got=f"{len(view.rows)} images")
    labels = samples.labels[sample_of_crop]
    prepare_clock = time.perf_counter()
    if pipeline.has_cacheable_features:
        matrix = view.features()
        fit_clock = time.perf_counter()
        pipeline.fit_from_features(_take(matrix, at), labels, label_space=samples.label_space)
    else:
        crops = _take(view.crops(), at)
        fit_clock = time.perf_counter()
        pipeline.fit(crops, labels)
    seconds = time.perf_counter() - fit_clock
    counts = {"n": len(at), "n_missed": len(view.rows) - len(at)}
    pipeline.trained_on = {
        "dataset": cell.dataset, "split": cell.train_split, "revision": cell.revision, "fold": cell.fold, **counts
    }  # fmt: skip
    if found is not None:
        split = cell.options["search"].get("split", cell.train_split)
        tuned_on = {"dataset": cell.dataset, "split": split, "revision": cell.revision, "parameters": found.parameters}
        pipeline.trained_on["tuned_on"] = tuned_on
    run.save_artefact(cell, pipeline.save)
    fitted.append(pipeline)
    searched = {} if found is None else {"search": found.model_dump(mode="json")}
    return {
        **searched,
        "n_train": counts["n"],
        "n_missed": counts["n_missed"],
        "fit_seconds": seconds,
        "feature_seconds": fit_clock - prepare_clock,
        "family": pipeline.family,
        "runtime": str(pipeline.parts.runtime),
    }


def _score(cell: Cell, run: Run, fitted: list[Pipeline]) -> tuple[dict[str, Any], pd.DataFrame]:
    from ferbench.pipelines import load_pipeline

    runtime = cell.pipeline.runtime or ""
    if fitted and str(fitted[0].parts.runtime) == runtime:
        pipeline = fitted[0]
    else:
        pipeline = load_pipeline(run.artefact(cell), runtime=runtime)
    view = View(cell, pipeline)
    at, _ = crops_of(view)
    clock = time.perf_counter()
    if cell.kind == "robustness":
        return _score_spoilt(cell, view, pipeline, at)
    if pipeline.has_cacheable_features and pipeline.estimator_ is not None:
        probabilities = pipeline.classify_features(_take(view.features(), at))
    else:
        probabilities = pipeline.classify(_take(view.crops(), at))
    seconds = time.perf_counter() - clock
    metrics: dict[str, Any] = {
        "n": len(view.rows),
        "n_detected": len(at),
        "detector_bypassed": view.detector_is_bypassed,
        "classify_seconds": seconds,
    }
    if cell.kind == "cross":
        policies = {name: cell.options[name] for name in ("contempt", "missing")}
        items, mapped = known_labels_only(_items(view, pipeline, probabilities), pipeline.labels, **policies)
        return {**metrics, **mapped}, items
    native = str(_native(pipeline).parts.runtime) if cell.options.get("fit") else _saved_runtime(run.artefact(cell))
    if runtime != native and len(at):
        reference = load_pipeline(run.artefact(cell), runtime=native)
        metrics["agreement"] = pipeline.agreement(_take(view.crops(), at[:AGREEMENT_FACES]), reference)
    return metrics, _items(view, pipeline, probabilities)


def _score_spoilt(
    cell: Cell, view: View, pipeline: Pipeline, at: npt.NDArray[np.int64]
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The same faces under one corruption, severity after severity; on photographs the detector sees them clean."""
    import pandas as pd

    clock = time.perf_counter()
    crops, name = view.crops(), cell.options["corruption"]
    tables = []
    for severity in cell.options["severities"]:
        found = classify_spoilt(pipeline, crops, at, name, severity, seed=cell.seed)
        tables.append(_items(view, pipeline, found).assign(severity=severity))
    metrics = {
        "n": len(view.rows),
        "n_detected": len(at),
        "detector_bypassed": view.detector_is_bypassed,
        "classify_seconds": time.perf_counter() - clock,
    }
    return metrics, pd.concat(tables, ignore_index=True)


def _native(pipeline: Pipeline) -> Pipeline:
    """The pipeline under the runtime in which it was fitted."""
    from ferbench.pipelines import make_pipeline

    return make_pipeline(pipeline.id.rpartition("@")[0])


def _saved_runtime(folder: Path) -> str:
    """The runtime that a pipeline was saved for: the reference of one that came trained."""
    return str(read_saved(".", folder).parts.runtime)


def _take(array: npt.NDArray[Any], at: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Rows of a memory-mapped array; the map itself where all are wanted, so that nothing is copied."""
    return array if len(at) == len(array) else array[at]


def _items(view: View, pipeline: Pipeline, probabilities: npt.NDArray[np.float32]) -> pd.DataFrame:
    """One row per sample of the cell, in the order of the view: a missed face has no prediction."""
    import pandas as pd

    samples, rows = view.samples, view.rows
    _, shown = crops_of(view)
    # A pipeline that came trained chooses among all that it knows, also what this data set has not.
    known = samples.label_space.labels
    labels = (*known, *(label for label in pipeline.labels if label not in known))
    position = np.full(len(samples), -1)
    position[shown] = np.arange(len(shown))
    position = position[rows]
    found = position >= 0
    table = np.full((len(rows), len(labels)), np.nan, np.float32)
    for column, label in enumerate(labels):
        # A class that the pipeline does not know has probability 0.
        column_of = probabilities[:, pipeline.labels.index(label)] if label in pipeline.labels else 0.0
        values = np.broadcast_to(np.asarray(column_of, np.float32), len(probabilities))
        table[found, column] = values[position[found]]
    predicted = np.full(len(rows), "", dtype=object)
    predicted[found] = np.asarray(labels, dtype=object)[table[found].argmax(axis=1)] if found.any() else []
    items = {
        "id": samples.ids[rows].astype(object),
        "subject": np.full(len(rows), None) if samples.subjects is None else samples.subjects[rows].astype(object),
        "truth": samples.labels[rows].astype(object),
        "predicted": predicted,
        "detected": found,
    }
    if samples.vote_counts is not None:
        items["annotators"] = annotator_agreement(samples.vote_counts[rows], len(known))
    return pd.DataFrame({**items, **{f"p_{label}": table[:, i] for i, label in enumerate(labels)}})
