"""The memory of one track under each kind of smoothing: this frame's probabilities in, smoothed ones out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = [
    "FRAME_MS",
    "MAX_WINDOW",
    "Duration",
    "ExponentialMean",
    "Filter",
    "HiddenMarkov",
    "Hysteresis",
    "Majority",
    "Mean",
    "Median",
    "Unsmoothed",
]

Vector = npt.NDArray[np.float64]
MAX_WINDOW = 10_000
FRAME_MS = 1000 / 30
"""Time between two frames of a source that does not tell the time of its frames."""


@dataclass(frozen=True)
class Duration:
    """Milliseconds: what a parameter such as ``300ms`` means, whatever the frame rate."""

    ms: float

    def __str__(self) -> str:
        return f"{self.ms:.15g}ms"


class Filter(Protocol):
    """The memory of one track: takes the (C,) probabilities of this frame, gives smoothed ones."""

    def __call__(self, probabilities: Vector, t_ms: float | None = None) -> Vector:
        """Smoothed (C,) probabilities; they sum to 1 where the input does."""
        ...


class _Clock:
    """Milliseconds since the last frame of a track."""

    def __init__(self) -> None:
        self._last: float | None = None

    def elapsed(self, t_ms: float | None) -> float:
        """Milliseconds since the last call; 0 at first, and where the source's clock stepped back.

        A source without times is taken to have 30 frames a second: it must be smoothed, too.
        """
        if t_ms is None:
            return FRAME_MS
        elapsed = 0.0 if self._last is None else max(0.0, t_ms - self._last)
        self._last = t_ms
        return elapsed


class Unsmoothed:
    """``none``: each frame stands for itself."""

    def __call__(self, probabilities: Vector, t_ms: float | None = None) -> Vector:
        """The input."""
        return probabilities


class _Window:
    """The newest probability vectors of a track: the last N, or those of the last milliseconds."""

    def __init__(self, length: int | Duration) -> None:
        self._span = length.ms if isinstance(length, Duration) else None
        self._recent: deque[Vector] = deque(maxlen=MAX_WINDOW if isinstance(length, Duration) else length)
        self._ages: deque[float] = deque(maxlen=MAX_WINDOW)
        self._clock = _Clock()
        self._now = 0.0

    def add(self, probabilities: Vector, t_ms: float | None) -> Vector:
        """(n, C) of the vectors in the window, this one last; n grows from 1."""
        self._recent.append(probabilities)
        if self._span is not None:
            self._now += self._clock.elapsed(t_ms)
            self._ages.append(self._now)
            while self._now - self._ages[0] >= self._span:
                self._ages.popleft()
                self._recent.popleft()
        return np.stack(self._recent)


class Mean(_Window):
    """``mean:N``: the mean of the last N frames."""

    def __call__(self, probabilities: Vector, t_ms: float | None = None) -> Vector:
        """The mean over the window."""
        mean: Vector = self.add(probabilities, t_ms).mean(axis=0)
        return mean


class Median(_Window):
    """``median:N``: each expression's median over the last N frames, scaled to sum to 1; ignores single outliers."""

    def __call__(self, probabilities: Vector, t_ms: float | None = None) -> Vector:
        """The normalised median; the mean where all medians are zero (certain, and of several minds)."""
        window = self.add(probabilities, t_ms)
        median: Vector = np.median(window, axis=0)
        total = median.sum()
        return median / total if total > 0 else np.asarray(window.mean(axis=0))


class Majority(_Window):
    """``majority:N``: the share of the last N frames that each expression won; ties go to the higher mean."""

    # Small enough never to outweigh one vote (windows are at most MAX_WINDOW long), large enough for float64.
    _TIE_BREAK = 1e-6

    def __call__(self, probabilities: Vector, t_ms: float | None = None) -> Vector:
        """The vote shares over the window."""
        window = self.add(probabilities, t_ms)
        votes = np.bincount(window.argmax(axis=1), minlength=window.shape[1]) / len(window)
        shares: Vector = (votes + self._TIE_BREAK * window.mean(axis=0)) / (1 + self._TIE_BREAK)
        return shares


