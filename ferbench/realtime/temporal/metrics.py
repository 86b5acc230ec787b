"""How a label behaves over time, against known truth: accuracy, flicker, lag, changes never shown, Brier score.

A :class:`Trace` is what a pipeline said of one stream before any smoothing. It is made once; every smoothing is
replayed over it, so that all of them see the same input and a comparison is paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ferbench.errors import ShapeError
from ferbench.realtime.smoothing import Smoothing, parse_smoothing

__all__ = ["COUNTS", "HOLD_MS", "METRICS", "Trace", "count", "metrics_of", "replay"]

HOLD_MS = 200.0
"""A label has followed once it is shown for so long without a break: about the least in which people read it."""

COUNTS = ("frames", "right", "seconds", "flicker", "changes", "lag_ms", "missed", "found", "brier")
"""What :func:`count` adds up; sums over streams stay meaningful, and so do resamples of them."""

METRICS = ("accuracy", "flicker", "lag_ms", "missed", "brier")
"""What :func:`metrics_of` makes of the counts."""


_FLICKER = COUNTS.index("flicker")
_PART = [i for i in range(7) if i != _FLICKER]


@dataclass(frozen=True)
class Trace:
    """What a pipeline said of one stream: a row for each face in each frame, in the order of frames.

    Attributes
    ----------
    frame : (R,) int64
        Index of the frame.
    t_ms : (R,) float64
    face : (R,) int64
        Who it truly is; -1 for a box that is nobody's.
    truth : (R,) int64
        Index of the true label; -1 for a box that is nobody's.
    track : (R,) int64
        The identity that the tracker gave; -1 where the face was not found.
    probabilities : (R, C) float32
        Before smoothing; zeros where the face was not found.
    """

    frame: npt.NDArray[np.int64]
    t_ms: npt.NDArray[np.float64]
    face: npt.NDArray[np.int64]
    truth: npt.NDArray[np.int64]
    track: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in self.__dataclass_fields__}
        if len(set(lengths.values())) > 1 or self.probabilities.ndim != 2:
            raise ShapeError("columns of a trace differ in length", got=lengths, expected="one length")

    def to_array(self) -> npt.NDArray[np.float64]:
        """(R, 5 + C) float64, for storage."""
        columns = [self.frame, self.t_ms, self.face, self.truth, self.track]
        return np.column_stack([*columns, self.probabilities]).astype(np.float64)

    @classmethod
    def from_array(cls, array: npt.NDArray[np.float64]) -> Trace:
        """The trace of :meth:`to_array`."""
        frame, face, truth, track = (array[:, i].astype(np.int64) for i in (0, 2, 3, 4))
        return cls(frame, array[:, 1].astype(np.float64), face, truth, track, array[:, 5:].astype(np.float32))


def replay(trace: Trace, smoothing: str | Smoothing) -> npt.NDArray[np.float32]:
    """(R, C) float32: the probabilities shown in each row under a smoothing, as live; nan where no face was found."""
    parsed = parse_smoothing(smoothing)
    shown = np.full(trace.probabilities.shape, np.nan, np.float32)
    for track in np.unique(trace.track[trace.track >= 0]):
        smooth = parsed.start()
        for i in np.flatnonzero(trace.track == track):
            shown[i] = smooth(trace.probabilities[i].astype(np.float64), float(trace.t_ms[i]))
    return shown


def count(trace: Trace, shown: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float64]:
    """What is right, flickers and lags in one stream, for several smoothings of it.

    Parameters
    ----------
    trace : Trace
    shown : sequence of S arrays of (R, C) float32
        :func:`replay` of each smoothing. The *first must be without smoothing*: a change of the truth counts for lag
        only if the pipeline itself sees it, that is if without smoothing more than half of the frames until the next
        change have the new label. Which changes count is thus the same for all smoothings.

    Returns
    -------
    (S, 9) float64
        :data:`COUNTS`: frames in which a face is to be seen, those with the right label (a missed face is wrong),
        seconds, label changes beyond one for each change of the truth (not before it by more than
        :data:`HOLD_MS`), changes that the pipeline sees, the sum of their
        lags, those never followed, frames in which the face was found, and the sum of their Brier scores.

    Notes
    -----
    The lag of a change is the time until the new label is shown for :data:`HOLD_MS` without a break, or until the next
    change if that comes first. A change that is never followed lags until the next one.
    """
    counts = np.zeros((len(shown), len(COUNTS)))
    labels = [_labels(one) for one in shown]
    for face in np.unique(trace.face[trace.face >= 0]):
        rows = np.flatnonzero(trace.face == face)
        step = _step_ms(trace.t_ms[rows])
        ends = np.flatnonzero(np.diff(trace.truth[rows])) + 1
        starts = trace.t_ms[rows[ends]]
        for number, part in enumerate(np.split(rows, ends)):
            true = int(trace.truth[part[0]])
            # A change while the face was hidden has no known time.
            is_change = number > 0 and trace.t_ms[part[0]] - trace.t_ms[rows[ends[number - 1] - 1]] < 1.5 * step
            is_seen = is_change and float(np.mean(labels[0][part] == true)) > 0.5
            for s, (one, probabilities) in enumerate(zip(labels, shown, strict=True)):
                counts[s, _PART] += _count_part(one[part], trace.t_ms[part], true, step, is_seen)
                counts[s, 7:] += _brier(probabilities[part], true)
        for s, one in enumerate(labels):
            counts[s, _FLICKER] += _superfluous(one[rows], trace.t_ms[rows], starts)
    return counts


def _labels(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Index of the label shown; -1 where none is."""
    is_found = ~np.isnan(probabilities[:, 0])
    return np.where(is_found, np.nan_to_num(probabilities).argmax(axis=1), -1)


