"""``best``: the most accurate pipeline of a run that is quick enough, and a clear error where there is none."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ferbench.benchmarks.environment import machine_fingerprint
from ferbench.benchmarks.store import Run
from ferbench.benchmarks.threads import available_cores
from ferbench.errors import ParameterError, RunError
from ferbench.realtime.choice import choose_pipeline


def made_up_row(name: str, accuracy: float, ms: float | None, **changes: Any) -> SimpleNamespace:
    estimate = SimpleNamespace(value=accuracy, low=accuracy - 0.02, high=accuracy + 0.02)
    time = SimpleNamespace(
        scenario="single-stream", device="cpu", threads=1, frames="640×480 photos", machine=None,
        stages={"total": SimpleNamespace(p50=ms)},
    )  # fmt: skip
    values = {
        "row": name,
        "dataset": "fer2013",
        "family": "classical",
        "quality": SimpleNamespace(end_to_end={"accuracy": estimate}, n=1000),
        "latency": [] if ms is None else [time],
        "pipeline": SimpleNamespace(detector="haar", runtime="sklearn"),
    }
    return SimpleNamespace(**(values | changes))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of five rows, made up: quick, better, best and too slow, never timed, and a baseline."""
    rows = [
        made_up_row("quick", 0.50, 1.0),
        made_up_row("better", 0.60, 9.0),
        made_up_row("slow", 0.70, 50.0),
        made_up_row("untimed", 0.90, None),
        made_up_row("majority", 0.95, 0.1, family="baseline"),
    ]
    folder = tmp_path / "runs" / "made-up"
    (folder / "artefacts" / "model").mkdir(parents=True)
    (folder / "artefacts" / "model" / "pipeline.json").write_text("{}")
    (folder / "plan.json").write_text("{}")
    cells = [SimpleNamespace(kind="quality", row=row.row, dataset="fer2013", fold=None) for row in rows]
    datasets = [SimpleNamespace(spec="never-scored"), SimpleNamespace(spec="fer2013")]
    summary = SimpleNamespace(
        datasets=datasets, rows=rows, environment={"fingerprint": machine_fingerprint()}, checks=[]
    )
    monkeypatch.setattr(Run, "summary", lambda self: summary)
    monkeypatch.setattr(Run, "parts", lambda self, repair: {c.row: SimpleNamespace(cell=c) for c in cells})
    monkeypatch.setattr(Run, "artefact", lambda self, cell: self.folder / "artefacts" / "model")
    return folder


@pytest.mark.parametrize(("budget_ms", "name"), [(100, "slow"), (33, "better"), (9, "better"), (2, "quick")])
def test_the_most_accurate_within_the_budget_is_chosen(run: Path, budget_ms: float, name: str):
    assert choose_pipeline(run, budget_ms).row == name


def test_the_choice_says_what_it_rests_on(run: Path):
    assert str(choose_pipeline(run, 33)) == (
        "best: better, right on 60.0 % (95 % interval 58.0 to 62.0) of 1000 faces of fer2013, 9.00 ms a frame "
        "(640×480 photos; one thread); from made-up"
    )


def test_times_of_this_machine_count_and_the_pipeline_runs_as_it_was_timed(run: Path):
    row = Run.open(run).summary().rows[1]
    (here,) = row.latency
    there, wide = (copy.deepcopy(here) for _ in range(2))
    there.machine, there.stages["total"].p50 = "elsewhere", 0.5
    wide.threads, wide.stages["total"].p50 = available_cores(), 7.0
    row.latency = [here, there]
    assert choose_pipeline(run, 33).ms == 9
    row.latency = [here, there, wide]
    assert (choose_pipeline(run, 33).ms, choose_pipeline(run, 33).threads) == (7, available_cores())
    there.threads, row.latency = 10_000, [there]
    choice = choose_pipeline(run, 33)
    assert (choice.ms, choice.threads) == (0.5, available_cores())
    assert "timed on another machine" in str(choice)


def test_what_was_measured_without_a_detector_is_said(run: Path):
    rows = Run.open(run).summary().rows
    rows[0].pipeline.detector = "whole-image"
    assert "ms a face (640×480 photos; one thread); found by yunet, whose time comes on top" in str(
        choose_pipeline(run, 2)
    )


@pytest.mark.parametrize("budget_ms", [0, -1, float("nan"), True])
def test_a_budget_is_a_positive_number(run: Path, budget_ms: float):
    with pytest.raises(ParameterError, match="parameter budget_ms"):
        choose_pipeline(run, budget_ms)


def test_nothing_quick_enough_names_the_quickest(run: Path):
    with pytest.raises(ParameterError, match=r"within 0\.5 ms a frame: got 1\.00 ms of the quickest, quick; raise"):
        choose_pipeline(run, 0.5)


def test_what_is_not_shown_to_beat_a_baseline_is_no_choice(run: Path):
    found = SimpleNamespace(dataset="fer2013", rows=["quick"])
    checks = Run.open(run).summary().checks
    checks[:] = [SimpleNamespace(code="FB002", findings=[found]), SimpleNamespace(code="FB003", findings=[found])]
    assert choose_pipeline(run, 33).row == "better"
    with pytest.raises(
        RunError, match=r"within 2 ms is shown to beat .* got quick, right on 50\.0 %; raise --budget-ms"
    ):
        choose_pipeline(run, 2)
    found.rows = ["better"]
    assert choose_pipeline(run, 33).row == "quick"
    found.rows = ["quick", "better", "slow"]
    with pytest.raises(RunError, match=r"made-up is shown to beat .*; name a pipeline instead"):
        choose_pipeline(run, 33)


def test_no_run_nothing_timed_and_lost_models_are_errors(run: Path, tmp_path: Path):
    with pytest.raises(RunError, match="no run in"):
        choose_pipeline(tmp_path)
    (run / "artefacts" / "model" / "pipeline.json").unlink()
    with pytest.raises(RunError, match="the model of better is gone"):
        choose_pipeline(run, 33)
    Run.open(run).summary().rows[:] = [made_up_row("untimed", 0.9, None)]
    with pytest.raises(RunError, match="no pipeline that was both scored and timed"):
        choose_pipeline(run, 33)
