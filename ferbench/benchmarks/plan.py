"""Expansion of a suite into cells: pure, ordered, countable before anything runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ferbench.benchmarks.cells import SCHEMA, SCORED, Cell, digest
from ferbench.benchmarks.facts import DatasetFacts
from ferbench.benchmarks.pretrained import SavedPipeline, check_saved
from ferbench.benchmarks.records import PublishedFigures
from ferbench.benchmarks.rows import Row, rows_of
from ferbench.benchmarks.suite import Suite, parse_device
from ferbench.benchmarks.suite_entries import DatasetEntry, Profile
from ferbench.benchmarks.transfer import Refusal, Target, corruption_cells, fitted_transfers, saved_transfer
from ferbench.errors import InvalidSuiteError, UnknownNameError
from ferbench.pipelines.spec import Family

__all__ = ["Plan", "expand", "needed_splits"]


@dataclass(frozen=True)
class Plan:
    """The cells of a suite under one profile.

    Attributes
    ----------
    suite, profile_name, profile
        What was expanded.
    facts : dict of str to DatasetFacts
        The datasets by spec.
    machine : str
        Fingerprint of the machine on which latency cells count.
    cells : tuple of Cell
        In dependency order: fits, quality, latency.
    families : dict of str to str
        ``baseline``, ``classical`` or ``deep`` for each row.
    saved : dict of str to SavedPipeline
        The rows that come trained.
    published : dict of str to PublishedFigures
        What authors say of the systems that rows follow.
    refused : tuple of Refusal
        Cells of the cross-dataset matrix that would mean nothing.
    """

    suite: Suite
    profile_name: str | None
    profile: Profile
    facts: Mapping[str, DatasetFacts]
    machine: str
    cells: tuple[Cell, ...]
    families: Mapping[str, Family]
    saved: Mapping[str, SavedPipeline] = field(default_factory=dict)
    published: Mapping[str, PublishedFigures] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()

    @property
    def digest(self) -> str:
        """What makes two runs the same run: suite, profile, data, saved pipelines' content, machine and schema."""
        suite = self.suite.model_dump(mode="json")
        contents = {saved.name: saved.content for saved in self.saved.values()}
        for entry in suite["pipelines"]:
            # A saved pipeline counts by its content; the others are as they were before there were saved ones.
            if (name := entry.pop("saved")) is not None:
                entry["saved"] = contents.get(name, "")
            if entry["published"] is None:
                del entry["published"]
            # Likewise those that are not tuned.
            for part in (entry, *entry["profiles"].values()):
                for key in ("grid", "search"):
                    if part.get(key) is None:
                        part.pop(key, None)
        for budget in suite["profiles"].values():
            # A time limit decides which cells end, not what comes of them: with a longer one the same run goes on.
            del budget["cell_seconds"]
        # Suites that ask for none of these are as they were before there were any.
        asked = [(suite, key) for key in ("corruptions", "cross", "frames")]
        asked += [(one, "datasets") for one in suite["profiles"].values()]
        for part, key in asked:
            if part[key] is None:
                del part[key]
        return digest(
            {
                "suite": suite,
                "profile": self.profile_name,
                "revisions": {spec: facts.revision for spec, facts in self.facts.items()},
                "machine": self.machine,
                "schema": SCHEMA,
            }
        )[:8]

    @cached_property
    def machines(self) -> tuple[str, ...]:
        """Fingerprints of the machines of its latency cells; several in a merged run."""
        return tuple(dict.fromkeys(cell.machine for cell in self.cells if cell.machine is not None))

    def of_kind(self, kind: str) -> list[Cell]:
        """The cells of one kind, in order."""
        return [cell for cell in self.cells if cell.kind == kind]

    def only(self, rows: Sequence[str] = (), *, latency: bool = True) -> list[Cell]:
        """The cells of some rows (all of them where none is named), latency cells left out on request.

        Raises
        ------
        UnknownNameError
            If no row has such a name.
        """
        names = {cell.row for cell in self.cells if cell.kind in SCORED}
        bases = {name.split("@")[0] for name in names}
        for row in rows:
            if row not in names | bases:
                raise UnknownNameError(f"row of suite {self.suite.name}:", row, names)
        chosen = {name for name in names if not rows or name in rows or name.split("@")[0] in rows}
        wanted = {cell.id: cell for cell in self.cells if cell.row in chosen and (latency or cell.kind != "latency")}
        fits = {cell.options["fit"] for cell in wanted.values() if "fit" in cell.options}
        return [cell for cell in self.cells if cell.id in (fits if cell.kind == "fit" else wanted)]