def _brier(probabilities: npt.NDArray[np.float32], true: int) -> tuple[int, float]:
    """Rows with a face, and the sum of their Brier scores."""
    found = probabilities[~np.isnan(probabilities[:, 0])].astype(np.float64)
    found[:, true] -= 1
    return len(found), float((found**2).sum())


def _step_ms(t_ms: npt.NDArray[np.float64]) -> float:
    return float(np.median(np.diff(t_ms))) if len(t_ms) > 1 else 0.0


def _superfluous(labels: npt.NDArray[np.int64], t_ms: npt.NDArray[np.float64], starts: npt.NDArray[np.float64]) -> int:
    """Label changes of one face beyond one for each change of its truth; ``starts`` are the times of these."""
    found = labels >= 0
    times = t_ms[found][1:][np.diff(labels[found]) != 0]
    # An expression shows before it is half there: a label a little early belongs to the change that it foresees.
    changes = np.bincount(np.searchsorted(starts - HOLD_MS, times, side="right"), minlength=len(starts) + 1)
    return int(changes[0] + np.maximum(changes[1:] - 1, 0).sum())


def _count_part(
    labels: npt.NDArray[np.int64], t_ms: npt.NDArray[np.float64], true: int, step: float, is_seen: bool
) -> list[float]:
    """The counts at :data:`_PART` for one stretch of time in which the truth is the same."""
    found = labels >= 0
    lag, is_missed = _lag_ms(labels[found] == true, t_ms[found], t_ms[0], t_ms[-1] + step)
    n_right = float(np.count_nonzero(labels == true))
    return [len(labels), n_right, len(labels) * step / 1000, is_seen, lag * is_seen, is_missed and is_seen]


def _lag_ms(
    is_right: npt.NDArray[np.bool_], t_ms: npt.NDArray[np.float64], start: float, end: float
) -> tuple[float, bool]:
    """Time from ``start`` until a run of right labels that lasts; and whether there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_right.astype(np.int8), [0]])))
    for first, after in edges.reshape(-1, 2):
        until = t_ms[after] if after < len(t_ms) else np.inf
        if until - t_ms[first] >= HOLD_MS:
            return float(t_ms[first] - start), False
    return end - start, True


def metrics_of(counts: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    """Metrics of sums of counts; nan where nothing was counted.

    Parameters
    ----------
    counts : (..., 9) float64
        Sums of :func:`count`.

    Returns
    -------
    dict of str to (...) float64
        :data:`METRICS`: share of right frames, superfluous label changes a second, mean lag in milliseconds, share of
        changes never followed, mean Brier score of what is shown (lower is better: probabilities that one can believe).
    """
    frames, right, seconds, flicker, changes, lag, missed, found, brier = np.moveaxis(counts, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = (right / frames, flicker / seconds, lag / changes, missed / changes, brier / found)
    return {name: np.asarray(value) for name, value in zip(METRICS, values, strict=True)}