class ExponentialMean:
    """``ema:A``: A times this frame plus (1 - A) times the previous output; starts at the first frame.

    A duration is the time constant: the weight of this frame is ``1 - exp(-elapsed / constant)``.
    """

    def __init__(self, weight: float | Duration) -> None:
        self._weight = weight
        self._clock = _Clock()
        self._state: Vector | None = None

    def __call__(self, probabilities: Vector, t_ms: float | None = None) -> Vector:
        """The weighted mean of the past."""
        weight = self._weight
        if isinstance(weight, Duration):
            weight = float(-np.expm1(-self._clock.elapsed(t_ms) / weight.ms))
        if self._state is None:
            self._state = probabilities
        else:
            self._state = weight * probabilities + (1 - weight) * self._state
        return self._state


class HiddenMarkov:
    """``hmm:P``: the forward filter of a hidden Markov model whose state is the expression.

    From frame to frame an expression stays with probability P and otherwise changes to any other, all alike; the
    classifier's probabilities are the likelihoods (Rabiner, *A tutorial on hidden Markov models*, Proc. IEEE 1989).
    A duration is the mean time an expression is held: then P is ``exp(-elapsed / duration)``.
    """

    # A classifier that is sure by rounding alone must not forbid an expression for ever.
    _FLOOR = 1e-6

    def __init__(self, stay: float | Duration) -> None:
        self._stay = stay
        self._clock = _Clock()
        self._state: Vector | None = None

    def __call__(self, probabilities: Vector, t_ms: float | None = None) -> Vector:
        """The probability of each expression after all frames so far."""
        stay = self._stay
        if isinstance(stay, Duration):
            stay = float(np.exp(-self._clock.elapsed(t_ms) / stay.ms))
        likelihood = np.maximum(probabilities, self._FLOOR)
        if self._state is not None and len(likelihood) > 1:
            leave = (1 - stay) / (len(likelihood) - 1)
            likelihood = likelihood * (leave + (stay - leave) * self._state)
        self._state = likelihood / likelihood.sum()
        return self._state


class Hysteresis:
    """``hysteresis:X`` after another filter: the label is held until another leads clearly, or for long enough.

    X below 1 is the least lead in probability; a whole number is frames in a row that the other must lead, a duration
    the time. While a label is held against the leader, just enough certainty of it is mixed in that it stays the most
    probable: label and probabilities never disagree.
    """

    _AHEAD = 1e-6
    """So much more, or a tie would be left to rounding."""

    def __init__(self, before: Filter, limit: float | int | Duration) -> None:
        self._before, self._limit = before, limit
        self._clock = _Clock()
        self._held: int | None = None
        self._challenger: int | None = None
        self._led: float = 0.0

    def __call__(self, probabilities: Vector, t_ms: float | None = None) -> Vector:
        """The filtered probabilities, the held label ahead of all others."""
        smoothed = self._before(probabilities, t_ms)
        step = self._clock.elapsed(t_ms) if isinstance(self._limit, Duration) else 1.0
        leader = int(smoothed.argmax())
        if self._held is None or leader == self._held or self._is_over(smoothed, leader, step):
            self._held, self._challenger = leader, None
            return smoothed
        lead = float(smoothed[leader] - smoothed[self._held])
        share = lead / (1 + lead) + self._AHEAD
        mixed: Vector = (1 - share) * smoothed
        mixed[self._held] += share
        return mixed

    def _is_over(self, smoothed: Vector, leader: int, step: float) -> bool:
        if isinstance(self._limit, float):
            return bool(smoothed[leader] - smoothed[self._held] >= self._limit)
        # Time counts from the frame in which the other came to lead; of frames that one is the first.
        if leader == self._challenger:
            self._led += step
        else:
            self._challenger, self._led = leader, 0.0 if isinstance(self._limit, Duration) else 1.0
        return self._led >= (self._limit.ms if isinstance(self._limit, Duration) else self._limit)
