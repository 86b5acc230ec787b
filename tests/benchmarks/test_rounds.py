"""Rounds of timing within a run: what the plan makes of scenarios and frames, and a guard that refuses."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from ferbench.benchmarks import guard, rounds
from ferbench.benchmarks.estimate import estimate_cell
from ferbench.benchmarks.latency import frames_needed, measure_latency
from ferbench.benchmarks.plan import Plan
from ferbench.benchmarks.runner import RunOptions, make_plan, open_run, run_plan
from ferbench.benchmarks.suite_file import parse_suite
from ferbench.cli.show import _run as describe
from ferbench.reports import build_report

SUITE = """\
schema: 1
name: paced
datasets: [{name: "synthetic(kind=crops, n_train=42, n_val=0, n_test=21)"}]
pipelines: [{id: majority, classifier: majority}]
scenarios: [single-stream, multi-stream(streams=2), fixed-rate(hz=60), fixed-rate(hz=auto)]
profiles: {quick: {rounds: 1, warmup: 2, min_frames: 20, min_seconds: 0.1}}
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERBENCH_CACHE", str(tmp_path / "cache"))


def planned(text: str = SUITE) -> Plan:
    return make_plan(parse_suite(text), None)


def test_a_scenario_is_a_cell_with_the_frames_and_the_time_that_it_needs() -> None:
    plan = planned()
    cells = {cell.scenario: cell for cell in plan.of_kind("latency")}
    assert list(cells) == ["single-stream", "multi-stream(streams=2)", "fixed-rate(hz=60)", "fixed-rate(hz=auto)"]
    # 20 arrivals of two frames each, and the warm-up.
    assert frames_needed(cells["multi-stream(streams=2)"]) == 42
    assert estimate_cell(cells["fixed-rate(hz=auto)"], plan) > 20 > estimate_cell(cells["fixed-rate(hz=60)"], plan)


def test_frames_are_part_of_what_is_measured_and_old_runs_are_found_again() -> None:
    video = planned(SUITE + "frames: synthetic-stream-320x240\n")
    assert {cell.options["frames"] for cell in video.of_kind("latency")} == {"synthetic-stream-320x240"}
    assert {cell.options["frames"] for cell in planned().of_kind("latency")} == {"dataset"}
    assert video.digest != planned().digest
    assert {cell.id for cell in video.of_kind("fit")} == {cell.id for cell in planned().of_kind("fit")}


@pytest.mark.alone
def test_every_scenario_reaches_the_summary_the_report_and_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Worker, clock and frames are the real ones; a pipeline that imports nothing spares four imports of scikit-learn.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(rounds, "measure_latency", partial(measure_latency, loader="worker_pipelines:instant"))
    plan, options = planned(SUITE + "frames: synthetic-stream-160x120-jpeg\n"), RunOptions(runs=tmp_path / "runs")
    outcome = run_plan(plan, open_run(plan, options, SUITE), options, "ferbench run paced")
    (row,) = outcome.summary.rows
    by_name = {latency.scenario: latency for latency in row.latency}
    assert {latency.frames for latency in row.latency} == {
        "160×120 frames of a generated video, JPEG decoding included"
    }
    together = by_name["multi-stream(streams=2)"].together
    assert together is not None
    assert together.n >= 20
    fixed, searched = (by_name[f"fixed-rate(hz={hz})"].fixed_rate for hz in ("60", "auto"))
    assert fixed is not None
    assert searched is not None
    assert (fixed.hz, fixed.is_searched, searched.is_searched) == (60, False, True)
    assert all(latency.usage and latency.repeats and latency.energy for latency in row.latency)
    assert "decode" in by_name["single-stream"].stages

    html, markdown = (path.read_text() for path in build_report(outcome.run.folder, ("html", "md")))
    for text in (html, markdown):
        assert "Cameras" in text
        assert "While the clock ran" in text
        assert "fixed-rate(hz=auto)" in text
    shown = describe(outcome.run.folder)
    assert "all answered in" in shown["rows"][row.dataset][row.row]
    assert "highest rate" in shown["rows"][row.dataset][row.row]
    assert "import" in shown["cold start"][row.dataset][row.row]


@pytest.mark.alone
def test_a_refused_round_is_a_failed_cell_that_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_BUSY_SHARE", -1.0)
    options = RunOptions(runs=tmp_path / "runs", guard="refuse")
    plan = planned(SUITE.replace("single-stream, multi-stream(streams=2), fixed-rate(hz=60), ", ""))
    outcome = run_plan(plan, open_run(plan, options, SUITE), options, "ferbench run paced")
    (row,) = outcome.summary.rows
    assert row.latency == []
    assert row.error is not None
    assert row.error.type == "BusyMachineError"
    assert "not fit to time anything" in row.error.message