def needed_splits(suite: Suite, entry: DatasetEntry) -> tuple[str, ...]:
    """Splits that the protocol of a dataset reads: without a pipeline to fit, no training split."""
    if entry.protocol == "subject-kfold":
        return ("all",)
    is_fitting = any(pipeline.saved is None for pipeline in suite.pipelines)
    is_tuning = entry.tune is not None and any(p.search is not None and p.search.by == "tune" for p in suite.pipelines)
    tune = (entry.tune,) if is_tuning and entry.tune is not None else ()
    return (entry.train, *tune, entry.test) if is_fitting and entry.train is not None else (entry.test,)


def expand(
    suite: Suite,
    profile: str | None,
    facts: Mapping[str, DatasetFacts],
    *,
    machine: str,
    saved: Mapping[str, SavedPipeline] | None = None,
) -> Plan:
    """All cells of a suite under a profile.

    Parameters
    ----------
    suite : Suite
    profile : str or None
        Name of a profile; None takes the first.
    facts : mapping of dataset spec to DatasetFacts
        One for each dataset of the suite.
    machine : str
        Fingerprint of this machine.
    saved : mapping of pipeline id to SavedPipeline
        One for each pipeline of the suite that is saved already.

    Raises
    ------
    InvalidSuiteError
        If two rows turn out to be the same pipeline, subjects are needed and unknown, or a saved pipeline would be
        scored on what it learnt from or among expressions that it does not know.
    ParameterError
        If a runtime cannot run a classifier, or a network is given features.
    """
    name, budget = suite.profile(profile)
    rows = rows_of(suite, name, saved or {})
    cells: dict[str, Cell] = {}
    refused: list[Refusal] = []
    targets = {entry.name: _target(suite, budget, entry, facts[entry.name]) for entry in suite.datasets}
    place = {row.name: suite.place(row.name.split("@")[0]) for row in rows}
    for entry in suite.datasets:
        here = []
        for row in rows:
            away: Cell | Refusal | None = None
            if row.saved is not None and suite.cross is not None:
                target = targets[entry.name]
                away = saved_transfer(suite.cross, row.name, row.saved, row.pipeline, target, place[row.name])
            elif row.saved is not None:
                check_saved(row.saved, facts[entry.name], targets[entry.name].split, place[row.name])
            if isinstance(away, Cell):
                cells.setdefault(away.id, away)
            elif away is not None:
                refused.append(away)
            elif row.saved is not None or entry.train is not None:
                here.append(row)
        for cell in _dataset_cells(suite, budget, entry, facts[entry.name], here, machine):
            cells.setdefault(cell.id, cell)
    if suite.cross is not None:
        others, without = fitted_transfers(suite.cross, tuple(cells.values()), targets, place)
        refused += without
        for cell in others:
            cells.setdefault(cell.id, cell)
    order = {"fit": 0, "quality": 1, "robustness": 2, "cross": 3, "latency": 4}
    ordered = tuple(sorted(cells.values(), key=lambda cell: order[cell.kind]))
    families = {row.name: row.parts.family for row in rows}
    trained = {row.name: row.saved for row in rows if row.saved is not None}
    published = {row.name: row.published for row in rows if row.published is not None}
    return Plan(suite, name, budget, facts, machine, ordered, families, trained, published, tuple(refused))


def _target(suite: Suite, budget: Profile, entry: DatasetEntry, facts: DatasetFacts) -> Target:
    """What is scored of a data set."""
    if entry.protocol == "subject-kfold":
        return Target(facts, "all", budget.limit, suite.seed)
    return Target(facts, entry.test, _least(budget.test_limit, budget.limit), suite.seed)


