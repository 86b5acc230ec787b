"""Finding a classifier's settings on training faces alone: the search of one fit cell.

Candidates are scored on folds of the cell's own training faces, nobody being on both sides, or on the tune split.
Features that learn nothing are computed once for all; others are learnt from the training part of each fold, as they
would be from a training split. Every score is on disk as soon as it is known: a run that was killed goes on with the
next fit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.cells import Cell, digest
from ferbench.benchmarks.grid import candidates, count_fits, rungs
from ferbench.benchmarks.metrics import class_scores
from ferbench.benchmarks.searches import CandidateScore, SearchSummary
from ferbench.benchmarks.store import write_atomically
from ferbench.benchmarks.views import View, crops_of
from ferbench.datasets import subject_folds
from ferbench.errors import FerbenchError, ParameterError
from ferbench.pipelines.crops import resize_crops
from ferbench.registry import create
from ferbench.specs import Spec

if TYPE_CHECKING:
    from ferbench.pipelines import Pipeline

__all__ = ["METRICS", "Scores", "find_settings", "score"]

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")

_SMALLEST_PROBABILITY = 1e-7  # as in ferbench.benchmarks.metrics

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Side:
    """Crops of a view by their positions, and what they show."""

    view: View
    at: Index
    labels: npt.NDArray[np.str_]


@dataclass(frozen=True)
class _Part:
    """What candidates learn from and are judged on in one fold."""

    name: str
    learn: _Side
    judge: _Side

    def rows(self, pipeline: Pipeline) -> list[npt.NDArray[Any]]:
        """Classifier input of both sides: features (N, D) float32, or crops for a network."""
        sides = (self.learn, self.judge)
        if pipeline.has_cacheable_features:
            return [side.view.features()[side.at] for side in sides]
        learn, judge = (resize_crops(side.view.crops()[side.at], pipeline.input_size) for side in sides)
        if pipeline.parts.features is None:
            return [learn, judge]
        features = create("features", pipeline.parts.features)
        return [features.fit_transform(learn, self.learn.labels), features.transform(judge)]


def find_settings(cell: Cell, pipeline: Pipeline, path: Path) -> SearchSummary:
    """Search the grid of a fit cell.

    Parameters
    ----------
    cell : Cell
        Its ``options`` hold ``grid`` and ``search``.
    pipeline : Pipeline
        Unfitted, without the grid's settings.
    path : Path
        File in which scores are kept while the search goes on.

    Raises
    ------
    ParameterError
        If a candidate cannot be fitted; the message names it.
    """
    search, seed = cell.options["search"], cell.seed
    known = Scores(path)
    parts = _parts(cell, pipeline)
    left = candidates(cell.pipeline.classifier, cell.options["grid"])
    table: dict[str, CandidateScore] = {}
    for number, rung in enumerate(rungs(len(left), search["method"])):
        left = left[: rung.n_candidates]
        for part in parts:
            missing = [one for one in left if (number, part.name, str(one)) not in known]
            if missing:
                for one, value, seconds in _try(missing, part, pipeline, rung.share, search["metric"], seed):
                    known.add(number, part.name, str(one), value, seconds)
        for one in left:
            found = [known.get(number, part.name, str(one)) for part in parts]
            table[str(one)] = _summarise(one, cell.options["grid"], found, rung.share)
        # Sorting is stable: of equals the first of the suite goes on.
        better = -1 if search["metric"] == "log_loss" else 1
        left = sorted(left, key=lambda one: -better * table[str(one)].mean)
    chosen = left[0]
    dropped = [one for spec, one in table.items() if spec not in map(str, left)]
    ranked = [table[str(one)] for one in left]
    ranked += sorted(dropped, key=lambda one: (-one.share, -better * one.mean))
    return SearchSummary(
        fold=cell.fold,
        classifier=str(chosen),
        parameters=table[str(chosen)].parameters,
        metric=search["metric"],
        method=search["method"],
        by=_say_how(search, parts),
        n_faces=sum(len(part.judge.at) for part in parts),
        n_fits=count_fits(cell) - 1,
        candidates=ranked,
    )


def _say_how(search: dict[str, Any], parts: Sequence[_Part]) -> str:
    if search["by"] == "tune":
        return f"the split {search['split']}"
    over = "subject-independent folds" if parts[0].learn.view.samples.subjects is not None else "folds"
    return f"{len(parts)} {over} of the training faces"


def _parts(cell: Cell, pipeline: Pipeline) -> list[_Part]:
    search = cell.options["search"]
    learn = _side(View(cell, pipeline))
    if search["by"] == "tune":
        other = {"kind": "quality", "eval_split": search["split"], "limit": search["limit"], "options": {}}
        return [_Part("tune", learn, _side(View(cell.model_copy(update=other), pipeline)))]
    _, samples = crops_of(learn.view)
    folds = subject_folds(learn.view.samples.subset(samples), search["folds"], cell.seed)
    sides = [[_Side(learn.view, learn.at[at], learn.labels[at]) for at in pair] for pair in folds]
    return [_Part(f"fold {i}", *pair) for i, pair in enumerate(sides)]


def _side(view: View) -> _Side:
    at, samples = crops_of(view)
    return _Side(view, at, view.samples.labels[samples])


def _try(
    specs: Sequence[Spec], part: _Part, pipeline: Pipeline, share: float, metric: str, seed: int
) -> Iterator[tuple[Spec, float, float]]:
    """Fit candidates to a share of a part's faces and score them: candidate, score, seconds of the fit."""
    learn_labels, judge_labels = part.learn.labels, part.judge.labels
    rows, judged = part.rows(pipeline)
    some = _share_of(learn_labels, share, seed)
    if len(some) < len(rows):
        rows, learn_labels = rows[some], learn_labels[some]
    names = np.unique(np.concatenate([learn_labels, judge_labels]))
    truth = np.searchsorted(names, judge_labels)
    for spec in specs:
        clock = time.perf_counter()
        try:
            fitted = create("classifiers", spec).fit(rows, learn_labels)
        except (FerbenchError, ValueError) as error:
            raise ParameterError(f"{spec} cannot be tried", got=str(error)) from error
        seconds = time.perf_counter() - clock
        # A class that a fold does not teach has probability 0.
        p = np.zeros((len(judged), len(names)))
        p[:, np.searchsorted(names, fitted.classes_)] = fitted.predict_proba(judged)
        yield spec, score(metric, truth, p), seconds


