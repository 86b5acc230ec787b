"""The parts of a suite file: data sets, pipelines and profiles, each checked by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ferbench.benchmarks.grid import Grid, Search
from ferbench.errors import FerbenchError
from ferbench.registry import entry
from ferbench.specs import parse_spec

__all__ = ["ID", "DatasetEntry", "PipelineEntry", "PipelineOverride", "Profile", "Strict"]

ID = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"
"""What rows and suites may be called: folders and files are named after them."""


class Strict(BaseModel):
    """A part of a suite, without unknown keys."""

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


class DatasetEntry(Strict):
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


class PipelineOverride(Strict):
    """What a profile changes about one pipeline."""

    detector: DetectorSpec | None = None
    features: FeatureSpec | None = None
    classifier: ClassifierSpec | None = None
    grid: Grid | None = Field(default=None, description="another grid; an empty one tunes nothing")
    limit: Count | None = Field(default=None, description="most training faces for this pipeline")
    skip: bool = Field(default=False, description="leave the pipeline out under this profile")


class PipelineEntry(Strict):
    """One pipeline, from its parts, from a preset, or trained already; one row for each of its runtimes."""

    id: str = Field(pattern=ID, description="name of the row")
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


class Profile(Strict):
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
