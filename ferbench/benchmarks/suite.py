"""Suites: what to measure (datasets, scenarios), on whom (pipelines) and at what cost (profiles).

A suite is data, validated strictly: an unknown key, a component that does not exist or a protocol that would select
on its own test split is an error before anything runs. :mod:`ferbench.benchmarks.suite_file` reads it from YAML.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from ferbench.benchmarks.frames import check_frames
from ferbench.benchmarks.grid import Grid, Search
from ferbench.benchmarks.scenarios import parse_scenario
from ferbench.benchmarks.shifts import Corruptions, Cross
from ferbench.checks import is_integer
from ferbench.errors import FerbenchError, UnknownNameError
from ferbench.registry import entry
from ferbench.specs import parse_spec

__all__ = [
    "DatasetEntry",
    "PipelineEntry",
    "PipelineOverride",
    "PlacedError",
    "Profile",
    "Suite",
    "parse_device",
    "suite_json_schema",
]

_MOST_THREADS = 1024  # no machine that this runs on has more cores; libraries would start them all
_ID = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"


class PlacedError(ValueError):
    """A mistake that only the suite as a whole shows, and its place in it, such as ``("pipelines", 2)``."""

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place


class _Strict(BaseModel):
    # Strict in types, too: "seed: true" is a mistake, and no seed of 1.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _component(group: str) -> Callable[[object], object]:
    """Validator of a component spec: canonical text of a name that is registered."""

    def check(value: object) -> object:
        if isinstance(value, dict) and "grid" in value:
            raise ValueError(
                "'grid:' stands beside 'classifier:', not in it: {classifier: knn, grid: {n_neighbors: [1, 5]}}"
            )
        if not isinstance(value, str):
            return value
        try:
            spec = parse_spec(value)
            entry(group, spec.name)
        except FerbenchError as error:
            raise ValueError(str(error)) from error
        return str(spec)

    return check


DetectorSpec = Annotated[str, BeforeValidator(_component("detectors"))]
FeatureSpec = Annotated[str, BeforeValidator(_component("features"))]
ClassifierSpec = Annotated[str, BeforeValidator(_component("classifiers"))]
RuntimeSpec = Annotated[str, BeforeValidator(_component("runtimes"))]
DatasetSpec = Annotated[str, BeforeValidator(_component("datasets"))]
Count = Annotated[int, Field(gt=0)]


class DatasetEntry(_Strict):
    """A dataset and the protocol under which it is used."""

    name: DatasetSpec = Field(description="registered name, with parameters where needed: images(path=...)")
    protocol: Literal["splits", "subject-kfold"] = Field(
        default="splits", description="official splits, or folds that share no subject"
    )
    train: str | None = Field(default="train", description="split to learn from; null where nothing is learnt here")
    tune: str | None = Field(default=None, description="split on which settings may be chosen; never the test split")
    test: str = Field(default="test", description="split that is scored")
    folds: int | None = Field(default=None, ge=2, description="number of subject-independent folds")

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.protocol == "subject-kfold":
            if self.folds is None:
                raise ValueError("protocol subject-kfold needs 'folds'")
            given = {"train", "tune", "test"} & self.model_fields_set
            if given:
                raise ValueError(f"protocol subject-kfold makes its own splits; remove {', '.join(sorted(given))}")
            return self
        if self.folds is not None:
            raise ValueError("'folds' needs 'protocol: subject-kfold'")
        if self.train is None:
            if self.tune is not None:
                raise ValueError(f"nothing is learnt from {self.name} (train: null): remove 'tune'")
            return self
        if self.tune is not None and self.tune in (self.train, "all"):
            raise ValueError(f"settings would be chosen on faces that are learnt from or scored: 'tune: {self.tune}'")
        if self.tune is not None and self.tune == self.test:
            raise ValueError(
                f"settings would be chosen on the test split {self.test!r}; tune on another split, or not at all"
            )
        if self.train == self.test or "all" in (self.train, self.test):
            raise ValueError(
                f"the test split {self.test!r} would overlap the training split {self.train!r}; "
                "name two separate splits"
            )
        return self


class PipelineOverride(_Strict):
    """What a profile changes about one pipeline."""

    detector: DetectorSpec | None = None
    features: FeatureSpec | None = None
    classifier: ClassifierSpec | None = None
    grid: Grid | None = Field(default=None, description="another grid; an empty one tunes nothing")
    limit: Count | None = Field(default=None, description="most training faces for this pipeline")
    skip: bool = Field(default=False, description="leave the pipeline out under this profile")


class PipelineEntry(_Strict):
    """One pipeline, from its parts, from a preset, or trained already; one row for each of its runtimes."""

    id: str = Field(pattern=_ID, description="name of the row")
    preset: str | None = Field(default=None, description="a preset's name, instead of detector and classifier")
    saved: str | None = Field(default=None, description="a shipped pipeline, or a saved folder relative to this file")
    published: str | None = Field(
        default=None, description="preset whose published figures stand beside this row's; a preset row has its own"
    )
    detector: DetectorSpec | None = Field(default=None, description="whole-image where left out")
    features: FeatureSpec | None = Field(default=None, description="left out for networks and baselines")
    classifier: ClassifierSpec | None = None
    grid: Grid | None = Field(default=None, description="values of the classifier's parameters to choose from")
    search: Search | None = Field(default=None, description="how they are chosen; 5 folds where left out")
    runtimes: list[RuntimeSpec] = Field(default_factory=list, description="one row each, all from one fit")
    limit: Count | None = Field(default=None, description="most training faces for this pipeline")
    profiles: dict[str, PipelineOverride] = Field(default_factory=dict, description="changes under a profile")

    @model_validator(mode="after")
    def _has_a_classifier(self) -> Self:
        if (self.preset, self.saved, self.classifier).count(None) != 2:
            raise ValueError("a pipeline needs either 'classifier', 'preset' or 'saved'")
        if self.preset is not None and (self.detector or self.features):
            raise ValueError("a preset brings its own detector and features; remove them, or write out all parts")
        if self.preset is not None and self.published is not None:
            raise ValueError("a preset brings its own published figures; remove 'published'")
        if self.saved is not None:
            self._check_saved()
        if self.grid == {}:
            raise ValueError("the grid is empty; name values to choose from, or remove it")
        if self.search is not None and self.grid is None:
            raise ValueError("'search' needs a 'grid' of settings to choose from")
        if len(set(self.runtimes)) != len(self.runtimes):
            raise ValueError("a runtime is named twice")
        return self

    def _check_saved(self) -> None:
        given = [name for name in ("detector", "features", "grid", "limit") if getattr(self, name) is not None]
        if given:
            raise ValueError(f"a saved pipeline is used as it was trained; remove {', '.join(given)}")
        for profile, change in self.profiles.items():
            if change != PipelineOverride(skip=change.skip):
                raise ValueError(f"a saved pipeline is used as it was trained; profile {profile!r} may only skip it")


class Profile(_Strict):
    """A budget: how much data, how many frames, how often."""

    limit: Count | None = Field(default=None, description="most faces of any split")
    train_limit: Count | None = Field(default=None, description="most training faces")
    test_limit: Count | None = Field(default=None, description="most scored faces")
    folds: int | None = Field(default=None, ge=2, description="folds, instead of the dataset's own number")
    datasets: list[DatasetEntry] | None = Field(
        default=None, min_length=1, description="data sets under this profile, instead of the suite's"
    )
    rounds: Count = Field(default=2, description="timing rounds, each in a new process")
    warmup: Annotated[int, Field(ge=0)] = Field(default=20, description="frames before the clock counts")
    min_frames: Count = Field(default=64, description="frames timed in a round, at least")
    min_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=2.0, description="seconds timed in a round, at least"
    )
    cell_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="most seconds for one cell: one that takes longer is killed and becomes a failed row"
    )


class Suite(_Strict):
    """What to measure."""

    schema_version: Literal[1] = Field(alias="schema", description="version of the suite format")
    name: str = Field(pattern=_ID)
    description: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    datasets: list[DatasetEntry] = Field(min_length=1)
    pipelines: list[PipelineEntry] = Field(min_length=1)
    scenarios: list[str] = Field(default=["single-stream"], description="how to time; an empty list times nothing")
    frames: str | None = Field(
        default=None,
        description="what is timed, where it is not the scored images: synthetic-640x480, synthetic-stream-640x480, "
        "or either with -jpeg",
    )
    devices: list[str] = Field(default=["cpu(threads=1)"], min_length=1, description="cpu(threads=1|all) or gpu")
    corruptions: Corruptions | None = Field(default=None, description="score every row on spoilt faces, too")
    cross: Cross | None = Field(default=None, description="score every pipeline on the data sets it did not learn from")
    profiles: dict[str, Profile] = Field(default_factory=dict, description="the first one is the default")
    _folder: Path = PrivateAttr(default=Path())
    _places: dict[str, str] = PrivateAttr(default_factory=dict)
    _dataset_places: dict[str | None, dict[str, str]] = PrivateAttr(default_factory=dict)

    @field_validator("schema_version", mode="before")
    @classmethod
    def _is_a_whole_number(cls, version: object) -> object:
        if isinstance(version, bool | float):  # which Python takes for 1
            raise ValueError(f"the version of the suite format is 1, not {version}")
        return version

    @field_validator("scenarios")
    @classmethod
    def _can_be_timed(cls, names: list[str]) -> list[str]:
        for name in names:
            try:
                parse_scenario(name)
            except FerbenchError as error:
                raise ValueError(str(error)) from error
        return names

    @field_validator("frames")
    @classmethod
    def _are_frames(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                check_frames(name)
            except FerbenchError as error:
                raise ValueError(str(error)) from error
        return name

    @field_validator("devices")
    @classmethod
    def _are_devices(cls, names: list[str]) -> list[str]:
        for name in names:
            parse_device(name)
        return names

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        for what, place, names in (
            ("pipeline", ["pipelines"], [p.id for p in self.pipelines]),
            *(("dataset", place, [d.name for d in entries]) for place, entries in self._all_datasets()),
        ):
            seen: set[str] = set()
            for index, name in enumerate(names):
                if name in seen:
                    raise PlacedError(f"two entries for {what} {name!r}", *place, index)
                seen.add(name)
        for index, pipeline in enumerate(self.pipelines):
            unknown = sorted(set(pipeline.profiles) - set(self.profiles))
            if unknown:
                raise PlacedError(
                    f"pipeline {pipeline.id!r} names the profile {unknown[0]!r}; "
                    f"the suite has {', '.join(self.profiles) or 'none'}",
                    *("pipelines", index, "profiles", unknown[0]),
                )
        return self

    def _all_datasets(self) -> list[tuple[list[str], list[DatasetEntry]]]:
        """The suite's data sets, and those of profiles that have their own; each with its place in the file."""
        own = [
            (["profiles", name, "datasets"], p.datasets) for name, p in self.profiles.items() if p.datasets is not None
        ]
        return [(["datasets"], self.datasets), *own]

    @model_validator(mode="after")
    def _shifts_are_sound(self) -> Self:
        known = [p.id for p in self.pipelines]
        if self.corruptions is not None and self.corruptions.baseline not in (None, *known):
            unknown = UnknownNameError("baseline: no pipeline", str(self.corruptions.baseline), known)
            raise PlacedError(str(unknown), "corruptions", "baseline")
        fitted = [p.id for p in self.pipelines if p.saved is None]
        for place, entries in self._all_datasets():
            if self.cross is not None and len(entries) < 2:
                raise PlacedError("'cross' needs two data sets or more", *place)
            for index, one in enumerate(entries):
                if one.train is None and fitted and self.cross is None:
                    raise PlacedError(
                        f"nothing is learnt from {one.name} (train: null), but {fitted[0]!r} is no saved pipeline; "
                        "add 'cross:' to score it with what it learnt elsewhere",
                        *place,
                        index,
                        "train",
                    )
        return self

    def locate(self, folder: Path, place: Callable[[Sequence[str | int]], str]) -> None:
        """Remember where the suite was read from: no part of what it says, but of messages and relative paths.

        Parameters
        ----------
        folder : Path
            Where relative paths of saved pipelines start.
        place : callable
            Gives file and line of a path of keys and positions, such as ``("pipelines", 2)``.
        """
        self._folder = folder
        self._places = {entry.id: place(("pipelines", i)) for i, entry in enumerate(self.pipelines)}
        self._dataset_places = {
            path[1] if len(path) > 1 else None: {entry.name: place((*path, i)) for i, entry in enumerate(entries)}
            for path, entries in self._all_datasets()
        }

    @property
    def folder(self) -> Path:
        """The folder that relative paths of saved pipelines start from."""
        return self._folder

    def place(self, pipeline: str) -> str:
        """File and line of a pipeline's entry, for messages."""
        return self._places.get(pipeline, f"suite {self.name}, pipeline {pipeline!r}")

    def dataset_place(self, name: str) -> str:
        """File and line of a data set's entry, for messages."""
        return self._dataset_places.get(None, {}).get(name, f"suite {self.name}, data set {name!r}")

    def under(self, profile: str | None) -> Suite:
        """The suite with the data sets of a profile, where that has its own.

        Raises
        ------
        UnknownNameError
            If the suite has no such profile.
        """
        name, budget = self.profile(profile)
        if budget.datasets is None:
            return self
        changed = self.model_copy(update={"datasets": budget.datasets})
        changed._dataset_places = {None: self._dataset_places.get(name, {})}
        return changed

    def profile(self, name: str | None) -> tuple[str | None, Profile]:
        """A profile by name; without a name the first one, or the built-in budget where the suite has none.

        Raises
        ------
        UnknownNameError
            If the suite has no such profile.
        """
        if name is None:
            name = next(iter(self.profiles), None)
            return name, self.profiles[name] if name is not None else Profile()
        if name not in self.profiles:
            raise UnknownNameError(f"profile of suite {self.name}:", name, self.profiles)
        return name, self.profiles[name]


def parse_device(text: str) -> tuple[str, int]:
    """Device name and thread count of ``cpu(threads=all)``.

    Raises
    ------
    ValueError
        If the text is no such thing; pydantic turns it into an error with its line.
    """
    try:
        spec = parse_spec(text)
    except FerbenchError as error:
        raise ValueError(str(error)) from error
    threads: Any = spec.params.get("threads", 1)
    if spec.name not in ("cpu", "gpu") or set(spec.params) - {"threads"}:
        raise ValueError(f"unknown device {text!r}; expected cpu(threads=1), cpu(threads=all) or gpu")
    if threads == "all":
        return spec.name, os.cpu_count() or 1
    if not is_integer(threads) or not 1 <= threads <= _MOST_THREADS:
        raise ValueError(f"threads of {text!r} must be a number from 1 to {_MOST_THREADS}, or all")
    return spec.name, threads


def suite_json_schema() -> dict[str, Any]:
    """JSON Schema of suite files, for editors."""
    return Suite.model_json_schema(by_alias=True)