def _share_of(labels: npt.NDArray[np.str_], share: float, seed: int) -> Index:
    """Positions of a share of each class, ascending; a larger share contains the smaller ones."""
    if share == 1:
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    chosen = []
    for name in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == name))
        chosen.append(mine[: max(1, round(share * len(mine)))])
    return np.sort(np.concatenate(chosen))


def score(metric: str, truth: npt.NDArray[np.int64], p: npt.NDArray[np.float64]) -> float:
    """One of :data:`METRICS` of probabilities (N, C) for true classes (N,); macro averages over classes that occur."""
    predicted = p.argmax(axis=1)
    if metric == "accuracy":
        return float((predicted == truth).mean())
    if metric == "log_loss":
        return float(-np.log(np.maximum(p[np.arange(len(truth)), truth], _SMALLEST_PROBABILITY)).mean())
    confusion = np.zeros((p.shape[1], p.shape[1] + 1), np.int64)  # the last column counts missed faces: none here
    np.add.at(confusion, (truth, predicted), 1)
    scores = [(recall, f1) for _, recall, f1, support in class_scores(confusion) if support]
    return float(np.mean([recall if metric == "balanced_accuracy" else f1 for recall, f1 in scores]))


def _summarise(spec: Spec, grid: dict[str, Any], found: Sequence[tuple[float, float]], share: float) -> CandidateScore:
    values = [value for value, _ in found]
    return CandidateScore(
        parameters={name: spec.params[name] for name in grid},
        mean=float(np.mean(values)),
        spread=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        scores=values,
        share=share,
        fit_seconds=float(np.mean([seconds for _, seconds in found])),
    )


@dataclass
class Scores:
    """Scores of a search that goes on, in a file that is whole at any moment.

    A damaged file is removed, and the search starts anew.
    """

    path: Path
    _known: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            document = json.loads(self.path.read_bytes())
            if document["checksum"] != digest(document["scores"]):
                raise ValueError("its checksum does not fit")
            self._known = {key: (float(value), float(seconds)) for key, (value, seconds) in document["scores"].items()}
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError, AttributeError):
            self.path.unlink()

    def __contains__(self, key: tuple[int, str, str]) -> bool:
        return self._key(*key) in self._known

    def get(self, rung: int, part: str, candidate: str) -> tuple[float, float]:
        """Score, and seconds of the fit."""
        return self._known[self._key(rung, part, candidate)]

    def add(self, rung: int, part: str, candidate: str, value: float, seconds: float) -> None:
        """Keep a score, on disk too."""
        self._known[self._key(rung, part, candidate)] = (value, seconds)
        scores = {key: list(pair) for key, pair in self._known.items()}
        write_atomically(self.path, json.dumps({"checksum": digest(scores), "scores": scores}).encode())

    @staticmethod
    def _key(rung: int, part: str, candidate: str) -> str:
        return f"rung {rung}, {part}: {candidate}"
