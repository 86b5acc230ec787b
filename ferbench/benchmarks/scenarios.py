"""Scenarios: how frames arrive while a pipeline is timed. The four are MLPerf LoadGen's, in a camera's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ferbench.benchmarks.arrivals import MAX_HZ, MIN_HZ
from ferbench.checks import is_integer, is_number
from ferbench.errors import ParameterError
from ferbench.specs import parse_spec

__all__ = ["SCENARIOS", "Scenario", "parse_scenario"]

SCENARIOS = ("single-stream", "multi-stream(streams=N)", "offline(batch=N)", "fixed-rate(hz=15|30|60|auto)")
"""What a suite may name under ``scenarios``."""

MOST_TOGETHER = 4096
"""Frames of one call: more would fill the memory with frames before the clock starts."""


@dataclass(frozen=True)
class Scenario:
    """How frames arrive.

    Attributes
    ----------
    name : str
        ``single-stream``: one frame, the next when it is answered. ``multi-stream``: ``batch`` frames together, such
        as those of as many cameras. ``offline``: all frames are there, ``batch`` a call. ``fixed-rate``: frames come
        whether or not the last is answered.
    batch : int
        Frames of one call.
    hz : float or None
        Frames a second, ``fixed-rate`` only; None there stands for ``auto``: the highest rate is searched for.
    """

    name: str
    batch: int = 1
    hz: float | None = None

    @property
    def is_fixed_rate(self) -> bool:
        """Whether frames come at a rate of their own."""
        return self.name == "fixed-rate"

    def __str__(self) -> str:
        arguments = {
            "multi-stream": f"(streams={self.batch})",
            "offline": f"(batch={self.batch})",
            "fixed-rate": f"(hz={'auto' if self.hz is None else format(self.hz, 'g')})",
        }
        return self.name + arguments.get(self.name, "")


def parse_scenario(text: str | None) -> Scenario:
    """Read a scenario of :data:`SCENARIOS`; None is ``single-stream``.

    Raises
    ------
    ParameterError
        Any other scenario, a batch or a number of streams outside 1 to 4096, or a rate outside 1 to 1000 Hz.

    Examples
    --------
    >>> parse_scenario("offline(batch=8)").batch
    8
    >>> str(parse_scenario("fixed-rate(hz=30)"))
    'fixed-rate(hz=30)'
    """
    spec = parse_spec(text or "single-stream")
    given = dict(spec.params)
    if spec.name == "single-stream" and not given:
        return Scenario("single-stream")
    if spec.name == "offline" and set(given) <= {"batch"} and _is_count(given.get("batch", 32)):
        return Scenario("offline", given.get("batch", 32))
    if spec.name == "multi-stream" and set(given) == {"streams"} and _is_count(given["streams"]):
        return Scenario("multi-stream", given["streams"])
    if spec.name == "fixed-rate" and set(given) == {"hz"}:
        if given["hz"] == "auto":
            return Scenario("fixed-rate")
        if _is_rate(given["hz"]):
            return Scenario("fixed-rate", hz=float(given["hz"]))
        raise ParameterError(
            "not a frame rate", got=f"hz={given['hz']!r}", expected=f"{MIN_HZ:g} to {MAX_HZ:g}, or auto"
        )
    known = f"{', '.join(SCENARIOS)}, with N from 1 to {MOST_TOGETHER}"
    raise ParameterError("not a scenario that can be measured", got=repr(str(text)), expected=known)


def _is_count(value: Any) -> bool:
    return is_integer(value) and 1 <= value <= MOST_TOGETHER


def _is_rate(value: Any) -> bool:
    return is_number(value) and MIN_HZ <= value <= MAX_HZ
