"""How good one set of parameters is: fitted and scored on folds of the training faces, or on a validation split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.datasets import subject_folds
from ferbench.errors import ParameterError, UnknownNameError
from ferbench.labels import LabelSpace
from ferbench.pipelines import Pipeline, PipelineParts
from ferbench.pipelines.crops import resize_crops
from ferbench.registry import create
from ferbench.samples import Samples

__all__ = ["METRICS", "Faces", "Scorer", "faces_of"]

METRICS = ("accuracy", "macro-f1")
"""What may be maximised."""

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Faces:
    """Crops to learn from and to be scored on, found once for all trials.

    Attributes
    ----------
    crops : (N, s, s) uint8, gray
    labels : (N,) str
    label_space : LabelSpace
    folds : list of (train, scored)
        Index arrays into both.
    """

    crops: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.str_]
    label_space: LabelSpace
    folds: list[tuple[Index, Index]]


def faces_of(pipeline: Pipeline, samples: Samples, validation: Samples | None, n_folds: int, seed: int) -> Faces:
    """The faces that trials learn from and are scored on.

    Photos go through the pipeline's detector; those without a face are left out on both sides.

    Parameters
    ----------
    pipeline : Pipeline
    samples : Samples
        To learn from.
    validation : Samples, optional
        To be scored on; without it, ``n_folds`` folds in which nobody is on both sides.
    n_folds, seed : int
    """
    crops, index = _crops(pipeline, samples)
    found = samples.subset(index)
    if validation is None:
        return Faces(crops, found.labels, samples.label_space, subject_folds(found, n_folds, seed))
    held, held_index = _crops(pipeline, validation)
    n = len(crops)
    both = (np.arange(n, dtype=np.int64), np.arange(n, n + len(held), dtype=np.int64))
    labels = np.concatenate([found.labels, validation.labels[held_index]])
    return Faces(np.concatenate([crops, held]), labels, samples.label_space, [both])


def _crops(pipeline: Pipeline, samples: Samples) -> tuple[npt.NDArray[np.uint8], Index]:
    if samples.kind == "crops":
        return resize_crops(np.asarray(samples.images), pipeline.input_size), np.arange(len(samples), dtype=np.int64)
    crops, index = pipeline.crops_of_photos(samples)
    if not len(crops):
        raise ParameterError(f"{pipeline.parts.detector} found no face", got=f"{len(samples)} photos")
    return crops, index


class Scorer:
    """Scores pipelines on the same folds.

    Parameters
    ----------
    faces : Faces
    metric : str
        One of :data:`METRICS`.
    """

    def __init__(self, faces: Faces, metric: str) -> None:
        if metric not in METRICS:
            raise UnknownNameError("metric", metric, METRICS)
        self._faces, self._metric = faces, metric
        self._features: tuple[str, npt.NDArray[np.float32]] | None = None

    def score(self, parts: PipelineParts, report: Callable[[int, float], None]) -> float:
        """Mean score over the folds.

        Parameters
        ----------
        parts : PipelineParts
        report : callable
            Told the step and the score so far, after every fold, or, where accuracy is the metric, after every epoch of
            a network on a single one; may raise to end the trial.
        """
        scores: list[float] = []
        is_single = len(self._faces.folds) == 1
        told = report if is_single and self._metric == "accuracy" else None  # of an epoch nothing else is known
        for train, scored in self._faces.folds:
            truth = self._faces.labels[scored]
            if parts.features is None:
                predicted = self._network(parts, train, scored, told)
            else:
                predicted = self._classical(parts, train, scored)
            scores.append(self._value(truth, predicted))
            if not is_single:
                report(len(scores), float(np.mean(scores)))
        return float(np.mean(scores))

    def _value(self, truth: npt.NDArray[np.str_], predicted: npt.NDArray[np.str_]) -> float:
        if self._metric == "accuracy":
            return float((truth == predicted).mean())
        from sklearn.metrics import f1_score

        return float(f1_score(truth, predicted, average="macro", zero_division=0, labels=np.unique(truth)))

    def _classical(self, parts: PipelineParts, train: Index, scored: Index) -> npt.NDArray[np.str_]:
        crops, labels = self._faces.crops, self._faces.labels
        pipeline = Pipeline(parts, label_space=self._faces.label_space, input_size=crops.shape[1])
        if pipeline.has_cacheable_features:
            key = str(parts.features)
            if self._features is None or self._features[0] != key:
                self._features = (key, pipeline.features_of(crops))
            rows = self._features[1]
            estimator = create("classifiers", parts.classifier).fit(rows[train], labels[train])
            return np.asarray(estimator.predict(rows[scored]), dtype=np.str_)
        pipeline.fit(crops[train], labels[train])
        return np.asarray(pipeline.estimator_.predict(crops[scored]), dtype=np.str_)

    def _network(
        self, parts: PipelineParts, train: Index, scored: Index, report: Callable[[int, float], None] | None
    ) -> npt.NDArray[np.str_]:
        crops, labels = self._faces.crops, self._faces.labels
        network = create("classifiers", parts.classifier)
        options: dict[str, Any] = {}
        if report is not None or network.recipe.decisions:
            options["validation"] = (crops[scored], labels[scored])
        if report is not None:
            options["on_epoch"] = lambda epoch: report(epoch.epoch, epoch.val_accuracy)
        network.fit(crops[train], labels[train], **options)
        return np.asarray(network.predict(crops[scored]), dtype=np.str_)
