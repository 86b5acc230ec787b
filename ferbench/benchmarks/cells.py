"""Cells, the units of work of a run, and parts, their outcomes: what is stored while a suite runs.

Everything here is data, validated by pydantic with unknown keys forbidden.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import Field

from ferbench.benchmarks.record import Record

__all__ = ["SCHEMA", "SCORED", "Cell", "CellError", "CellKind", "Part", "PipelineSpec", "Status", "digest"]

SCHEMA = 1
"""Version of everything that a run stores; a change that old readers would misread raises it."""

CellKind = Literal["fit", "quality", "robustness", "cross", "latency"]
"""``robustness`` and ``cross`` cells score spoilt faces and those of another data set than the one learnt from."""

SCORED: tuple[CellKind, ...] = ("quality", "robustness", "cross")
"""Kinds of cells that classify faces and store one row for each."""

Status = Literal["ok", "failed", "skipped"]


def digest(value: Any) -> str:
    """First 16 hex digits of the sha256 of a value's canonical JSON (sorted keys, no blanks)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


NO_DETECTOR = "whole-image"
"""The detector of a pipeline that names none: the picture is the face."""


class PipelineSpec(Record):
    """Component specs of one pipeline, as canonical text; ``features`` is None for networks."""

    detector: str = NO_DETECTOR
    features: str | None = None
    classifier: str
    runtime: str | None = None

    @property
    def id(self) -> str:
        """``detector/features/classifier@runtime``, the pipeline's name in every table."""
        parts = [self.detector, self.features, self.classifier]
        return "/".join(p for p in parts if p) + (f"@{self.runtime}" if self.runtime else "")


class Cell(Record):
    """One unit of work: fit a pipeline, score it, or time it.

    A cell's :attr:`id` is the digest of everything that determines its outcome, so an id that is present is done.
    """

    kind: CellKind
    row: str = Field(description="id of the pipeline in the suite; rows of one leaderboard")
    pipeline: PipelineSpec
    dataset: str
    revision: str
    train_split: str
    eval_split: str
    fold: int | None = None
    n_folds: int | None = None
    limit: int | None = None
    seed: int = 0
    scenario: str | None = None
    device: str = "cpu"
    threads: int = 1
    round: int | None = None
    machine: str | None = Field(default=None, description="machine fingerprint; latency cells only")
    options: dict[str, Any] = Field(
        default_factory=dict, description="what else determines the outcome: frames, warm-up"
    )
    schema_version: int = SCHEMA

    @cached_property
    def id(self) -> str:
        """First 16 hex digits of the sha256 of the canonical JSON of this cell, ``row`` left out."""
        return digest(self.model_dump(mode="json", exclude={"row"}))

    def __copy__(self) -> Self:
        """Another cell of the same values; whoever copies means to change some, so the id is computed anew."""
        copied = super().__copy__()
        copied.__dict__.pop("id", None)
        return copied


class CellError(Record):
    """Why a cell failed or was skipped."""

    type: str
    message: str


class Part(Record):
    """The outcome of one cell, written atomically to ``parts/<cell>.json`` with a checksum of its own text."""

    cell: Cell
    status: Status
    error: CellError | None = None
    started: str = Field(description="UTC, ISO 8601")
    seconds: float
    metrics: dict[str, Any] = Field(default_factory=dict)
    schema_version: int = SCHEMA
