"""Saved pipelines as rows of a suite: what their records say, and on which faces they must not be scored.

Only ``pipeline.json`` is read here, so that planning stays light; whoever loads the pipeline checks its files.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ferbench.benchmarks.cells import digest
from ferbench.benchmarks.facts import DatasetFacts
from ferbench.benchmarks.records import Ancestor, Compared, Pretrained
from ferbench.errors import InvalidSuiteError, ModelFileError
from ferbench.pipelines import shipped
from ferbench.pipelines.lineage import ancestors_of, compared_on, seen
from ferbench.pipelines.spec import PipelineParts, parse_pipeline_id
from ferbench.pipelines.storage import RECORD
from ferbench.specs import Spec, parse_spec

__all__ = ["SavedPipeline", "check_saved", "read_saved"]


class _LabelNames(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    labels: list[str]


class _SavedRecord(BaseModel):
    """The part of ``pipeline.json`` that a plan needs; the rest is the loader's."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    pipeline: str
    label_space: _LabelNames
    classes: list[str]
    input_size: int
    crop_scale: float | None = None
    crop_shift: float | None = None
    trained_on: dict[str, Any]
    files: dict[str, Any] = Field(min_length=1)


@dataclass(frozen=True)
class SavedPipeline:
    """A saved pipeline as a plan sees it.

    Attributes
    ----------
    name : str
        As the suite names it.
    folder : Path
        Where it is.
    parts : PipelineParts
        Its component specs, with the runtime that it was saved for.
    labels : tuple of str
        Expressions that it tells apart.
    trained_on : dict
        What its record says of the faces it learnt from.
    files : tuple of str
        Its files, all directly in the folder.
    content : str
        16 hex digits: digest of the recorded sha256 of each file, and of what else decides its predictions. Where the
        folder lies does not matter.
    """

    name: str
    folder: Path
    parts: PipelineParts
    labels: tuple[str, ...]
    trained_on: dict[str, Any]
    files: tuple[str, ...]
    content: str

    def record(self) -> Pretrained:
        """What a report says of it."""
        known = self.trained_on
        tuned = known.get("calibrated_on")
        return Pretrained(
            name=self.name,
            content=self.content,
            runtime=str(self.parts.runtime),
            dataset=_text(known.get("dataset")),
            split=_text(known.get("split")),
            revision=_text(known.get("revision")),
            n=known["n"] if isinstance(known.get("n"), int) else None,
            calibrated_on=f"{tuned.get('dataset')} {tuned.get('split')}" if isinstance(tuned, dict) else None,
            calibrated_revision=_text(tuned.get("revision")) if isinstance(tuned, dict) else None,
            compared_on=[_compared(one) for one in compared_on(known)],
            ancestors=[_ancestor(one) for one in ancestors_of(known)],
        )

    def copy_to(self, folder: Path) -> None:
        """Copy the record and the files that it names, and nothing else of the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for name in (*self.files, RECORD):
                shutil.copyfile(self.folder / name, folder / name)
        except OSError as error:
            raise ModelFileError(f"cannot copy {error.filename}", got=error.strerror, fix="save it again") from error


def _without_contempt(dataset: str) -> Spec:
    spec = parse_spec(dataset)
    return Spec(spec.name, {**spec.params, "contempt": "drop"})


def _ancestor(record: dict[str, Any]) -> Ancestor:
    return Ancestor(
        role=str(record.get("role")),
        name=str(record.get("name")),
        dataset=_text(record.get("dataset")),
        split=_text(record.get("split")),
        revision=_text(record.get("revision")),
    )


def _compared(record: dict[str, Any]) -> Compared:
    n = record.get("n_candidates")
    return Compared(
        dataset=str(record.get("dataset")),
        split=str(record.get("split")),
        revision=_text(record.get("revision")),
        n_candidates=n if isinstance(n, int) else None,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def read_saved(name: str, base: Path) -> SavedPipeline:
    """The record of a shipped pipeline, or of a saved folder.

    Parameters
    ----------
    name : str
        Name of a shipped pipeline, or a path; a folder that is called like a shipped pipeline is written ``./tiny``.
    base : Path
        Folder that relative paths start from: the suite file's.

    Raises
    ------
    ModelFileError
        If there is no such pipeline, or its record is damaged.
    """
    known = shipped()
    folder = known.get(name, base / Path(name).expanduser())
    path = folder / RECORD
    if not path.is_file():
        raise ModelFileError(
            f"no saved pipeline {name!r}", got=f"no {path}", expected=f"such a folder, or one of {', '.join(known)}"
        )
    try:
        record = _SavedRecord.model_validate(json.loads(path.read_bytes()))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ModelFileError(f"{path} is damaged", got=f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except ValueError as error:
        raise ModelFileError(f"{path} is damaged", got=str(error), fix="save the pipeline again") from error
    if outside := [file for file in record.files if Path(file).name != file]:
        raise ModelFileError(f"{path} names a file outside its folder", got=outside[0])
    # Where it learnt, its figures and the version that wrote it decide no prediction.
    decisive = record.model_dump(mode="json", exclude={"trained_on"})
    return SavedPipeline(
        name=name,
        folder=folder,
        parts=parse_pipeline_id(record.pipeline),
        labels=tuple(record.label_space.labels),
        trained_on=record.trained_on,
        files=tuple(record.files),
        content=digest(decisive),
    )


def check_saved(saved: SavedPipeline, facts: DatasetFacts, scored: str, place: str) -> None:
    """Refuse to score a saved pipeline where its figures would mean nothing.

    Parameters
    ----------
    saved : SavedPipeline
    facts : DatasetFacts
        The data set that would be scored.
    scored : str
        The split that would be scored; ``all`` under folds.
    place : str
        File and line of the suite, for the message.

    Raises
    ------
    InvalidSuiteError
        If the pipeline, a teacher of it or the network whose weights it began with learnt from the very faces that
        would be scored, or its settings were chosen on them, or it does not know an expression among them.
    """
    if known := seen(saved.trained_on, dataset=facts.spec, revision=facts.revision, split=scored):
        raise InvalidSuiteError(
            f"{place}: {saved.name} would be scored on faces that {known.how}",
            got=f"{known.faces['dataset']} {known.faces['split']}, and {facts.spec} {scored} is scored",
            expected="a split that it has not seen",
            fix="score another split, or remove the pipeline",
        )
    if unknown := [label for label in facts.labels if label not in saved.labels]:
        raise InvalidSuiteError(
            f"{place}: {saved.name} is a model from another label space than {facts.spec}",
            got=f"no {', '.join(unknown)} among {', '.join(saved.labels)}",
            expected="a model that knows every label of the data set",
            fix=f'say what becomes of contempt: name: "{_without_contempt(facts.spec)}" (or disgust, or neutral)'
            if unknown == ["contempt"]
            else "score it on another data set",
        )
