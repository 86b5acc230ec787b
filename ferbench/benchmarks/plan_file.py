"""A plan as its run keeps it: ``plan.json`` beside ``suite.yaml``, and back from there without the data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from ferbench.benchmarks.cells import SCHEMA, Cell
from ferbench.benchmarks.facts import DatasetFacts
from ferbench.benchmarks.plan import Plan, expand
from ferbench.benchmarks.pretrained import SavedPipeline, read_saved
from ferbench.benchmarks.store import Run
from ferbench.benchmarks.suite_file import parse_suite
from ferbench.errors import ModelFileError, RunError

__all__ = ["plan_record", "read_plan"]


def plan_record(plan: Plan) -> dict[str, Any]:
    """The plan as JSON data."""
    return {
        "schema": SCHEMA,
        "suite": plan.suite.model_dump(mode="json", by_alias=True),
        "profile": plan.profile_name,
        "machine": plan.machine,
        "datasets": {spec: facts.model_dump(mode="json") for spec, facts in plan.facts.items()},
        "saved": {row: saved.record().model_dump(mode="json") for row, saved in plan.saved.items()},
        "cells": [{"id": cell.id, **cell.model_dump(mode="json")} for cell in plan.cells],
    }


def read_plan(run: Run) -> Plan:
    """The plan of a stored run: its suite, the data sets as they were, and the very cells that it planned.

    Raises
    ------
    RunError
        If its files are missing or damaged.
    """
    record = run.read_json("plan.json")
    try:
        text = (run.folder / "suite.yaml").read_text(encoding="utf-8")
        facts = {spec: DatasetFacts.model_validate(one) for spec, one in record["datasets"].items()}
        cells = [{key: value for key, value in cell.items() if key != "id"} for cell in record["cells"]]
        planned = tuple(Cell.model_validate(cell) for cell in cells)
        saved = _saved(run, record.get("saved", {}))
        profile, machine = record["profile"], record["machine"]
    except (OSError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise RunError(
            f"cannot read the plan of {run.folder}",
            got=str(error).splitlines()[0],
            fix="run its suite again with --new",
        ) from error
    suite = parse_suite(text).under(profile)
    return replace(expand(suite, profile, facts, machine=machine, saved=saved), cells=planned)


def _saved(run: Run, records: Mapping[str, Any]) -> dict[str, SavedPipeline]:
    """The pipelines that came trained, from the copies in the run, by the id of their entry in the suite."""
    found = {}
    for row, record in records.items():
        folder = run.folder / "artefacts" / record["content"]
        try:
            found[row.split("@")[0]] = replace(read_saved(".", folder), name=record["name"])
        except ModelFileError as error:
            raise RunError(
                f"{run.folder} has no copy of {record['name']}",
                got=f"nothing at {folder}",
                fix="run its suite to the end",
            ) from error
    return found
