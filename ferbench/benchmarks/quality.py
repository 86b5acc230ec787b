"""What a fit cell and a quality cell compute: from a dataset to a saved pipeline, and to predictions of each face."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.annotators import annotator_agreement
from ferbench.benchmarks.cells import Cell
from ferbench.benchmarks.pretrained import read_saved
from ferbench.benchmarks.spoilt import classify_spoilt
from ferbench.benchmarks.store import Run
from ferbench.benchmarks.transfer import known_labels_only
from ferbench.benchmarks.tuning import find_settings
from ferbench.benchmarks.views import View, crops_of
from ferbench.errors import DataError, NoFaceError

if TYPE_CHECKING:
    import pandas as pd

    from ferbench.pipelines import Pipeline

__all__ = ["fit", "score"]

AGREEMENT_FACES = 512
"""Faces on which a runtime is compared with its reference: enough for flips of a percent to show."""


def fit(cell: Cell, run: Run, fitted: list[Pipeline]) -> dict[str, Any]:
    """Fit a pipeline, choosing its settings first where there is a grid, and save it in the run.

    Parameters
    ----------
    cell : Cell
        A fit cell.
    run : Run
    fitted : list of Pipeline
        The pipeline is appended, so that its scores need not load it.

    Returns
    -------
    dict
        Metrics of the part.
    """
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


def score(cell: Cell, run: Run, fitted: list[Pipeline]) -> tuple[dict[str, Any], pd.DataFrame]:
    """Classify the scored faces of a quality cell.

    Parameters
    ----------
    cell : Cell
        A quality cell.
    run : Run
        Holds the pipeline.
    fitted : list of Pipeline
        The pipeline itself, where this process has just fitted it.

    Returns
    -------
    metrics : dict
    items : DataFrame
        One row per face.

    Raises
    ------
    DataError
        If there is no face to score.
    ModelFileError
        If the pipeline's probabilities are not numbers.
    """
    from ferbench.pipelines import load_pipeline

    runtime = cell.pipeline.runtime or ""
    if fitted and str(fitted[0].parts.runtime) == runtime:
        pipeline = fitted[0]
    else:
        pipeline = load_pipeline(run.artefact(cell), runtime=runtime)
    view = View(cell, pipeline)
    if not len(view.rows):
        raise DataError(f"nothing to score: the split {cell.eval_split!r} of {cell.dataset} has no face")
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
