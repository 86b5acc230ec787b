"""Smoothing of probabilities over time, for each face on its own: ``none``, ``mean:N``, ``ema:A``, ``median:N``,
``majority:N``.

Averaging the current frame's output with that of previous frames is the published remedy against flicker of light;
here every track has its own memory, so that two faces in the picture never mix.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ferbench.errors import ParameterError, ShapeError, suggestion

__all__ = ["SMOOTHERS", "Smoother", "Smoothing", "parse_smoothing"]

Vector = npt.NDArray[np.float64]
MAX_WINDOW = 10_000


class Filter(Protocol):
    """The memory of one track: takes the (C,) probabilities of this frame, gives smoothed ones."""

    def __call__(self, probabilities: Vector) -> Vector:
        """Smoothed (C,) probabilities; they sum to 1 where the input does."""
        ...


class Unsmoothed:
    """``none``: each frame stands for itself."""

    def __call__(self, probabilities: Vector) -> Vector:
        """The input."""
        return probabilities


class _Window:
    """The last N probability vectors of a track."""

    def __init__(self, length: int) -> None:
        self._recent: deque[Vector] = deque(maxlen=length)

    def add(self, probabilities: Vector) -> Vector:
        """(n, C) of the vectors in the window, this one last; n grows from 1 to N."""
        self._recent.append(probabilities)
        return np.stack(self._recent)


class Mean(_Window):
    """``mean:N``: the mean of the last N frames."""

    def __call__(self, probabilities: Vector) -> Vector:
        """The mean over the window."""
        mean: Vector = self.add(probabilities).mean(axis=0)
        return mean


class Median(_Window):
    """``median:N``: each expression's median over the last N frames, scaled to sum to 1; ignores single outliers."""

    def __call__(self, probabilities: Vector) -> Vector:
        """The normalised median; the mean where all medians are zero (certain, and of several minds)."""
        window = self.add(probabilities)
        median: Vector = np.median(window, axis=0)
        total = median.sum()
        return median / total if total > 0 else np.asarray(window.mean(axis=0))


class Majority(_Window):
    """``majority:N``: the share of the last N frames that each expression won; ties go to the higher mean."""

    # Small enough never to outweigh one vote (windows are at most MAX_WINDOW long), large enough for float64.
    _TIE_BREAK = 1e-6

    def __call__(self, probabilities: Vector) -> Vector:
        """The vote shares over the window."""
        window = self.add(probabilities)
        votes = np.bincount(window.argmax(axis=1), minlength=window.shape[1]) / len(window)
        shares: Vector = (votes + self._TIE_BREAK * window.mean(axis=0)) / (1 + self._TIE_BREAK)
        return shares


class ExponentialMean:
    """``ema:A``: A times this frame plus (1 - A) times the previous output; starts at the first frame."""

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self._state: Vector | None = None

    def __call__(self, probabilities: Vector) -> Vector:
        """The weighted mean of the past."""
        if self._state is None:
            self._state = probabilities
        else:
            self._state = self._weight * probabilities + (1 - self._weight) * self._state
        return self._state


@dataclass(frozen=True)
class _Kind:
    make: Callable[..., Filter]
    parameter: Callable[[str, str], float | int] | None
    summary: str


def _window_length(text: str, value: str) -> int:
    length = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
    if not 1 <= length <= MAX_WINDOW:
        raise ParameterError(
            f"smoothing {text!r} needs a window",
            got=repr(value),
            expected=f"a whole number of frames, 1 to {MAX_WINDOW}",
            fix="for example mean:10",
        )
    return length


def _weight(text: str, value: str) -> float:
    try:
        weight = float(value)
    except ValueError:
        weight = float("nan")
    if not 0 < weight <= 1:
        raise ParameterError(
            f"smoothing {text!r} needs a weight",
            got=repr(value),
            expected="a number above 0, up to 1",
            fix="for example ema:0.3",
        )
    return weight


SMOOTHERS: dict[str, _Kind] = {
    "none": _Kind(Unsmoothed, None, "each frame stands for itself"),
    "mean": _Kind(Mean, _window_length, "mean:N, the mean of the last N frames"),
    "ema": _Kind(ExponentialMean, _weight, "ema:A, exponential mean with weight A on this frame"),
    "median": _Kind(Median, _window_length, "median:N, the median of the last N frames"),
    "majority": _Kind(Majority, _window_length, "majority:N, the share of the last N frames that each label won"),
}
"""The smoothers by name."""


@dataclass(frozen=True)
class Smoothing:
    """A smoother's name and parameter: what ``mean:10`` means. ``str()`` gives the text back."""

    name: str
    parameter: float | int | None = None

    def __str__(self) -> str:
        return self.name if self.parameter is None else f"{self.name}:{self.parameter}"

    def start(self) -> Filter:
        """A fresh memory for one track."""
        make: Any = SMOOTHERS[self.name].make
        fresh: Filter = make() if self.parameter is None else make(self.parameter)
        return fresh


def parse_smoothing(text: str | Smoothing) -> Smoothing:
    """Read ``none``, ``mean:N``, ``ema:A``, ``median:N`` or ``majority:N``.

    Raises
    ------
    ParameterError
        For an unknown name (with the nearest known one), or a missing, superfluous or impossible parameter.

    Examples
    --------
    >>> parse_smoothing("mean:10")
    Smoothing(name='mean', parameter=10)
    """
    if isinstance(text, Smoothing):
        return text
    forms = "none, mean:N, ema:A, median:N or majority:N"
    if not isinstance(text, str):
        raise ParameterError("not a smoothing", got=repr(text), expected=forms)
    name, colon, value = text.strip().partition(":")
    if name not in SMOOTHERS:
        raise ParameterError("unknown smoothing", got=repr(text), expected=forms, fix=suggestion(name, SMOOTHERS))
    read = SMOOTHERS[name].parameter
    if read is None:
        if colon:
            raise ParameterError(f"smoothing {name!r} takes no parameter", got=repr(text), expected=name)
        return Smoothing(name)
    return Smoothing(name, read(text, value.strip()))


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

    def smooth(self, tracks: Sequence[int], probabilities: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Smooth one frame.

        Parameters
        ----------
        tracks : N track ids
            Whose probabilities the rows are.
        probabilities : (N, C)
            This frame's probabilities.

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
            smoothed[i] = self._filters[track](rows[i])
        return smoothed

    def retain(self, alive: Collection[int]) -> None:
        """Free the memory of every track that is not among these."""
        for track in [t for t in self._filters if t not in alive]:
            del self._filters[track]

    def __len__(self) -> int:
        """Number of tracks remembered."""
        return len(self._filters)
