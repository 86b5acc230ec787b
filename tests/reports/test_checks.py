"""Checks in the reports: counted, worst first, told once, and left out only where that is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ferbench.benchmarks.cells import CellError
from ferbench.benchmarks.checks.results import CheckResult, Finding
from ferbench.benchmarks.records import Summary
from ferbench.cli import main
from ferbench.errors import UnknownNameError
from ferbench.reports import build_report
from ferbench.reports.checks import checks_view
from ferbench.reports.context import build_context
from ferbench.reports.html import render_html
from ferbench.reports.markdown import render_markdown


def finding(severity: str, text: str) -> Finding:
    return Finding.model_validate({"severity": severity, "text": text, "action": "Mend it."})


def found(code: str, *findings: Finding) -> CheckResult:
    severity = findings[0].severity
    return CheckResult(code=code, title=f"Title {code}", severity=severity, status="found", findings=list(findings))


CHECKS = [
    found("FB001", finding("note", "A note.")),
    found("FB002", finding("warning", "A <b>warning</b>."), finding("note", "Another note.")),
    found("FB003", finding("error", "An error.")),
    CheckResult(code="FB004", title="Title FB004", severity="note", status="passed", text="all is well"),
    CheckResult(code="FB005", title="Title FB005", severity="note", status="not-applicable", text="no clock"),
]


@pytest.fixture
def checked(make_summary: Callable[..., Summary]) -> Summary:
    return make_summary(checks=CHECKS)


def test_findings_come_worst_first_and_are_counted(checked: Summary) -> None:
    view = checks_view(checked)
    assert [(check.code, one.severity) for check, one in view.findings] == [
        ("FB003", "error"), ("FB002", "warning"), ("FB001", "note"), ("FB002", "note"),
    ]  # fmt: skip
    assert view.headline == "1 error, 1 warning and 2 notes"
    assert not view.is_strictly_clean


def test_nothing_found_is_not_said_of_rows_that_failed(make_summary: Callable[..., Summary]) -> None:
    clean = make_summary(checks=CHECKS[3:], n_failed=0)
    whole = [row.model_copy(update={"status": "ok", "error": None}) for row in clean.rows]
    failed = whole[0].model_copy(update={"status": "failed", "error": CellError(type="ValueError", message="no")})
    for changes, said in (
        ({"rows": whole}, "nothing"),
        ({"rows": whole, "n_failed": 2}, "nothing in what was measured; 2 cells failed or incomplete"),
        ({"rows": whole, "n_missing": 3}, "nothing in what was measured; 3 cells failed or incomplete"),
        ({"rows": [*whole[1:], failed]}, "nothing in what was measured; 1 row failed or incomplete"),
        ({"rows": [failed], "checks": CHECKS}, "1 error, 1 warning and 2 notes"),
    ):
        assert build_context(clean.model_copy(update=changes)).checks_headline == said
    stopped = build_context(clean.model_copy(update={"rows": whole, "n_cells": 90, "n_skipped": 0, "n_missing": 3}))
    assert stopped.summary.cells_text == "90 cells, 0 failed, 0 skipped, 3 not done"
    assert "Not all was done (90 cells, 0 failed, 0 skipped, 3 not done)" in stopped.unfinished_text
    context = build_context(clean.model_copy(update={"rows": [failed]}))
    assert ">Checks found nothing in what was measured; 1 row failed or incomplete</h2>" in render_html(context)
    assert "Found nothing in what was measured; 1 row failed or incomplete; " in render_markdown(context)


def test_an_ignored_check_is_counted_nowhere_and_named(checked: Summary) -> None:
    view = checks_view(checked.model_copy(update={"ignored_checks": ["FB002"]}), ["FB003"])
    assert view.headline == "1 note"
    assert [check.code for check in view.ignored] == ["FB002", "FB003"]
    assert view.is_strictly_clean


def test_both_reports_show_every_finding_once_with_what_to_do(checked: Summary) -> None:
    context = build_context(checked)
    html, markdown = render_html(context), render_markdown(context)
    for words in ("A note.", "Another note.", "An error.", "all is well", "no clock"):
        assert (html.count(words), markdown.count(words)) == (1, 1)
    assert "A &lt;b&gt;warning&lt;/b&gt;." in html
    assert html.index('id="checks"') < html.index('id="verdict"')
    assert markdown.index("## Checks") < markdown.index("## Verdict")
    assert html.index("An error.") < html.index("A &lt;b&gt;") < html.index("A note.")
    assert html.count("Mend it.") == markdown.count("Mend it.") == 4


def test_both_reports_say_what_was_ignored_and_not_what_it_found(checked: Summary) -> None:
    context = build_context(checked, ["FB003"])
    html, markdown = render_html(context), render_markdown(context)
    assert "An error." not in html + markdown
    assert "1 ignored on request" in html
    assert "ignored on request: FB003" in markdown


def test_a_finding_names_its_data_set_where_there_are_several(make_summary: Callable[..., Summary]) -> None:
    one = Finding(severity="note", text="Found.", action="Mend it.", dataset="fer2013")
    made = make_summary(checks=[found("FB001", one)])
    assert checks_view(made).told(one) == "FER2013: Found."
    alone = make_summary(checks=[], datasets=made.datasets[:1])
    assert checks_view(alone).told(one) == "Found."


def test_a_summary_from_before_there_were_checks_is_checked_by_what_it_holds(summary: Summary) -> None:
    view = build_context(summary).checks
    assert view.n_all > 20
    assert {check.code for check in view.not_applicable} >= {"FB010", "FB011"}
    assert "FB013" in {check.code for check in view.found}


def test_strict_is_one_after_the_files_are_written(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run_folder), "--strict"]) == 1
    said = capsys.readouterr()
    assert "the checks found" in said.err
    assert (run_folder / "report" / "index.html").is_file()


def test_strict_is_content_where_what_was_found_is_ignored(run_folder: Path, checked: Summary) -> None:
    (run_folder / "summary.json").write_text(checked.model_copy(update={"n_failed": 0}).model_dump_json())
    assert main(["report", str(run_folder), "--strict"]) == 1
    assert main(["report", str(run_folder), "--strict", "--ignore", "fb002,FB003"]) == 0
    assert "ignored on request: FB002 and FB003" in (run_folder / "report" / "report.md").read_text()


def test_strict_is_not_content_with_failed_cells(
    run_folder: Path, checked: Summary, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_folder / "summary.json").write_text(checked.model_copy(update={"n_failed": 2, "checks": []}).model_dump_json())
    every = [f"FB{i:03}" for i in range(1, 22)]
    assert main(["report", str(run_folder), "--strict", "--ignore", ",".join(every), "--format", "md"]) == 1
    assert capsys.readouterr().err == "ferbench: --strict: 2 cells failed\n"


def test_an_unknown_code_is_refused_before_anything_is_written(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(run_folder), "--ignore", "FB07"]) == 2
    assert "unknown check 'FB07'; did you mean" in capsys.readouterr().err
    assert not (run_folder / "report").exists()
    with pytest.raises(UnknownNameError):
        build_report(run_folder, ignore=["FB07"])


def test_a_check_is_explained_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "fb007"]) == 0
    assert capsys.readouterr().out.startswith("# FB007: ")
    assert main(["show", "FB007", "--json"]) == 0
    (page,) = json.loads(capsys.readouterr().out)
    assert (page["code"], page["severity"]) == ("FB007", "warning")
    assert main(["show", "FB999"]) == 2
    assert "unknown check 'FB999'" in capsys.readouterr().err
    assert main(["list", "checks"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 20
