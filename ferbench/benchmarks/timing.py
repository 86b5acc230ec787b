"""The timed calls of a latency worker: warm-up, the clock around each call, and what else is read while it runs.

Imported by the worker after its pipeline is loaded. ``measure`` times ``process`` of the pipeline, the path that
``live`` and ``predict`` use.
"""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from math import ceil
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

from ferbench.benchmarks.arrivals import (
    MAX_DROP_SHARE,
    MAX_HZ,
    MIN_HZ,
    RESOLUTION,
    TRIAL_FRAMES,
    Delivery,
    deliver,
    search_rate,
)
from ferbench.benchmarks.energy import EnergyMeter
from ferbench.benchmarks.repeats import N_PAIRS
from ferbench.benchmarks.usage import UsageClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from ferbench.benchmarks.frames import FrameSet
    from ferbench.benchmarks.worker import Request
    from ferbench.faces import Image

__all__ = ["MIN_CALLS", "Calls", "TimedPipeline", "measure", "times_of"]

MIN_CALLS = 4
"""Calls timed at least, however large a batch is: two halves need two each."""

_STAGES = ("decode", "detect", "align", "features", "classify")
_ABSENT = -1
_GUESS_CALLS = 9
_CONFIRMATIONS = 3


class _Processed(Protocol):
    faces: Any
    probabilities: Any
    times_ns: Any


class TimedPipeline(Protocol):
    """What the worker needs of a pipeline."""

    def process(self, images: Sequence[Image], *, detector_bypassed: bool = False) -> _Processed:
        """Faces, probabilities and nanoseconds per stage of a batch; returns when results are on the host."""
        ...


