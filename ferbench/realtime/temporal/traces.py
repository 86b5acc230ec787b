"""Traces of streams: a pipeline goes over each stream once, and what it said is kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.cache import cached_array, code_digest
from ferbench.benchmarks.detection import match_boxes
from ferbench.datasets.synthetic import StreamFrame
from ferbench.digests import file_digest
from ferbench.errors import DataError
from ferbench.realtime import tracking
from ferbench.realtime.temporal.metrics import Trace
from ferbench.realtime.temporal.streams import CONDITIONS, STREAM_VERSION, Condition, animate, generated

if TYPE_CHECKING:
    from ferbench.pipelines import Pipeline

__all__ = ["trace_frames", "trace_generated", "trace_person"]

_MIN_IOU = 0.3
"""Least overlap of a found box with a true one: detectors differ in how much of a head they frame."""
_MIN_VISIBLE = 0.5
"""A face that others hide by more than half has no label that anybody could name."""


def trace_generated(pipeline: Pipeline, condition: str, *, seed: int, seconds: float, fps: float) -> Trace:
    """What a pipeline says of a generated stream, from the cache where it is there.

    Raises
    ------
    DataError
        The pipeline does not know an expression of the stream.
    """
    key = {"stream": "generated", "condition": _key(condition), "seed": seed, "seconds": seconds, "fps": fps}

    def compute() -> Trace:
        frames = generated(CONDITIONS[condition], seed=seed, seconds=seconds, fps=fps)
        return trace_frames(pipeline, frames)

    return _cached(pipeline, key, compute)


def trace_person(
    pipeline: Pipeline,
    pictures: Mapping[str, npt.NDArray[np.uint8]],
    condition: str,
    *,
    who: str,
    revision: str,
    seed: int,
    seconds: float,
    fps: float,
) -> Trace:
    """What a pipeline says of real faces of one person put in motion, from the cache where it is there.

    Parameters
    ----------
    pipeline : Pipeline
    pictures : dict of str to (n, s, s) uint8 gray
        The person's faces by expression, of the pipeline's label space.
    condition : str
        One of :data:`~ferbench.realtime.temporal.streams.CONDITIONS`.
    who, revision : str
        The subject, and the revision of the data set.
    seed : int
    seconds, fps : float
    """
    key: dict[str, Any] = {"stream": "person", "who": who, "revision": revision}
    key["pictures"] = {label: len(of_it) for label, of_it in pictures.items()}
    key |= {"condition": _key(condition), "seed": seed, "seconds": seconds, "fps": fps}

    def compute() -> Trace:
        seeds = [seed, int.from_bytes(hashlib.sha256(who.encode()).digest()[:4], "little")]
        frames, labels = animate(pictures, CONDITIONS[condition], seed=seeds, seconds=seconds, fps=fps)
        side = pipeline.input_size
        if frames.shape[1] != side:
            frames = np.stack([cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames])
        n, index = len(frames), np.arange(len(frames))
        truth = np.array([pipeline.labels.index(label) for label in labels])
        return Trace(
            index, 1000 * index / fps, np.zeros(n, np.int64), truth, np.ones(n, np.int64), pipeline.classify(frames)
        )

    return _cached(pipeline, key, compute)


def trace_frames(pipeline: Pipeline, frames: Iterable[StreamFrame]) -> Trace:
    """What a pipeline, with its detector and a tracker, says of frames whose truth is known.

    Raises
    ------
    DataError
        The pipeline does not know an expression of the stream.
    """
    tracker = tracking.Tracker()
    numbers: list[tuple[int, float, int, int, int]] = []
    said: list[npt.NDArray[np.float32]] = []
    nothing = np.zeros(len(pipeline.labels), np.float32)
    for frame in frames:
        done = pipeline.process([frame.image])
        tracks = tracker.update(done.faces.xyxy, done.faces.score)
        match, _ = match_boxes(done.faces.xyxy, frame.boxes, min_iou=_MIN_IOU)
        for who, (label, box) in enumerate(zip(frame.labels, match, strict=True)):
            if frame.visible[who] >= _MIN_VISIBLE:
                truth = _index_of(label, pipeline.labels)
                track = tracks[box] if box >= 0 else -1
                numbers.append((frame.index, frame.t_ms, int(frame.tracks[who]), truth, track))
                said.append(done.probabilities[box] if box >= 0 else nothing)
        # Boxes of nobody, or of somebody hidden: they belong to the memory of their track all the same.
        counted = {int(box) for box, share in zip(match, frame.visible, strict=True) if share >= _MIN_VISIBLE}
        for box, track in enumerate(tracks):
            if box not in counted:
                numbers.append((frame.index, frame.t_ms, -1, -1, track))
                said.append(done.probabilities[box])
    table = np.array(numbers, np.float64).reshape(-1, 5)
    return Trace.from_array(np.column_stack([table, np.array(said, np.float64).reshape(len(table), len(nothing))]))


def _index_of(label: str, labels: tuple[str, ...]) -> int:
    if label not in labels:
        raise DataError(
            f"the pipeline does not know {label!r}, which the stream shows",
            expected=", ".join(labels),
            fix="take a pipeline with FER7's expressions",
        )
    return labels.index(label)


def _key(condition: str) -> dict[str, Any]:
    one: Condition = CONDITIONS[condition]
    return {"flicker": one.flicker, "noise": one.noise, "motion": one.motion, "crossing": one.crossing}


def _cached(pipeline: Pipeline, key: dict[str, Any], compute: Any) -> Trace:
    if not pipeline.files_:  # fitted in this process: nothing on disk says what it is
        made: Trace = compute()
        return made
    files = {name: file_digest(path) for name, path in sorted(pipeline.files_.items())}
    parts = (("detectors", pipeline.parts.detector), ("features", pipeline.parts.features))
    whole = key | {
        "what": "temporal-traces",
        "code": [code_digest(group, str(spec)) for group, spec in parts if spec is not None],
        "following": [file_digest(Path(one)) for one in (__file__, tracking.__file__)],
        "version": STREAM_VERSION,
        "pipeline": pipeline.id,
        "labels_of_pipeline": list(pipeline.labels),
        "on_no_face": pipeline.on_no_face,
        "files": files,
    }
    return Trace.from_array(np.asarray(cached_array(whole, lambda: compute().to_array())))
