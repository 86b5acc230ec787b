"""Is this machine fit to time anything right now? Load, governor, battery, memory, and the GPU's other users.

The values are stored with every round whatever the policy, so that a reader can judge.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ferbench.benchmarks.threads import available_cores
from ferbench.errors import FerbenchError, UnknownNameError

__all__ = ["BusyMachineError", "GuardPolicy", "MachineState", "check_machine", "machine_state", "read_governor"]

GuardPolicy = Literal["warn", "wait", "refuse"]
"""What to do on an unfit machine: note it, wait for it to calm down (then note it), or raise."""

MAX_BUSY_SHARE = 0.2
"""Share of all cores that other programs may use. One of two cores half busy is 0.25: timings shift visibly."""

MIN_FREE_MIB = 512.0
"""Below this a worker with a network may swap."""

MAX_WAIT_S = 60.0
"""Seconds that the policy ``wait`` waits before one round at most."""

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


class BusyMachineError(FerbenchError):
    """The machine is not fit to time anything, and the policy is ``refuse``."""


@dataclass(frozen=True)
class MachineState:
    """How the machine was just before a round.

    Attributes
    ----------
    load_per_core : float
        Load average of the last minute, divided by the cores available. Includes this run's own past work.
    busy_share : float
        Share of all cores in use during the sample taken just now, in [0, 1]. This one decides.
    free_mib : float
        Memory that can be had without swapping.
    governor : str or None
        CPU frequency governor; None where the kernel shows none (virtual machines, macOS, Windows).
    is_on_battery : bool or None
        None where there is no battery.
    gpu_busy_share : float or None
        Share of time that the GPU was in use, in [0, 1]; None where it was not asked for.
    problems : list of str
        What is wrong, in words; empty on a fit machine.
    waited_s : float
        Seconds that the policy ``wait`` waited.
    """

    load_per_core: float
    busy_share: float
    free_mib: float
    governor: str | None
    is_on_battery: bool | None
    gpu_busy_share: float | None = None
    problems: list[str] = field(default_factory=list)
    waited_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self)


def read_governor() -> str | None:
    """The CPU frequency governor, or None where the kernel shows none."""
    try:
        return _GOVERNOR.read_text().strip()
    except OSError:
        return None


def machine_state(*, sample_s: float = 0.3, device: str = "cpu") -> MachineState:
    """Look at the machine for ``sample_s`` seconds.

    The one-minute load average still holds this run's own training a minute after it ended, so what is *in use now*
    decides, and the average is stored beside it.
    """
    import psutil

    busy = psutil.cpu_percent(interval=sample_s) / 100
    load = psutil.getloadavg()[0] / available_cores()
    free = psutil.virtual_memory().available / 2**20
    # Not every platform build of psutil has batteries.
    battery = getattr(psutil, "sensors_battery", lambda: None)()
    on_battery = None if battery is None or battery.power_plugged is None else not battery.power_plugged
    gpu = None if device == "cpu" else _gpu_busy_share()
    governor = read_governor()
    problems = []
    if busy >= MAX_BUSY_SHARE:
        problems.append(f"other programs use {busy:.0%} of the CPU (load per core {load:.1f})")
    if governor in ("powersave", "conservative"):
        problems.append(f"the CPU governor is {governor!r}: clock rates follow the load")
    if on_battery:
        problems.append("the machine runs on battery")
    if free < MIN_FREE_MIB:
        problems.append(f"only {free:.0f} MiB of memory are free")
    if gpu is not None and gpu >= MAX_BUSY_SHARE:
        problems.append(f"other programs use {gpu:.0%} of the GPU")
    return MachineState(round(load, 3), round(busy, 3), round(free, 1), governor, on_battery, gpu, problems)


def check_machine(
    policy: GuardPolicy = "warn",
    *,
    device: str = "cpu",
    wait_s: float = MAX_WAIT_S,
    sample_s: float = 0.3,
    say: Callable[[str], object] = lambda text: None,
) -> MachineState:
    """Look at the machine before a round, and act by the policy.

    Parameters
    ----------
    policy : "warn", "wait" or "refuse"
        ``warn`` returns at once; ``wait`` looks again until the machine is fit or ``wait_s`` seconds are over, and
        returns then; ``refuse`` raises if the machine is unfit.
    device : str
        ``"cpu"`` or a GPU, whose other users count then.
    wait_s, sample_s : float
        Longest wait, and the length of one look, in seconds.
    say : callable
        Told in one line what is waited for and for how long at most, and then how it ended.

    Raises
    ------
    BusyMachineError
        On an unfit machine under ``refuse``.
    """
    if policy not in get_args(GuardPolicy):
        raise UnknownNameError("guard policy", policy, get_args(GuardPolicy))
    start = time.monotonic()
    state = machine_state(sample_s=sample_s, device=device)
    if policy == "wait" and state.problems:
        say(f"waiting up to {wait_s:g} s for a quiet machine: {'; '.join(state.problems)}")
        while state.problems and (left := start + wait_s - time.monotonic()) > 0:
            time.sleep(min(1.0, left))
            state = machine_state(sample_s=sample_s, device=device)
        state = replace(state, waited_s=round(time.monotonic() - start, 1))
        say(f"waited {state.waited_s:g} s: " + ("; ".join(state.problems) or "the machine is quiet"))
    if policy == "refuse" and state.problems:
        raise BusyMachineError(
            "the machine is not fit to time anything",
            got="; ".join(state.problems),
            fix="close other programs, or use the guard policy 'warn'",
        )
    return state


def _gpu_busy_share() -> float | None:
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
        return max(float(line) for line in answer.split()) / 100
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
