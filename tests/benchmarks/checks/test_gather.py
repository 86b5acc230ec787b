"""Checks of stored runs: done where they are missing, ignored codes kept, nothing written without need."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ferbench.benchmarks.checks.gather import checked_summary, remember_ignored
from ferbench.benchmarks.records import Summary
from ferbench.benchmarks.store import Run
from tests.benchmarks.checks.made_up import plan, row, summary


@pytest.fixture
def stored(tmp_path: Path) -> Run:
    made = summary(row("hog"), environment={})
    frozen = {"plan.json": json.dumps(plan(tune="test")).encode(), "summary.json": made.model_dump_json().encode()}
    return Run.create(tmp_path, "run", "key", frozen)


def test_a_run_from_before_there_were_checks_is_checked_with_its_plan(stored: Run) -> None:
    found = {one.code for one in checked_summary(stored.folder).checks if one.status == "found"}
    assert {"FB001", "FB012"} <= found  # the plan says that settings may be chosen on the scored split


def test_a_summary_without_the_fields_of_checks_is_read(stored: Run) -> None:
    path = stored.folder / "summary.json"
    old = json.loads(path.read_text())
    del old["checks"], old["ignored_checks"]
    path.write_text(json.dumps(old))
    assert checked_summary(stored.folder).checks


def test_ignored_codes_are_stored_and_forgotten_again(stored: Run) -> None:
    first = remember_ignored(stored, stored.summary(), ("FB001",))
    assert first.ignored_checks == stored.summary().ignored_checks == ["FB001"]
    assert stored.summary().checks == first.checks
    assert "FB001" in {one.code for one in first.checks}  # the finding itself is kept
    remember_ignored(stored, stored.summary(), ())
    assert stored.summary().ignored_checks == []


def test_nothing_is_written_where_nothing_changes(stored: Run) -> None:
    path = stored.folder / "summary.json"
    before = path.read_bytes()
    assert isinstance(remember_ignored(stored, stored.summary(), ()), Summary)
    assert path.read_bytes() == before
