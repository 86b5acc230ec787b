"""Pipelines on data sets that they did not learn from: which cells, which of them are refused, whose labels count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ferbench.benchmarks.cells import Cell, PipelineSpec
from ferbench.benchmarks.facts import DatasetFacts
from ferbench.benchmarks.pretrained import SavedPipeline
from ferbench.benchmarks.shifts import Corruptions, Cross, MissingPolicy
from ferbench.errors import InvalidSuiteError, LabelError
from ferbench.labels import ContemptPolicy
from ferbench.pipelines.lineage import seen

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Refusal",
    "Target",
    "corruption_cells",
    "fitted_transfers",
    "known_labels_only",
    "label_table",
    "saved_transfer",
]


@dataclass(frozen=True)
class Refusal:
    """A cell of the cross-dataset matrix that would mean nothing, and why."""

    row: str
    trained_on: str
    dataset: str
    reason: str


@dataclass(frozen=True)
class Target:
    """What is scored of one data set: the same faces, whoever is scored on them.

    Attributes
    ----------
    facts : DatasetFacts
    split : str
        ``all`` under folds: each face is scored once there, too.
    limit : int or None
    seed : int
    """

    facts: DatasetFacts
    split: str
    limit: int | None
    seed: int


def corruption_cells(block: Corruptions | None, quality: Cell) -> list[Cell]:
    """One cell for each corruption of what a quality cell scores, all its severities together."""
    if block is None:
        return []
    return [
        quality.model_copy(
            update={
                "kind": "robustness",
                "options": {**quality.options, "corruption": name, "severities": block.severities},
            }
        )
        for name in block.names
    ]


def fitted_transfers(
    cross: Cross, cells: Sequence[Cell], targets: Mapping[str, Target], place: Mapping[str, str]
) -> tuple[list[Cell], list[Refusal]]:
    """Every fitted row on every data set but its own.

    Under folds no model has seen a whole data set: one more is fitted, to all of it.

    Parameters
    ----------
    cross : Cross
        The policies.
    cells : sequence of Cell
        Fits and quality cells of the rows on their own data sets.
    targets : mapping of data set to Target
    place : mapping of row to str
        File and line, for messages.

    Returns
    -------
    cells : list of Cell
        Fits that are needed besides, and cross cells.
    refused : list of Refusal

    Raises
    ------
    InvalidSuiteError
        If a data set has an expression that a row never learnt, and no policy says what becomes of it.
    """
    fits = {cell.id: cell for cell in cells if cell.kind == "fit"}
    made: list[Cell] = []
    refused: list[Refusal] = []
    for quality in cells:
        if quality.kind != "quality" or "fit" not in quality.options or quality.fold not in (None, 0):
            continue
        fit = fits[quality.options["fit"]].model_copy(update={"fold": None, "n_folds": None})
        made.append(fit)
        own = targets[quality.dataset].facts
        learnt = {"dataset": own.spec, "revision": own.revision, "split": fit.train_split}
        tuned = fit.options.get("search", {}).get("split")
        for spec, target in targets.items():
            if spec == quality.dataset:
                continue
            if reason := _overlap({**learnt, "tuned_on": {**learnt, "split": tuned}} if tuned else learnt, target):
                refused.append(Refusal(quality.row, own.spec, spec, reason))
                continue
            _check_labels(cross, quality.row, own.labels, target, place[quality.row])
            source = {"fit": fit.id, "trained_on": own.spec}
            made.append(_cross_cell(cross, quality.row, quality.pipeline, source, fit.train_split, target))
    return made, refused


def saved_transfer(
    cross: Cross, row: str, saved: SavedPipeline, pipeline: PipelineSpec, target: Target, place: str
) -> Cell | Refusal | None:
    """What becomes of a row that came trained on one data set.

    Returns
    -------
    None
        It is scored there as on any data set: it has not seen these faces and knows all their expressions.
    Cell
        A cross cell: it does not know all expressions, and the policies say what becomes of them.
    Refusal
        It has learnt from these faces, also by way of a teacher or of the weights it began with, or had its settings
        chosen on them.

    Raises
    ------
    InvalidSuiteError
        If no policy says what becomes of an expression.
    """
    known = saved.trained_on
    learnt = known.get("dataset")
    name = learnt if isinstance(learnt, str) else "unknown"
    if reason := _overlap(known, target):
        return Refusal(row, name, target.facts.spec, reason)
    if set(target.facts.labels) <= set(saved.labels):
        return None
    _check_labels(cross, row, saved.labels, target, place)
    return _cross_cell(cross, row, pipeline, {"saved": saved.content, "trained_on": name}, "", target)


def _overlap(trained_on: Mapping[str, Any], target: Target) -> str | None:
    """Why a model of this record must not be scored on the target, or None."""
    facts = target.facts
    known = seen(trained_on, dataset=facts.spec, revision=facts.revision, split=target.split)
    if known is None:
        return None
    faces = known.faces
    return (
        f"{known.how} these pictures: {faces['dataset']} {faces['split']} shows what {facts.spec} {target.split} shows"
    )


def _check_labels(cross: Cross, row: str, known: Sequence[str], target: Target, place: str) -> None:
    try:
        label_table(target.facts.labels, known, contempt=cross.contempt, missing=cross.missing)
    except LabelError as error:
        raise InvalidSuiteError(f"{place}: {row} on {target.facts.spec}: {error}") from error


def _cross_cell(
    cross: Cross, row: str, pipeline: PipelineSpec, source: dict[str, str], train_split: str, target: Target
) -> Cell:
    return Cell(
        kind="cross",
        row=row,
        pipeline=pipeline,
        dataset=target.facts.spec,
        revision=target.facts.revision,
        train_split=train_split,
        eval_split=target.split,
        limit=target.limit,
        seed=target.seed,
        options={**source, "contempt": cross.contempt, "missing": cross.missing},
    )


def label_table(
    labels: Iterable[str], known: Sequence[str], *, contempt: ContemptPolicy, missing: MissingPolicy
) -> dict[str, str | None]:
    """What each expression of a data set counts as for a pipeline that knows some of them.

    Parameters
    ----------
    labels : iterable of str
        Expressions of the data set.
    known : sequence of str
        Those that the pipeline can name.
    contempt : "error", "drop", "disgust" or "neutral"
        What becomes of contempt where it is not known.
    missing : "error", "drop" or "wrong"
        What becomes of any other expression that is not known.

    Returns
    -------
    dict
        ``{expression: what counts as right}``; None where such faces are left out. What counts as itself though it is
        not known is always wrong.

    Raises
    ------
    LabelError
        If an expression is not known and no policy says what becomes of it.

    Examples
    --------
    >>> label_table(["happy", "contempt"], ["happy", "sad"], contempt="drop", missing="error")
    {'happy': 'happy', 'contempt': None}
    """
    table: dict[str, str | None] = {}
    for label in labels:
        if label in known:
            table[label] = label
        elif label == "contempt":
            if contempt == "error" or (contempt != "drop" and contempt not in known):
                raise LabelError(
                    "it never learnt 'contempt'" + ("" if contempt == "error" else f", nor {contempt!r}"),
                    fix="say what becomes of it: cross: {contempt: drop}, disgust or neutral",
                )
            table[label] = None if contempt == "drop" else contempt
        elif missing == "error":
            raise LabelError(
                f"it never learnt {label!r}", fix="say what becomes of such faces: cross: {missing: drop} or wrong"
            )
        else:
            table[label] = None if missing == "drop" else label
    return table


def known_labels_only(
    items: pd.DataFrame, known: Sequence[str], *, contempt: ContemptPolicy, missing: MissingPolicy
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The faces of a cross cell under labels that count, and what was done to the others.

    Parameters
    ----------
    items : DataFrame
        One row per face, as quality cells store them.
    known, contempt, missing
        See :func:`label_table`.

    Returns
    -------
    items : DataFrame
        Without the faces that are left out and the columns of labels that nobody gives and nobody answers any more.
    done : dict
        ``n_dropped``, and ``mapped``: ``{expression: "left out", "counted wrong" or what it counts as}``.
    """
    labels = [name.removeprefix("p_") for name in items.columns if name.startswith("p_")]
    table = label_table(labels, known, contempt=contempt, missing=missing)
    gone = [label for label in labels if table[label] != label]
    truth = items["truth"].map(table)
    kept = items.assign(truth=truth)[truth.notna()].drop(columns=[f"p_{label}" for label in gone])
    mapped = {label: table[label] or "left out" for label in gone}
    mapped |= {label: "counted wrong" for label in labels if label not in known and label not in mapped}
    return kept.reset_index(drop=True), {"n_dropped": len(items) - len(kept), "mapped": mapped}
