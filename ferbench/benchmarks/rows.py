"""The lines of a leaderboard that a suite asks for under a profile, before there is any cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ferbench.benchmarks.cells import NO_DETECTOR, PipelineSpec, digest
from ferbench.benchmarks.grid import Search
from ferbench.benchmarks.pretrained import SavedPipeline
from ferbench.benchmarks.records import PublishedFigures
from ferbench.benchmarks.suite import Suite
from ferbench.benchmarks.suite_entries import PipelineEntry, PipelineOverride
from ferbench.errors import InvalidSuiteError, UnknownNameError
from ferbench.pipelines.preset import PresetInfo, presets
from ferbench.pipelines.spec import PipelineParts, complete, parse_pipeline_id
from ferbench.specs import parse_spec

__all__ = ["Row", "rows_of"]


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard: a pipeline under one runtime."""

    name: str
    parts: PipelineParts
    limit: int | None
    saved: SavedPipeline | None = None
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    search: Search = field(default_factory=Search)
    published: PublishedFigures | None = None

    @property
    def pipeline(self) -> PipelineSpec:
        """Its parts as canonical text."""
        features = None if self.parts.features is None else str(self.parts.features)
        return PipelineSpec(
            detector=str(self.parts.detector),
            features=features,
            classifier=str(self.parts.classifier),
            runtime=str(self.parts.runtime),
        )

    @property
    def fit_spec(self) -> PipelineSpec:
        """What is fitted: the pipeline without its runtime, so that runtimes share a fit."""
        return self.pipeline.model_copy(update={"runtime": None})


def rows_of(suite: Suite, profile: str | None, saved: Mapping[str, SavedPipeline]) -> list[Row]:
    """One row for each runtime of each pipeline that the profile leaves in.

    Raises
    ------
    InvalidSuiteError, UnknownNameError, ParameterError
        If nothing is left, two rows are the same pipeline, there is no such preset, or a runtime cannot run it.
    """
    rows: list[Row] = []
    for entry in suite.pipelines:
        change = entry.profiles.get(profile or "", PipelineOverride())
        if change.skip:
            continue
        trained = None if entry.saved is None else saved[entry.id]
        parts = _parts_of(entry, change) if trained is None else trained.parts
        place, limit = suite.place(entry.id), change.limit or entry.limit
        grid = entry.grid if change.grid is None else change.grid
        published = _published(entry, change, place)
        for runtime in entry.runtimes or [str(parts.runtime)]:
            chosen = complete(parts.detector, parts.features, parts.classifier, parse_spec(runtime))
            label = f"{entry.id}@{runtime}" if len(entry.runtimes) > 1 else entry.id
            row = Row(label, chosen, limit, trained, grid or {}, entry.search or Search(), published)
            _check_grid(row, place)
            rows.append(row)
    if not rows:
        raise InvalidSuiteError(f"suite {suite.name} leaves out every pipeline under profile {profile!r}")
    seen: dict[tuple[object, ...], str] = {}
    for row in rows:
        tuned = digest([row.grid, row.search.model_dump()]) if row.grid else None
        same = seen.setdefault((row.parts.id, row.limit, row.saved.content if row.saved else None, tuned), row.name)
        if same != row.name:
            raise InvalidSuiteError(
                f"suite {suite.name}: the rows {same!r} and {row.name!r} are the same pipeline", got=row.parts.id
            )
    return rows


def _check_grid(row: Row, place: str) -> None:
    """Refuse a grid of parameters that the classifier's spec sets already."""
    if twice := sorted(set(row.grid) & set(row.parts.classifier.params)):
        raise InvalidSuiteError(
            f"{place}: {twice[0]!r} is set in the classifier and in the grid",
            got=str(row.parts.classifier),
            fix="remove it from one of them",
        )


def _preset(name: str, kind: str = "preset") -> PresetInfo:
    known = presets()
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return known[name]


def _published(entry: PipelineEntry, change: PipelineOverride, place: str) -> PublishedFigures | None:
    """What is published of the system that an entry follows; None where nothing is, or a profile changes its parts."""
    is_changed = change.detector or change.features or change.classifier
    name = entry.published or (None if is_changed else entry.preset)
    if name is None:
        return None
    preset = _preset(name, f"preset of published figures, {place}:" if entry.published else "preset")
    if preset.published is None:
        if entry.published:
            raise InvalidSuiteError(f"{place}: a preset without published figures", got=name)
        return None
    return PublishedFigures(preset=preset.name, source=preset.source, figures=preset.published)


def _parts_of(entry: PipelineEntry, change: PipelineOverride) -> PipelineParts:
    """Parts of a pipeline under a profile."""
    if entry.preset is not None:
        base = parse_pipeline_id(_preset(entry.preset).pipeline)
        detector, features, classifier = base.detector, base.features, base.classifier
    else:
        detector = parse_spec(entry.detector or NO_DETECTOR)
        features = parse_spec(entry.features) if entry.features else None
        classifier = parse_spec(entry.classifier or "")
    return complete(
        parse_spec(change.detector) if change.detector else detector,
        parse_spec(change.features) if change.features else features,
        parse_spec(change.classifier) if change.classifier else classifier,
        None,
    )
