"""What a pipeline takes of the machine while it is timed: CPU time of its process, and which threads were at work.

Runs in the latency worker; psutil is imported when the clock is made, outside every clock.
"""

from __future__ import annotations

import time
from typing import Any

__all__ = ["BUSY_SHARE", "MIN_USAGE_S", "UsageClock", "usage_problem"]

BUSY_SHARE = 0.05
"""A thread that took this share of the wall time counts as busy."""

MIN_USAGE_S = 0.5
"""Under half a second the kernel's counts of threads (10 ms steps) say too little."""

_LINGER_S = 0.5

_SLACK = 1.15
"""CPU time over wall time may be so much above the setting: clocks are not read at one instant."""


class UsageClock:
    """CPU time and threads of this process between :meth:`start` and :meth:`stop`."""

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self._cpu = self._wall = 0
        self._threads: dict[int, float] = {}

    def start(self) -> None:
        """Begin to count."""
        self._threads = self._thread_seconds()
        self._cpu, self._wall = time.process_time_ns(), time.perf_counter_ns()

    def stop(self, *, idle_s: float = 0.0) -> dict[str, Any]:
        """Facts since :meth:`start`, as plain JSON data.

        Parameters
        ----------
        idle_s : float
            Seconds of waiting for frames, in which the pipeline had nothing to do.
        """
        cpu = (time.process_time_ns() - self._cpu) / 1e9
        elapsed = (time.perf_counter_ns() - self._wall) / 1e9
        wall = max(elapsed - idle_s, 1e-9)
        now = self._settled()
        spent = [seconds - self._threads.get(thread, 0.0) for thread, seconds in now.items()]
        return {
            "cpu_s": cpu,
            "elapsed_s": elapsed,
            "wall_s": wall,
            "n_threads": len(now),
            "n_busy": sum(seconds >= BUSY_SHARE * wall for seconds in spent),
            "n_started": len(now.keys() - self._threads.keys()),
        }

    def _settled(self) -> dict[int, float]:
        """Threads and their seconds, once those that are just ending have ended: the kernel lags behind a join."""
        now, end = self._thread_seconds(), time.perf_counter() + _LINGER_S
        while now.keys() - self._threads.keys() and time.perf_counter() < end:
            time.sleep(_LINGER_S / 10)
            now = self._thread_seconds()
        return now

    def _thread_seconds(self) -> dict[int, float]:
        return {thread.id: thread.user_time + thread.system_time for thread in self._process.threads()}


def usage_problem(usage: dict[str, Any], threads: int) -> str | None:
    """How a pipeline went beyond its thread setting, in words; None if it kept to it.

    One busy thread more than set is allowed: a runtime may work in a thread of its own while its caller waits. Threads
    that sleep cost nothing and libraries keep many, so they count only if they were started while the clock ran.
    """
    if usage["wall_s"] >= MIN_USAGE_S:
        cores = usage["cpu_s"] / usage["wall_s"]
        if cores > _SLACK * threads:
            return f"{cores:.1f} cores were in use with {_threads(threads)} set"
        if usage["n_busy"] > threads + 1:
            return f"{usage['n_busy']} threads were at work with {_threads(threads)} set"
    if usage["n_started"]:
        return f"{_threads(usage['n_started'])} started while the clock ran and never ended"
    return None


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"
