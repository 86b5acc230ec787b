"""Suites: what to measure (datasets, scenarios), on whom (pipelines) and at what cost (profiles).

A suite is data, validated strictly: an unknown key, a component that does not exist or a protocol that would select
on its own test split is an error before anything runs. :mod:`ferbench.benchmarks.suite_file` reads it from YAML.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from ferbench.benchmarks.frames import check_frames
from ferbench.benchmarks.scenarios import parse_scenario
from ferbench.benchmarks.shifts import Corruptions, Cross
from ferbench.benchmarks.suite_entries import ID, DatasetEntry, PipelineEntry, Profile, Strict
from ferbench.checks import is_integer
from ferbench.errors import FerbenchError, UnknownNameError
from ferbench.specs import parse_spec

__all__ = ["PlacedError", "Suite", "parse_device", "suite_json_schema"]

_MOST_THREADS = 1024  # no machine that this runs on has more cores; libraries would start them all


class PlacedError(ValueError):
    """A mistake that only the suite as a whole shows, and its place in it, such as ``("pipelines", 2)``."""

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place


class Suite(Strict):
    """What to measure."""

    schema_version: Literal[1] = Field(alias="schema", description="version of the suite format")
    name: str = Field(pattern=ID)
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
