"""The table as a whole: every code has a page, results travel, codes are read strictly, nothing breaks on odd runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ferbench.benchmarks.cells import CellError
from ferbench.benchmarks.checks.evidence import Evidence
from ferbench.benchmarks.checks.table import CHECKS, PAGES, page_of, parse_codes, run_checks
from ferbench.benchmarks.records import Summary
from ferbench.errors import UnknownNameError
from tests.benchmarks.checks.made_up import majority, row, summary

DOCS = Path(__file__).resolve().parents[3] / "docs" / "checks"


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {path.stem for path in PAGES.iterdir()} == set(CHECKS)
    assert {path.name for path in DOCS.iterdir()} == {path.name for path in PAGES.iterdir()}


@pytest.mark.parametrize("code", CHECKS)
def test_a_page_says_what_is_found_why_it_matters_and_what_to_do(code: str) -> None:
    text = page_of(code)
    assert text.startswith(f"# {code}: {CHECKS[code].title}\n\nSeverity: {CHECKS[code].severity}.\n")
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["What it finds", "Why it matters", "What to do"]
    assert [line for line in text.splitlines() if len(line) > 80] == []  # it is printed in terminals


@pytest.mark.parametrize("code", CHECKS)
def test_files_that_a_page_names_exist(code: str) -> None:
    named = re.findall(r"`(docs/[\w/.-]+)`", page_of(code))
    assert [name for name in named if not (DOCS.parents[1] / name).is_file()] == []


def test_codes_are_in_order_and_each_check_says_what_holds_and_what_to_do() -> None:
    assert list(CHECKS) == sorted(CHECKS)
    assert all(re.fullmatch(r"FB\d{3}", code) and check.passed and check.action for code, check in CHECKS.items())


def test_results_come_in_the_order_of_the_codes_and_survive_json() -> None:
    results = run_checks(Evidence(summary(row("hog"))))
    assert [one.code for one in results] == list(CHECKS)
    stored = summary(row("hog"), checks=results, ignored_checks=["FB001"])
    assert Summary.model_validate_json(stored.model_dump_json()) == stored
    found = [one for one in results if one.status == "found"]
    assert found
    assert all(finding.action for one in found for finding in one.findings)


@pytest.mark.parametrize(
    "made",
    [
        summary(),
        summary(datasets=[]),
        summary(row("hog", quality=None, latency=[], status="failed", error=CellError(type="E", message="m"))),
        summary(majority()),
        summary(row("hog", runtime="of(another", classifier="version"), environment={"state": "unknown"}),
    ],
)
def test_no_check_stumbles_over_a_run_that_lacks_things(made: Summary) -> None:
    assert {one.status for one in run_checks(Evidence(made, plan={"suite": None}))} <= {
        "found",
        "passed",
        "not-applicable",
    }


def test_codes_are_read_from_lists_in_any_case_and_unknown_ones_refused() -> None:
    assert parse_codes(["FB013,fb007", " FB007 "]) == ("FB007", "FB013")
    assert parse_codes([]) == ()
    with pytest.raises(UnknownNameError, match="did you mean"):
        parse_codes(["FB07"])
