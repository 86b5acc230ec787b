"""Fits and scores in processes beside this one: the same results, and what a dead or hanging one costs."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ferbench.benchmarks.jobs import jobs_of
from ferbench.benchmarks.runner import Outcome, RunOptions, make_plan, open_run, run_plan
from ferbench.benchmarks.store import Run
from ferbench.benchmarks.suite_file import parse_suite
from ferbench.benchmarks.work import do_cells
from ferbench.errors import RunError

SUITE = """\
schema: 1
name: workers
seed: 3
datasets:
  - {name: "synthetic(kind=crops, n_train=42, n_val=0, n_test=21)"}
pipelines:
  - {id: majority, classifier: majority}
  - {id: nearest, features: pixels, classifier: knn}
  - {id: third, features: pixels, classifier: stalling}
scenarios: []
profiles: {only: {rounds: 1}}
"""

pytestmark = pytest.mark.usefixtures("stalling")


def run(folder: Path, *, cell_seconds: float | None = None, **options) -> Outcome:
    text = SUITE.replace("rounds: 1", f"rounds: 1, cell_seconds: {cell_seconds}") if cell_seconds else SUITE
    plan, chosen = make_plan(parse_suite(text), None), RunOptions(runs=folder, **options)
    return run_plan(plan, open_run(plan, chosen, text), chosen, "ferbench run workers")


def assert_same_scores(a: Run, b: Run) -> None:
    parts = {i for i, part in a.parts().items() if part.cell.kind == "quality"}
    assert parts == {i for i, part in b.parts().items() if part.cell.kind == "quality"}
    for cell in parts:
        pd.testing.assert_frame_equal(a.items(cell), b.items(cell), check_exact=True)


def statuses(outcome: Outcome) -> dict[str, str]:
    return {row.row: row.status if row.error is None else row.error.type for row in outcome.summary.rows}


def is_alive(process: int) -> bool:
    """Whether it runs; one that has ended and is not yet waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def child_of(folder: Path) -> int:
    (child,) = folder.glob("*.child")
    return int(child.stem)


def test_a_worker_that_dies_costs_its_row_and_only_until_it_is_done_again(
    how: Callable[[str], None], tmp_path: Path
) -> None:
    how("killed")
    first = run(tmp_path, jobs=2)
    assert statuses(first) == {"majority": "ok", "nearest": "ok", "third": "WorkerDied"}
    assert first.n_done == 6
    how("at once")
    again = run(tmp_path, jobs=2)
    assert statuses(again) == {"majority": "ok", "nearest": "ok", "third": "ok"}
    assert (again.run.folder, again.n_done) == (first.run.folder, 2)
    assert_same_scores(again.run, run(tmp_path / "serial").run)


def test_a_worker_that_somebody_kills_costs_nothing(how: Callable[[str], None], stalling: Path, tmp_path: Path) -> None:
    how("killed once")
    outcome = run(tmp_path, jobs=2)
    assert (stalling / "killed").exists()
    assert set(statuses(outcome).values()) == {"ok"}
    assert_same_scores(outcome.run, run(tmp_path / "serial").run)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_cell_over_its_time_is_killed_with_its_children_and_done_again_with_more(
    jobs: int, how: Callable[[str], None], stalling: Path, tmp_path: Path
) -> None:
    run(tmp_path, only=("majority", "nearest"))
    how("never")
    late = run(tmp_path, jobs=jobs, cell_seconds=4)
    assert statuses(late) == {"majority": "ok", "nearest": "ok", "third": "TimeLimit"}
    error = next(row.error for row in late.summary.rows if row.row == "third")
    assert "not done after 4 s" in error.message
    assert "cell_seconds" in error.message
    child = child_of(stalling)
    deadline = time.monotonic() + 10
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(child)
    how("at once")
    # The limit is no part of what is measured: the same run goes on.
    again = run(tmp_path, cell_seconds=100)
    assert (again.run.folder, again.n_done) == (late.run.folder, 2)
    assert set(statuses(again).values()) == {"ok"}


def test_a_worker_without_the_runs_folder_says_so(tmp_path: Path) -> None:
    plan = make_plan(parse_suite(SUITE), None)
    run_ = open_run(plan, RunOptions(runs=tmp_path), SUITE)
    job = replace(jobs_of(run_, plan.cells)[0], run=tmp_path / "not shared")
    with pytest.raises(RunError, match=f"worker on {os.uname().nodename} does not see the folder of the run"):
        list(do_cells(job))
    assert not (tmp_path / "not shared").exists()
