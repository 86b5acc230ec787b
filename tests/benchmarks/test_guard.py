"""The guard: sees what would spoil a timing, and does what the policy says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ferbench.benchmarks import guard
from ferbench.benchmarks.guard import BusyMachineError, GuardPolicy, check_machine, machine_state
from ferbench.errors import UnknownNameError

pytestmark = pytest.mark.alone


@pytest.fixture
def busy_cores() -> Iterator[None]:
    """As many spinning processes as there are cores."""
    spin = [sys.executable, "-c", "import time\nend = time.time() + 60\nwhile time.time() < end: pass"]
    spinners = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)]
    time.sleep(0.5)
    yield
    for spinner in spinners:
        spinner.kill()
        spinner.wait()


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds that any machine meets: these tests may run beside others."""
    monkeypatch.setattr(guard, "MAX_BUSY_SHARE", 2.0)
    monkeypatch.setattr(guard, "MIN_FREE_MIB", 0.0)
    monkeypatch.setattr(guard, "read_governor", lambda: "performance")


@pytest.mark.usefixtures("busy_cores")
def test_a_busy_machine_is_seen_and_refused() -> None:
    state = machine_state()
    assert state.busy_share > 0.8
    assert any("of the CPU" in problem for problem in state.problems)
    assert check_machine("warn").problems
    with pytest.raises(BusyMachineError, match=r"not fit to time anything: got other programs use .*; close other"):
        check_machine("refuse")


@pytest.mark.usefixtures("busy_cores")
def test_waiting_ends_with_its_limit_and_tells_what_is_wrong() -> None:
    started = time.monotonic()
    state = check_machine("wait", wait_s=1, sample_s=0.1)
    assert 1 <= time.monotonic() - started < 10
    assert state.problems


def test_waiting_is_said_when_it_begins_and_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = guard.MachineState(1.0, 0.9, 9e3, None, None, problems=["other programs use 90% of the CPU"])
    states = iter([busy, busy, replace(busy, problems=[])])
    monkeypatch.setattr(guard, "machine_state", lambda **_: next(states))
    monkeypatch.setattr(guard.time, "sleep", lambda seconds: None)
    said: list[str] = []
    state = check_machine("wait", wait_s=30, say=said.append)
    assert state.problems == []
    assert said[0] == "waiting up to 30 s for a quiet machine: other programs use 90% of the CPU"
    assert said[1].endswith("s: the machine is quiet")
    assert "waited_s" in state.to_dict()


@pytest.mark.parametrize("policy", ["warn", "refuse"])
def test_only_the_policy_wait_waits(policy: GuardPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = guard.MachineState(1.0, 0.9, 9e3, None, None, problems=["other programs use 90% of the CPU"])
    looks: list[int] = []
    monkeypatch.setattr(guard, "machine_state", lambda **_: looks.append(1) or busy)
    if policy == "warn":
        assert check_machine(policy) == busy
    else:
        with pytest.raises(BusyMachineError, match="use the guard policy 'warn'"):
            check_machine(policy)
    assert len(looks) == 1


@pytest.mark.usefixtures("calm")
def test_a_fit_machine_passes_every_policy_at_once() -> None:
    for policy in ("warn", "wait", "refuse"):
        state = check_machine(policy, sample_s=0.05)  # type: ignore[arg-type]
        assert [p for p in state.problems if "battery" not in p] == []


@pytest.mark.usefixtures("calm")
def test_little_memory_and_a_slow_governor_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MIN_FREE_MIB", float("inf"))
    monkeypatch.setattr(guard, "read_governor", lambda: "powersave")
    problems = " ".join(machine_state(sample_s=0.05).problems)
    assert "MiB of memory are free" in problems
    assert "'powersave'" in problems


def test_governor_is_what_the_kernel_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "scaling_governor"
    monkeypatch.setattr(guard, "_GOVERNOR", file)
    assert guard.read_governor() is None
    file.write_text("performance\n")
    assert guard.read_governor() == "performance"


def test_values_are_plain_data_for_the_run() -> None:
    stored = machine_state(sample_s=0.05).to_dict()
    assert {"load_per_core", "busy_share", "free_mib", "governor", "is_on_battery", "problems"} <= set(stored)
    assert stored["gpu_busy_share"] is None


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'wait'"):
        check_machine("wai")  # type: ignore[arg-type]
