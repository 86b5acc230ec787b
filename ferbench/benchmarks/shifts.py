"""Faces unlike those a pipeline learnt from, spoilt or of another data set: what a suite asks, what a run answers."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, field_validator

from ferbench.benchmarks.corruptions import CORRUPTIONS, SEVERITIES
from ferbench.benchmarks.evidence import Estimate
from ferbench.benchmarks.record import Record
from ferbench.errors import UnknownNameError
from ferbench.labels import ContemptPolicy

__all__ = [
    "Corruptions",
    "Cross",
    "GeneralisationSummary",
    "MissingPolicy",
    "RobustnessSummary",
    "TransferSummary",
]

MissingPolicy = Literal["error", "drop", "wrong"]
"""What becomes of faces whose expression a pipeline never learnt, contempt apart."""


class Corruptions(Record):
    """The ``corruptions:`` block: every row is scored on spoilt faces, too."""

    model_config = ConfigDict(strict=True)

    names: list[str] = Field(default=list(CORRUPTIONS), description="all, or a list of corruptions", min_length=1)
    severities: list[int] = Field(default=list(SEVERITIES), description="some of 1 to 5", min_length=1)
    baseline: str | None = Field(
        default=None, description="pipeline whose errors the others' are divided by, for mCE and relative mCE"
    )

    @field_validator("names", mode="before")
    @classmethod
    def _are_known(cls, names: object) -> object:
        if names == "all":
            return list(CORRUPTIONS)
        if isinstance(names, str):
            raise ValueError(f"names of corruptions are a list, or the word all: [{names}]")
        if isinstance(names, list):
            for name in names:
                if name not in CORRUPTIONS:
                    raise ValueError(str(UnknownNameError("corruption", str(name), CORRUPTIONS)))
            return [name for name in CORRUPTIONS if name in names]
        return names

    @field_validator("severities")
    @classmethod
    def _are_severities(cls, severities: list[int]) -> list[int]:
        if wrong := [one for one in severities if one not in SEVERITIES]:
            raise ValueError(f"there is no severity {wrong[0]}; expected some of 1 to 5")
        return sorted(set(severities))


class Cross(Record):
    """The ``cross:`` block: every pipeline that learnt from one data set is scored on all the others, too."""

    model_config = ConfigDict(strict=True)

    contempt: ContemptPolicy = Field(
        default="error", description="what becomes of contempt where a pipeline never learnt it"
    )
    missing: MissingPolicy = Field(
        default="error", description="the same for any other expression: drop such faces, or count them wrong"
    )


class RobustnessSummary(Record):
    """How one row fares on spoilt faces of one data set. Accuracies are end to end: a missed face is wrong."""

    row: str
    dataset: str
    status: Literal["ok", "failed", "skipped"]
    reason: str | None = Field(default=None, description="why there are no figures")
    n: int = 0
    interval_over: str = Field(default="faces", description="what was resampled: subjects or faces")
    severities: list[int] = Field(default_factory=list)
    clean: Estimate | None = None
    accuracy: dict[str, list[Estimate]] = Field(
        default_factory=dict, description="by corruption, one for each severity"
    )
    by_corruption: dict[str, Estimate] = Field(default_factory=dict, description="mean over severities")
    mean: Estimate | None = Field(default=None, description="mean corrupted accuracy: over corruptions and severities")
    relative: Estimate | None = Field(default=None, description="mean over clean accuracy")
    baseline: str | None = Field(default=None, description="row that mce and relative_mce compare with")
    mce: Estimate | None = Field(default=None, description="errors over the baseline's, mean over corruptions")
    relative_mce: Estimate | None = Field(
        default=None, description="the same of what errors grow by; None where the baseline's do not grow"
    )


class TransferSummary(Record):
    """One cell of the cross-dataset matrix: a row that learnt from one data set, scored on another or on its own."""

    row: str
    trained_on: str = Field(description="data set; of a pipeline that came trained what its record says")
    dataset: str = Field(description="what was scored")
    is_diagonal: bool = Field(description="trained and scored on splits, or folds, of one data set")
    status: Literal["ok", "failed", "skipped", "refused"]
    reason: str | None = None
    n: int = 0
    n_dropped: int = Field(default=0, description="faces whose expression the policies leave out")
    n_missed: int = 0
    mapped: dict[str, str] = Field(
        default_factory=dict, description="expressions that the row never learnt, and what became of them"
    )
    note: str | None = Field(default=None, description="what else a reader must know")
    interval_over: str = "faces"
    accuracy: Estimate | None = Field(default=None, description="end to end")
    macro_f1: Estimate | None = None
    drop: Estimate | None = Field(
        default=None, description="accuracy of the row trained on the scored data set minus this, on the same faces"
    )


class GeneralisationSummary(Record):
    """What a row keeps of its accuracy elsewhere: its own data set against the others (Torralba and Efros, 2011)."""

    row: str
    trained_on: str
    own: float
    others: float = Field(description="mean accuracy over the other data sets")
    n_others: int
    relative_drop: float = Field(description="(own - others) / own")