class Calls:
    """Calls a pipeline on batches of frames and keeps the times of each stage.

    Parameters
    ----------
    pipeline : TimedPipeline
    frames : FrameSet
        Used in turn, from the first again after the last.
    batch : int
        Frames of one call.
    """

    def __init__(self, pipeline: TimedPipeline, frames: FrameSet, batch: int) -> None:
        from ferbench.benchmarks.frames import decode_frame

        self.pipeline, self.frames, self.batch = pipeline, frames, batch
        self.decode = decode_frame if frames.kind == "encoded" else None
        self.is_bypassed = frames.kind == "crops"
        self.times: dict[str, array[int]] = {}
        self.forget()

    def forget(self) -> None:
        """Throw the kept times away."""
        # Machine integers: a list of Python ones would grow the resident set that is being measured.
        self.times = {name: array("q") for name in ("frame", "n_faces", *_STAGES, "total", "sequence", "age")}

    def first(self) -> int:
        """Process the last batch of the file and return the nanoseconds: the first call of the process.

        Warm-up goes backwards from the end of the file, so that timed calls meet frames not seen before while any
        are left: a pipeline that remembers frames gains nothing.
        """
        return self(-self.batch)

    def warm_up(self, frames: int) -> None:
        """Go on backwards until ``frames`` were processed, the first call's included."""
        for k in range(1, max(1, -(-frames // self.batch))):
            self(-(k + 1) * self.batch)

    def answer(self, number: int, arrival_ns: int) -> None:
        """Process the frame that arrived as number ``number`` and keep its times and its age."""
        self(number, keep=True)
        self.times["age"].append(time.perf_counter_ns() - arrival_ns)
        self.times["sequence"].append(number)

    @property
    def decoded(self) -> Sequence[Image]:
        """The frames as arrays, of encoded ones as many as pairs of repeats need."""
        frames = self.frames.frames[:N_PAIRS]
        return [self.decode(data) for data in frames] if self.decode else frames

    def __call__(self, first: int, *, keep: bool = False) -> int:
        """Process the batch that starts at frame ``first`` (cyclic); returns the nanoseconds of the whole call."""
        frames = self.frames.frames
        batch = [frames[(first + k) % len(frames)] for k in range(self.batch)]
        clock = time.perf_counter_ns
        start = clock()
        if self.decode:
            batch = [self.decode(data) for data in batch]
            decoded = clock() - start
        else:
            decoded = _ABSENT
        result = self.pipeline.process(batch, detector_bypassed=self.is_bypassed)
        total = clock() - start
        if keep:
            stages = {**result.times_ns, "decode": decoded, "total": total}
            if self.is_bypassed:  # What is left of it is bookkeeping, and would stand in tables as a detector's time.
                stages["detect"] = _ABSENT
            for name in (*_STAGES, "total"):
                self.times[name].append(int(stages.get(name, _ABSENT)))
            self.times["frame"].append(first % len(frames))
            self.times["n_faces"].append(len(result.faces))
        return total


def times_of(calls: Calls) -> dict[str, npt.NDArray[np.int64]]:
    """The kept times as arrays, (n_calls,) each, without stages that never took place."""
    import numpy as np

    columns = {name: np.array(values, dtype=np.int64) for name, values in calls.times.items() if len(values)}
    # A network has no features stage: it is absent, or 0 in every call.
    return {name: values for name, values in columns.items() if name not in _STAGES or (values > 0).any()}


def measure(calls: Calls, request: Request) -> dict[str, Any]:
    """Warm-up, then the timed calls.

    Returns
    -------
    dict
        Plain JSON data: ``usage``, ``energy``, and of a fixed rate ``rate``: what was dropped, and how the highest
        rate was found.
    """
    calls.warm_up(request.warmup)
    meter = _Meter()
    with _garbage_kept():
        if request.arrivals == "when-answered":
            with meter.running():
                _one_after_the_other(calls, request)
            return meter.facts
        if request.arrivals == "fixed":
            return {"rate": asdict(_at_rate(calls, request, request.hz, meter)), **meter.facts}
        return {"rate": _at_highest_rate(calls, request, meter), **meter.facts}


def _one_after_the_other(calls: Calls, request: Request) -> None:
    done, start = 0, time.perf_counter()
    least = max(request.min_frames, MIN_CALLS * request.batch)
    while done < least or time.perf_counter() - start < request.min_seconds:
        calls(done, keep=True)
        done += request.batch


def _at_rate(calls: Calls, request: Request, hz: float, meter: _Meter, *, least: int = MIN_CALLS) -> Delivery:
    n = max(request.min_frames, least, ceil(hz * request.min_seconds))
    with meter.running():
        delivery = deliver(calls.answer, hz, n)
        meter.idle_s = delivery.slept_s
    return delivery


def _at_highest_rate(calls: Calls, request: Request, meter: _Meter) -> dict[str, Any]:
    """Search, then measure at what was found, and lower where the longer measurement does not bear the trials out."""
    guess = 1e9 / max(1, median(calls(k) for k in range(_GUESS_CALLS)))
    found = search_rate(
        lambda hz: deliver(lambda number, _: calls(number), hz, TRIAL_FRAMES, gives_up=True),
        guess,
        budget_s=request.search_s,
    )
    low, high, why = None, found.high, found.why_open
    hz = found.low or found.high or max(MIN_HZ, min(MAX_HZ, guess))
    for attempt in range(1, _CONFIRMATIONS + 1):
        calls.forget()
        delivery = _at_rate(calls, request, hz, meter, least=TRIAL_FRAMES)
        if delivery.keeps_up:
            low = hz
            break
        high, why = hz, f"{MAX_DROP_SHARE:.0%} or more was dropped at {hz:.3g} Hz in the longer measurement"
        hz = max(MIN_HZ, hz / (1 + RESOLUTION) ** attempt)
    is_closed = low is not None and high is not None and high <= low * (1 + RESOLUTION) ** 1.01
    return asdict(delivery) | {
        "low": low,
        "high": high,
        "why_open": "" if is_closed else why,
        "trials": [asdict(one) for one in found.trials],
    }


class _Meter:
    """Energy, CPU time and threads of the timed calls; of several stretches the last counts."""

    def __init__(self) -> None:
        self._usage, self._energy = UsageClock(), EnergyMeter()
        self.facts: dict[str, Any] = {}
        self.idle_s = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count inside the block."""
        self._usage.start()
        self._energy.start()
        yield
        joules = self._energy.stop()
        usage = self._usage.stop(idle_s=self.idle_s)
        self.facts = {"usage": usage, "energy": {"joules": joules, "source": self._energy.source}}


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """No garbage is collected inside: a collection belongs to no frame in particular."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
