"""Frames at a fixed rate into a one-slot mailbox, the newest winning, and the highest rate that is kept up with.

Runs in the latency worker, so only the standard library is imported. There is no camera thread: frame ``k`` arrives at
``start + k / hz`` by the clock, and a pipeline that becomes free takes the newest that has arrived. A thread would
take its share of the interpreter from the pipeline, and its own delays would be read as the pipeline's. Ages count
from the scheduled arrival, so a frame that waits for a slow one before it is not excused.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "MAX_DROP_SHARE",
    "MAX_HZ",
    "MIN_HZ",
    "RESOLUTION",
    "TRIAL_FRAMES",
    "Delivery",
    "RateSearch",
    "deliver",
    "search_rate",
]

MAX_DROP_SHARE = 0.01
"""A rate is kept up with if less than this share of its frames is dropped."""

MIN_HZ, MAX_HZ = 1.0, 1000.0
"""Rates that are tried; no camera of a living room is slower or faster."""

RESOLUTION = 0.02
"""The search ends when the lowest rate that failed is at most this much above the highest that was kept up with."""

TRIAL_FRAMES = 120
"""Frames of one trial of the search: one may be dropped, two are more than 1 %."""

_LEAD_NS = 2_000_000
"""The first frame arrives so much after the start, so that the loop is waiting for it."""


@dataclass(frozen=True)
class Delivery:
    """What became of the frames of one stretch at one rate.

    Attributes
    ----------
    hz : float
        Frames a second.
    n_frames, n_dropped : int
        Frames that arrived, and those of them that a newer one replaced before they were taken.
    slept_s : float
        Seconds in which the pipeline had nothing to do.
    """

    hz: float
    n_frames: int
    n_dropped: int
    slept_s: float = 0.0

    @property
    def keeps_up(self) -> bool:
        """Whether less than :data:`MAX_DROP_SHARE` of the frames was dropped."""
        return self.n_dropped < MAX_DROP_SHARE * self.n_frames


@dataclass(frozen=True)
class RateSearch:
    """Where the highest rate lies that a pipeline keeps up with.

    Attributes
    ----------
    low : float or None
        Highest rate that was kept up with; None where none of those tried was.
    high : float or None
        Lowest rate that was not; None where none failed.
    trials : tuple of Delivery
        Every trial, in order.
    why_open : str
        Why the search ended before low and high met within :data:`RESOLUTION`; empty where they did.
    """

    low: float | None
    high: float | None
    trials: tuple[Delivery, ...]
    why_open: str = ""


def deliver(
    answer: Callable[[int, int], object],
    hz: float,
    n_frames: int,
    *,
    gives_up: bool = False,
    clock: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], object] = time.sleep,
) -> Delivery:
    """Let ``n_frames`` frames arrive at ``hz`` and hand those that are not dropped to ``answer``.

    Parameters
    ----------
    answer : callable
        Called with the number of the frame and its arrival in ns of ``clock``; returns when the result is there.
    hz : float
        Frames a second.
    n_frames : int
    gives_up : bool
        End as soon as so many frames are dropped that the rate cannot count as kept up with.
    clock, sleep : callable
        Nanoseconds now, and a wait of seconds; others in tests.
    """
    period = 1e9 / hz
    start = clock() + _LEAD_NS
    due = dropped = slept = 0
    while due < n_frames:
        now = clock()
        arrival = start + round(due * period)
        if now < arrival:
            sleep((arrival - now) / 1e9)
            slept += clock() - now
            continue
        newest = max(due, min(math.floor((now - start) / period), n_frames - 1))
        dropped += newest - due
        if gives_up and dropped >= MAX_DROP_SHARE * n_frames:
            return Delivery(hz, newest, dropped, slept / 1e9)
        answer(newest, start + round(newest * period))
        due = newest + 1
    return Delivery(hz, n_frames, dropped, slept / 1e9)


def search_rate(
    trial: Callable[[float], Delivery],
    guess_hz: float,
    *,
    budget_s: float,
    clock: Callable[[], float] = time.perf_counter,
) -> RateSearch:
    """Bisect for the highest rate that is kept up with.

    Rates are tried outwards from the guess until one is kept up with and one is not, then halfway between the two (of
    their logarithms) until they meet within :data:`RESOLUTION`. A rate has failed only when it failed twice running:
    one hiccup of the machine would halve the answer otherwise. No rate is begun for which the budget has no time left;
    the second trial of the last one may go past it.

    Parameters
    ----------
    trial : callable
        Delivers :data:`TRIAL_FRAMES` frames at a rate; may give up early.
    guess_hz : float
        Where to begin: one over the median time of a frame.
    budget_s : float
        Seconds for all trials.
    clock : callable
        Seconds now; another in tests.
    """
    low: float | None = None
    high: float | None = None
    trials: list[Delivery] = []
    end = clock() + budget_s
    rate, step = _clamped(0.95 * guess_hz), 1.1

    def keeps_up(hz: float) -> bool:
        for _ in range(2):
            trials.append(trial(hz))
            if trials[-1].keeps_up:
                return True
        return False

    while True:
        if clock() + TRIAL_FRAMES / rate > end:
            why = f"{budget_s:g} s were over: {TRIAL_FRAMES} frames at {rate:.3g} Hz take {TRIAL_FRAMES / rate:.3g} s"
            return RateSearch(low, high, tuple(trials), why)
        if keeps_up(rate):
            low = rate
        else:
            high = rate
        if low is not None and high is not None:
            if high <= low * (1 + RESOLUTION):
                return RateSearch(low, high, tuple(trials))
            rate = math.sqrt(low * high)
            continue
        if low == MAX_HZ or high == MIN_HZ:
            return RateSearch(low, high, tuple(trials), f"{rate:g} Hz is the end of the rates that are tried")
        rate = _clamped(rate * step if low is not None else rate / step)
        step *= step


def _clamped(hz: float) -> float:
    return min(MAX_HZ, max(MIN_HZ, hz))
