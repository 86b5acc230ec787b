"""What the live loop gives for each frame, and the tidy rows it is written as.

One row a face a frame; a frame without a face keeps one row whose face columns are empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ferbench.faces import Image

__all__ = ["STAGES", "TIMED_COLUMNS", "FaceResult", "FrameResult", "TidyValue", "tidy_columns", "tidy_rows"]

TidyValue = str | int | float | None
"""One cell of a tidy table; None is an empty cell."""

STAGES = ("detect", "align", "features", "classify", "track", "total")
"""What a frame's time is told of: :attr:`FrameResult.times_ms`."""

TIMED_COLUMNS = {"ms_detect": "detect", "ms_features": "features", "ms_classify": "classify", "ms_total": "total"}
"""Columns of time, and the stage of :attr:`FrameResult.times_ms` that each holds."""

_BEFORE = ("source", "frame", "t_ms", "track", "x1", "y1", "x2", "y2", "detection_score", "label", "probability")


@dataclass(frozen=True)
class FaceResult:
    """One face of one frame.

    Attributes
    ----------
    track : int
        Identity of the face over the stream, from 1.
    box : tuple of float
        left, top, right, bottom in pixels of the frame.
    detection_score : float
        The detector's confidence, on its own scale.
    label, probability : str, float
        The most probable expression after smoothing, and its probability.
    probabilities : dict of str to float
        Every expression's probability after smoothing, in the order of the label space; they sum to 1.
    raw_probabilities : dict of str to float
        The same before smoothing: what the classifier says of this frame alone.
    """

    track: int
    box: tuple[float, float, float, float]
    detection_score: float
    label: str
    probability: float
    probabilities: dict[str, float]
    raw_probabilities: dict[str, float]


@dataclass(frozen=True)
class FrameResult:
    """One processed frame of a stream.

    Attributes
    ----------
    source : str
        Where the frame comes from: the file, address or camera, or the image of a folder.
    frame : int
        Position in the source, from 0. Frames that were dropped or unreadable leave a gap.
    t_ms : float or None
        Time of the frame in milliseconds from the start, where the source has one.
    image : (H, W, 3) or (H, W) uint8
        The frame, RGB or gray.
    faces : tuple of FaceResult
        Empty where no face was found.
    times_ms : dict of str to float
        Milliseconds of each stage: detect, align, features, classify, track (motion, identities and smoothing), total.
    captured_s : float or None
        When the frame came from the device or the decoder, by ``time.perf_counter``: what is shown later than that is
        so much older.
    """

    source: str
    frame: int
    t_ms: float | None
    image: Image = field(repr=False)
    faces: tuple[FaceResult, ...]
    times_ms: dict[str, float]
    captured_s: float | None = None


def tidy_columns(labels: Sequence[str]) -> tuple[str, ...]:
    """Names of the tidy columns, in order, for these labels.

    Examples
    --------
    >>> tidy_columns(("happy", "sad"))[9:14]
    ('label', 'probability', 'p_happy', 'p_sad', 'ms_detect')
    """
    return (*_BEFORE, *(f"p_{label}" for label in labels), *TIMED_COLUMNS)


def tidy_rows(result: FrameResult, labels: Sequence[str]) -> Iterable[dict[str, TidyValue]]:
    """Yield the rows of one frame, each with every column of :func:`tidy_columns`."""
    frame: dict[str, TidyValue] = {"source": result.source, "frame": result.frame, "t_ms": _rounded(result.t_ms, 3)}
    times: dict[str, TidyValue] = {
        column: _rounded(result.times_ms.get(stage), 3) for column, stage in TIMED_COLUMNS.items()
    }
    if not result.faces:
        nothing: dict[str, TidyValue] = dict.fromkeys(tidy_columns(labels))
        yield nothing | frame | {"label": ""} | times
    for face in result.faces:
        x1, y1, x2, y2 = (round(float(v), 2) for v in face.box)
        yield (
            frame
            | {"track": face.track, "x1": x1, "y1": y1, "x2": x2, "y2": y2}
            | {
                "detection_score": _rounded(face.detection_score, 4),
                "label": face.label,
                "probability": _rounded(face.probability, 6),
            }
            | {f"p_{label}": _rounded(face.probabilities[label], 6) for label in labels}
            | times
        )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)
