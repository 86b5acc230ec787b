"""Smoothing of probabilities over time, for each face on its own: ``none``, ``mean:N``, ``ema:A``, ``median:N``,
``majority:N``, ``hmm:P``, each with ``+hysteresis:X`` behind it or not.

Averaging the current frame's output with that of previous frames is the published remedy against flicker of light;
here every track has its own memory, so that two faces in the picture never mix. Milliseconds, as in ``mean:300ms``, may
stand for each parameter: cameras change their frame rate with the light.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.errors import ParameterError, ShapeError, suggestion
from ferbench.realtime.filters import (
    MAX_WINDOW,
    Duration,
    ExponentialMean,
    Filter,
    HiddenMarkov,
    Hysteresis,
    Majority,
    Mean,
    Median,
    Unsmoothed,
)

__all__ = ["SMOOTHERS", "Smoother", "Smoothing", "parse_smoothing"]

Parameter = float | int | Duration
_FORMS = "none, mean:N, ema:A, median:N, majority:N or hmm:P, with or without +hysteresis:X"
_LONGEST_MS = 600_000.0


@dataclass(frozen=True)
class _Kind:
    make: Callable[..., Filter]
    parameter: Callable[[str, str], Parameter] | None
    summary: str


def _duration(text: str, value: str) -> Duration | None:
    """A value such as ``300ms``; None where it has no such unit."""
    if not value.endswith("ms"):
        return None
    digits = value.removesuffix("ms").strip()
    ms = float(digits) if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", digits, re.ASCII) else 0.0
    if not 1 <= ms <= _LONGEST_MS:
        raise ParameterError(
            f"smoothing {text!r} needs a duration",
            got=repr(value),
            expected=f"1ms to {_LONGEST_MS:.0f}ms",
            fix="for example mean:300ms",
        )
    return Duration(ms)


def _whole(value: str) -> int:
    """A whole number of at most nine digits; 0 for anything else."""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def _fraction(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return float("nan")


def _window_length(text: str, value: str) -> Parameter:
    length = _duration(text, value) or _whole(value)
    if isinstance(length, int) and not 1 <= length <= MAX_WINDOW:
        raise ParameterError(
            f"smoothing {text!r} needs a window",
            got=repr(value),
            expected=f"a whole number of frames, 1 to {MAX_WINDOW}, or milliseconds",
            fix="for example mean:10 or mean:300ms",
        )
    return length


def _weight(text: str, value: str) -> Parameter:
    weight = _duration(text, value) or _fraction(value)
    if isinstance(weight, float) and not 0 < weight <= 1:
        raise ParameterError(
            f"smoothing {text!r} needs a weight",
            got=repr(value),
            expected="a number above 0, up to 1, or milliseconds",
            fix="for example ema:0.3 or ema:150ms",
        )
    return weight


def _stay(text: str, value: str) -> Parameter:
    stay = _duration(text, value) or _fraction(value)
    if isinstance(stay, float) and not 0.5 <= stay < 1:
        raise ParameterError(
            f"smoothing {text!r} needs the probability that an expression stays from frame to frame",
            got=repr(value),
            expected="a number from 0.5, below 1, or milliseconds",
            fix="for example hmm:0.95 or hmm:1000ms",
        )
    return stay


def _limit(text: str, value: str) -> Parameter:
    limit = _duration(text, value) or (_whole(value) if value.isdigit() else _fraction(value))
    is_valid = 2 <= limit <= MAX_WINDOW if isinstance(limit, int) else isinstance(limit, Duration) or 0 < limit < 1
    if not is_valid:
        raise ParameterError(
            f"smoothing {text!r} needs a limit of hysteresis",
            got=repr(value),
            expected=f"a lead above 0, below 1, or frames, 2 to {MAX_WINDOW}, or milliseconds",
            fix="for example hysteresis:0.1, hysteresis:3 or hysteresis:200ms",
        )
    return limit


SMOOTHERS: dict[str, _Kind] = {
    "none": _Kind(Unsmoothed, None, "each frame stands for itself"),
    "mean": _Kind(Mean, _window_length, "mean:N, the mean of the last N frames"),
    "ema": _Kind(ExponentialMean, _weight, "ema:A, exponential mean with weight A on this frame"),
    "median": _Kind(Median, _window_length, "median:N, the median of the last N frames"),
    "majority": _Kind(Majority, _window_length, "majority:N, the share of the last N frames that each label won"),
    "hmm": _Kind(HiddenMarkov, _stay, "hmm:P, hidden Markov model: an expression stays with probability P"),
}
"""The smoothers by name; ``hysteresis`` may stand behind each."""


@dataclass(frozen=True)
class Smoothing:
    """A smoother's name and parameter, and the limit of hysteresis behind it: what ``mean:10+hysteresis:0.1`` means.

    ``str()`` gives the text back.
    """

    name: str
    parameter: Parameter | None = None
    hysteresis: Parameter | None = None

    def __str__(self) -> str:
        before = self.name if self.parameter is None else f"{self.name}:{self.parameter}"
        if self.hysteresis is None:
            return before
        behind = f"hysteresis:{self.hysteresis}"
        return behind if before == "none" else f"{before}+{behind}"

    def start(self) -> Filter:
        """A fresh memory for one track."""
        make: Any = SMOOTHERS[self.name].make
        fresh: Filter = make() if self.parameter is None else make(self.parameter)
        return fresh if self.hysteresis is None else Hysteresis(fresh, self.hysteresis)


def parse_smoothing(text: str | Smoothing) -> Smoothing:
    """Read ``none``, ``mean:N``, ``ema:A``, ``median:N``, ``majority:N`` or ``hmm:P``, each with or without
    ``+hysteresis:X``.

    Raises
    ------
    ParameterError
        For an unknown name (with the nearest known one), or a missing, superfluous or impossible parameter.

    Examples
    --------
    >>> parse_smoothing("mean:10")
    Smoothing(name='mean', parameter=10, hysteresis=None)
    >>> str(parse_smoothing("hmm:0.95 + hysteresis:200ms"))
    'hmm:0.95+hysteresis:200ms'
    """
    if isinstance(text, Smoothing):
        return text
    if not isinstance(text, str):
        raise ParameterError("not a smoothing", got=repr(text), expected=_FORMS)
    before, plus, behind = text.strip().partition("+")
    if not plus and before.partition(":")[0].strip() == "hysteresis":
        before, behind = "none", before
    name, colon, value = (part.strip() for part in before.partition(":"))
    if name not in SMOOTHERS:
        raise ParameterError(
            "unknown smoothing", got=repr(text), expected=_FORMS, fix=suggestion(name, [*SMOOTHERS, "hysteresis"])
        )
    read = SMOOTHERS[name].parameter
    if read is None and colon:
        raise ParameterError(f"smoothing {name!r} takes no parameter", got=repr(text), expected=name)
    parameter = read(text, value) if read else None
    if not plus and not behind:
        return Smoothing(name, parameter)
    what, _, limit = (part.strip() for part in behind.partition(":"))
    if what != "hysteresis":
        raise ParameterError(
            "only hysteresis stands behind another smoothing",
            got=repr(text),
            expected=_FORMS,
            fix="mean:10+hysteresis:0.1",
        )
    return Smoothing(name, parameter, _limit(text, limit))


class Smoother:
    """Smooths the probabilities of every track with a memory of its own.

    Parameters
    ----------
    smoothing : str or Smoothing
        See :func:`parse_smoothing`.
    """

    def __init__(self, smoothing: str | Smoothing) -> None:
        self.smoothing = parse_smoothing(smoothing)
        self._filters: dict[int, Filter] = {}

    def smooth(
        self, tracks: Sequence[int], probabilities: npt.ArrayLike, t_ms: float | None = None
    ) -> npt.NDArray[np.float32]:
        """Smooth one frame.

        Parameters
        ----------
        tracks : N track ids
            Whose probabilities the rows are.
        probabilities : (N, C)
            This frame's probabilities.
        t_ms : float, optional
            This frame's time, for smoothings over milliseconds; without it frames come 30 times a second.

        Returns
        -------
        (N, C) float32
        """
        rows = np.asarray(probabilities, dtype=np.float64)
        if rows.ndim != 2 or len(rows) != len(tracks):
            raise ShapeError("probabilities have the wrong shape", got=rows.shape, expected=f"({len(tracks)}, C)")
        smoothed = np.empty(rows.shape, dtype=np.float32)
        for i, track in enumerate(tracks):
            if track not in self._filters:
                self._filters[track] = self.smoothing.start()
            smoothed[i] = self._filters[track](rows[i], t_ms)
        return smoothed

    def retain(self, alive: Collection[int]) -> None:
        """Free the memory of every track that is not among these."""
        for track in [t for t in self._filters if t not in alive]:
            del self._filters[track]

    def __len__(self) -> int:
        """Number of tracks remembered."""
        return len(self._filters)
