"""A run on workers of a dask scheduler: the same results, and what a dead or a blind worker costs."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ferbench.benchmarks import jobs
from ferbench.benchmarks.jobs import jobs_of
from ferbench.errors import RunError
from tests.benchmarks.test_workers import assert_same_scores, run, statuses

pytestmark = pytest.mark.slow

ALL_OK = {"majority": "ok", "nearest": "ok", "third": "ok"}


class Cluster:
    """A real scheduler on loopback, and its workers, each watched by a process that starts it again."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment, self.started = environment, []
        boss = self.start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        assert boss.stderr is not None
        self.address = next(
            found.group() for line in boss.stderr if (found := re.search(r"tcp://127\.0\.0\.1:\d+", line))
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stderr=subprocess.PIPE if "scheduler" in arguments[0] else subprocess.DEVNULL,
            text=True,
            env=self.environment,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def worker(self) -> subprocess.Popen[str]:
        return self.start("distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-dashboard")

    def stop(self) -> None:
        for process in reversed(self.started):
            kill(process)  # asked to end, a worker whose scheduler is gone may try to reach it for minutes


def kill(process: subprocess.Popen[str]) -> None:
    """With the worker that it watches: both are of its group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def cluster(stalling: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    # One death may be chance; at the second the job is the cause.
    own = {"PYTHONUNBUFFERED": "1", "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    cluster = Cluster(os.environ | own)
    try:
        for _ in range(2):
            cluster.worker()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_WAIT_FOR_WORKERS_S", 120)  # workers start while others use the machine


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory, stalling: Path):
    return run(tmp_path_factory.mktemp("serial")).run


def test_dask_workers_and_processes_give_the_same_results_cell_for_cell(
    cluster: Cluster, serial, how: Callable[[str], None], tmp_path: Path
) -> None:
    for name, options in {"dask": {"scheduler": cluster.address}, "loky": {"jobs": 2}}.items():
        outcome = run(tmp_path / name, **options)
        assert (statuses(outcome), outcome.n_done) == (ALL_OK, 6)
        assert_same_scores(outcome.run, serial)
        assert [row.quality for row in outcome.summary.rows] == [row.quality for row in serial.summary().rows]


def test_a_worker_killed_in_mid_run_costs_nothing(
    cluster: Cluster, serial, how: Callable[[str], None], stalling: Path, tmp_path: Path
) -> None:
    how("killed once")
    outcome = run(tmp_path, scheduler=cluster.address)
    assert (stalling / "killed").exists()
    assert statuses(outcome) == ALL_OK
    assert_same_scores(outcome.run, serial)


def test_a_cell_that_kills_every_worker_is_a_row_and_the_others_stand(
    cluster: Cluster, how: Callable[[str], None], stalling: Path, tmp_path: Path
) -> None:
    how("killed")
    outcome = run(tmp_path, scheduler=cluster.address)
    assert statuses(outcome) == ALL_OK | {"third": "WorkerDied"}
    # Two workers, and then a process beside one.
    assert len(list(stalling.glob("*.worker"))) == 3
    assert "ended by SIGKILL" in next(row.error.message for row in outcome.summary.rows if row.row == "third")


def test_a_worker_that_does_not_see_the_folder_is_one_message_and_no_damage(
    cluster: Cluster, serial, how: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_blind(*arguments):
        first, *others = jobs_of(*arguments)
        return [replace(first, run=tmp_path / "not shared"), *others]

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "jobs_of", half_blind)
        with pytest.raises(RunError, match="does not see the folder of the run") as error:
            run(tmp_path / "runs", scheduler=cluster.address)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "not shared").exists()
    again = run(tmp_path / "runs", scheduler=cluster.address)
    assert (statuses(again), again.run.notes) == (ALL_OK, [])
    assert len(list((tmp_path / "runs").glob("*_workers_*"))) == 1
    assert_same_scores(again.run, serial)


def test_a_run_whose_workers_all_went_says_so_and_goes_on_later(
    serial, how: Callable[[str], None], stalling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    from threading import Thread

    how("waits")
    monkeypatch.setattr(jobs, "_MISS_WORKERS_S", 1)
    monkeypatch.setattr(jobs, "_LOOK_FOR_WORKERS_S", 0.2)
    own = Cluster(os.environ | {"PYTHONUNBUFFERED": "1"})
    worker = own.worker()

    def kill_at_work() -> None:
        deadline = time.monotonic() + 120
        while not list(stalling.glob("*.worker")) and time.monotonic() < deadline:
            time.sleep(0.05)
        kill(worker)

    killer = Thread(target=kill_at_work)
    killer.start()
    try:
        with pytest.raises(RunError, match=r"no worker is left.*what was done is kept"):
            run(tmp_path, scheduler=own.address)
    finally:
        killer.join()
        own.stop()
    how("at once")
    outcome = run(tmp_path)
    assert statuses(outcome) == ALL_OK
    assert_same_scores(outcome.run, serial)


def test_a_scheduler_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(RunError, match="cannot reach the scheduler"):
        run(tmp_path, scheduler="tcp://127.0.0.1:9")