def _dataset_cells(
    suite: Suite, budget: Profile, entry: DatasetEntry, facts: DatasetFacts, rows: Sequence[Row], machine: str
) -> list[Cell]:
    common: dict[str, Any] = {"dataset": entry.name, "revision": facts.revision, "seed": suite.seed}
    folds: list[dict[str, int]] = [{}]
    train, test, whole = entry.train or "", entry.test, None
    if entry.protocol == "subject-kfold":
        n_folds = budget.folds or entry.folds or 2
        _check_folds(suite, entry, facts, n_folds, budget.limit)
        folds = [{"fold": i, "n_folds": n_folds} for i in range(n_folds)]
        # A limit cuts the whole set before it is folded, so that training and scored faces come from one cut.
        train, test, whole = "all", "all", budget.limit
    cells: list[Cell] = []
    for row in rows:
        train_limit = whole if entry.folds else _least(budget.train_limit, budget.limit, row.limit)
        test_limit = whole if entry.folds else _least(budget.test_limit, budget.limit)
        common |= {"row": row.name, "train_split": train if row.saved is None else ""}
        for fold in folds:
            if row.saved is None:
                options = _search_options(suite, budget, entry, row)
                fit = Cell(
                    kind="fit",
                    pipeline=row.fit_spec,
                    eval_split="",
                    limit=train_limit,
                    options=options,
                    **common,
                    **fold,
                )
                cells.append(fit)
                source = {"fit": fit.id}
            else:
                source = {"saved": row.saved.content}
            scored = {**common, **fold, "pipeline": row.pipeline, "eval_split": test, "limit": test_limit}
            quality = Cell(kind="quality", options=source, **scored)
            cells += [quality, *corruption_cells(suite.corruptions, quality)]
            # Folds differ in data, not in cost: the first fold's artefact is timed.
            if not fold.get("fold"):
                cells += _latency_cells(suite, budget, source, scored, machine)
    return cells


def _check_folds(suite: Suite, entry: DatasetEntry, facts: DatasetFacts, n_folds: int, limit: int | None) -> None:
    """Refuse more folds than there are subjects, or faces of the largest class, within a limit in its proportion."""
    everybody = facts.splits["all"]
    label, largest = max(everybody.class_counts.items(), key=lambda item: item[1], default=("", everybody.n))
    if limit is not None and limit < everybody.n:
        largest = math.ceil(limit * largest / everybody.n)
    if everybody.n_subjects is None:
        got = "no known subjects"
    elif everybody.n_subjects < n_folds:
        got = f"{everybody.n_subjects} subjects"
    elif largest < n_folds:
        got = f"{largest} faces of {label}, its largest class"
    else:
        return
    raise InvalidSuiteError(
        f"{suite.dataset_place(entry.name)}: {n_folds} subject-independent folds of {entry.name} are impossible",
        got=got,
        fix="take fewer folds" if everybody.n_subjects is not None else "use official splits (protocol: splits)",
    )


def _search_options(suite: Suite, budget: Profile, entry: DatasetEntry, row: Row) -> dict[str, Any]:
    """What a fit cell must know of its search; empty where nothing is tuned."""
    if not row.grid:
        return {}
    search = row.search.model_dump(mode="json")
    if row.search.by == "tune":
        if entry.protocol == "subject-kfold" or entry.tune is None:
            raise InvalidSuiteError(
                f"{suite.place(row.name.split('@')[0])}: settings cannot be chosen on the tune split of {entry.name}",
                got="folds, of which none is set aside" if entry.protocol == "subject-kfold" else "no tune split",
                fix="name one (tune: val), or choose by folds of the training faces (search: {by: folds})",
            )
        del search["folds"]
        search |= {"split": entry.tune, "limit": _least(budget.test_limit, budget.limit)}
    return {"grid": dict(row.grid), "search": search}


def _latency_cells(
    suite: Suite, budget: Profile, source: dict[str, str], scored: dict[str, Any], machine: str
) -> list[Cell]:
    options = {
        **source,
        "frames": suite.frames or "dataset",
        "warmup": budget.warmup,
        "min_frames": budget.min_frames,
        "min_seconds": budget.min_seconds,
    }
    common = {**scored, "kind": "latency", "machine": machine, "options": options}
    return [
        Cell.model_validate({**common, "scenario": scenario, "device": device, "threads": threads, "round": number})
        for scenario in suite.scenarios
        for device, threads in map(parse_device, suite.devices)
        for number in range(budget.rounds)
    ]


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
