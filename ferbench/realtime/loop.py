"""The live loop: frame in, faces found, identities kept, all faces classified in one batch, probabilities smoothed."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from ferbench.errors import ParameterError
from ferbench.faces import Faces, Image
from ferbench.realtime.frames import Frame, Source
from ferbench.realtime.results import FaceResult, FrameResult
from ferbench.realtime.smoothing import Smoother, Smoothing, parse_smoothing
from ferbench.realtime.sources import SourceSpec, open_source
from ferbench.realtime.tracking import Tracker

if TYPE_CHECKING:
    from ferbench.pipelines import OnNoFace

__all__ = ["FrameProcessor", "LivePipeline", "LiveStream", "PipelineSpec", "load_live_pipeline", "stream"]

Matrix = npt.NDArray[np.float32]


class Processed(Protocol):
    """What a pipeline gives for a batch of images: faces, (N, C) float32 probabilities, nanoseconds by stage."""

    @property
    def faces(self) -> Faces:
        """The faces found."""
        ...

    @property
    def probabilities(self) -> Matrix:
        """(N, C) float32, a row a face."""
        ...

    @property
    def times_ns(self) -> Any:
        """Nanoseconds by name of the stage."""
        ...


class LivePipeline(Protocol):
    """What the loop needs of a :class:`ferbench.pipelines.Pipeline`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Expressions, in the order of the columns of probabilities."""
        ...

    def process(self, images: Sequence[Image]) -> Processed:
        """Detect and classify."""
        ...

    def crop(self, images: Sequence[Image], faces: Faces) -> npt.NDArray[np.uint8]:
        """(N, s, s) gray crops of known faces."""
        ...

    def classify(self, crops: npt.NDArray[np.uint8]) -> Matrix:
        """(N, C) probabilities of crops."""
        ...


PipelineSpec = str | os.PathLike[str] | LivePipeline
"""Name of a shipped model, folder of a saved pipeline, or a fitted pipeline itself."""


def load_live_pipeline(pipeline: PipelineSpec, *, on_no_face: OnNoFace = "skip", device: str = "auto") -> LivePipeline:
    """The pipeline itself, or the shipped or saved one of that name or folder, made ready to run."""
    if not isinstance(pipeline, str | os.PathLike):
        return pipeline
    from ferbench.pipelines import load_pipeline

    return load_pipeline(os.fspath(pipeline), on_no_face=on_no_face, device=device)


class FrameProcessor:
    """Turns frames of one stream into results; holds what is remembered between frames, and nothing else.

    Parameters
    ----------
    pipeline : LivePipeline
        Finds and classifies.
    smooth : str or Smoothing
        Smoothing for each track, see :func:`ferbench.realtime.smoothing.parse_smoothing`.
    detect_every : int
        Detect in every n-th frame and carry the boxes forward in between; 1 detects in each.
    tracker : Tracker, optional
        Keeps identities.
    """

    def __init__(
        self,
        pipeline: LivePipeline,
        *,
        smooth: str | Smoothing = "mean:10",
        detect_every: int = 1,
        tracker: Tracker | None = None,
    ) -> None:
        if not isinstance(detect_every, int) or detect_every < 1:
            raise ParameterError("detect_every is out of range", got=repr(detect_every), expected="1 or more frames")
        self.pipeline, self.detect_every = pipeline, detect_every
        self.tracker = tracker or Tracker()
        self.smoother = Smoother(smooth)
        self._count = 0
        self._points: dict[int, Matrix] = {}

    def process(self, frame: Frame) -> FrameResult:
        """Find, identify, classify and smooth the faces of the next frame."""
        start = time.perf_counter_ns()
        detects = self._count % self.detect_every == 0
        self._count += 1
        tracks, faces, raw, times_ns = self._detect(frame.image) if detects else self._carry_on(frame.image)
        tracked = time.perf_counter_ns()
        smoothed = self.smoother.smooth(tracks, raw, frame.t_ms)
        self.smoother.retain(self.tracker.alive)
        end = time.perf_counter_ns()
        times_ns["track"] = times_ns.get("track", 0) + end - tracked
        times_ns["total"] = end - start
        return FrameResult(
            source=frame.source,
            frame=frame.index,
            t_ms=frame.t_ms,
            image=frame.image,
            faces=tuple(self._face(*each) for each in zip(tracks, faces.xyxy, faces.score, smoothed, raw, strict=True)),
            times_ms={stage: ns / 1e6 for stage, ns in times_ns.items()},
        )

    def _detect(self, image: Image) -> tuple[list[int], Faces, Matrix, dict[str, int]]:
        done = self.pipeline.process([image])
        before = time.perf_counter_ns()
        tracks = self.tracker.update(done.faces.xyxy, done.faces.score)
        times_ns = {stage: int(ns) for stage, ns in done.times_ns.items()}
        self._points = _points_in_boxes(tracks, done.faces)
        times_ns["track"] = time.perf_counter_ns() - before
        return tracks, done.faces, done.probabilities, times_ns

    def _carry_on(self, image: Image) -> tuple[list[int], Faces, Matrix, dict[str, int]]:
        clock = [time.perf_counter_ns()]
        tracks, boxes, scores = self.tracker.coast()
        # A face's landmarks move with its box, so that it stays aligned between two detections.
        moved = [_at_box(self._points[t], box) for t, box in zip(tracks, boxes, strict=True)] if self._points else []
        faces = Faces.from_lists([boxes], [scores], [moved] if moved else None)
        clock.append(time.perf_counter_ns())
        crops = self.pipeline.crop([image], faces)
        clock.append(time.perf_counter_ns())
        raw = (
            self.pipeline.classify(crops) if len(faces) else np.zeros((0, len(self.pipeline.labels)), dtype=np.float32)
        )
        clock.append(time.perf_counter_ns())
        track, align, classify = (int(ns) for ns in np.diff(clock))
        # Features and classifier are one call here; their time is the classifier's.
        return tracks, faces, raw, {"detect": 0, "align": align, "features": 0, "classify": classify, "track": track}

    def _face(self, track: int, box: Matrix, score: np.float32, smoothed: Matrix, raw: Matrix) -> FaceResult:
        labels = self.pipeline.labels
        best = int(smoothed.argmax())
        left, top, right, bottom = (float(v) for v in box)
        return FaceResult(
            track=track,
            box=(left, top, right, bottom),
            detection_score=float(score),
            label=labels[best],
            probability=float(smoothed[best]),
            probabilities={label: float(p) for label, p in zip(labels, smoothed, strict=True)},
            raw_probabilities={label: float(p) for label, p in zip(labels, raw, strict=True)},
        )


class LiveStream:
    """Results of a source, frame by frame; made by :func:`stream`.

    Iterate it once. It closes its source at the end, on an error, and when it is left early; ``with`` or
    :meth:`close` do so at a known moment.

    Attributes
    ----------
    source : Source
        Where the frames come from, with its counts of dropped and unreadable frames.
    labels : tuple of str
        The pipeline's expressions.
    """

    def __init__(self, source: Source, processor: FrameProcessor, *, mirror: bool, max_frames: int | None) -> None:
        self.source, self.labels = source, tuple(processor.pipeline.labels)
        self._results = self._run(processor, mirror, max_frames)

    def __iter__(self) -> Iterator[FrameResult]:
        return self._results

    def __next__(self) -> FrameResult:
        return next(self._results)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the source."""
        self._results.close()
        self.source.close()

    def _run(
        self, processor: FrameProcessor, mirror: bool, max_frames: int | None
    ) -> Generator[FrameResult, None, None]:
        with self.source:
            for count, frame in enumerate(self.source, start=1):
                yield processor.process(_mirrored(frame) if mirror else frame)
                # Checked after the frame, so that the source need not deliver one more to be told to stop.
                if count == max_frames:
                    return


def _points_in_boxes(tracks: Sequence[int], faces: Faces) -> dict[int, Matrix]:
    """Landmarks (K, 2) of each track, in sides of its box from the left top; empty where the detector gives none."""
    if faces.landmarks is None:
        return {}
    origin, side = faces.xyxy[:, None, :2], faces.xyxy[:, None, 2:] - faces.xyxy[:, None, :2]
    return dict(zip(tracks, (faces.landmarks - origin) / side, strict=True))


def _at_box(points: Matrix, box: Matrix) -> Matrix:
    return np.asarray(box[:2] + points * (box[2:] - box[:2]), np.float32)


def _mirrored(frame: Frame) -> Frame:
    return Frame(frame.index, frame.t_ms, frame.image[:, ::-1].copy(), frame.source)


def stream(
    source: SourceSpec | Source,
    pipeline: PipelineSpec = "tiny",
    smooth: str | Smoothing = "mean:10",
    *,
    detect_every: int = 1,
    mirror: bool = False,
    max_frames: int | None = None,
    on_no_face: OnNoFace = "skip",
    device: str = "auto",
) -> LiveStream:
    """Recognise expressions in a camera, video, network stream, image folder or generated faces, frame by frame.

    Parameters
    ----------
    source : int, str or path
        See :func:`ferbench.realtime.sources.open_source`.
    pipeline : str, path or Pipeline
        A shipped model's name, the folder of a saved pipeline, or a fitted pipeline.
    smooth : str
        ``none``, ``mean:N``, ``ema:A``, ``median:N`` or ``majority:N``; each face has its own memory.
    detect_every : int
        Detect in every n-th frame, and carry the boxes forward in between.
    mirror : bool
        Exchange left and right, as people expect of their own camera.
    max_frames : int, optional
        Stop after so many frames.
    on_no_face : "skip", "whole" or "raise"
        For a pipeline given by name or folder: what becomes of a frame without a face.
    device : "auto", "cpu" or "gpu"
        For a pipeline given by name or folder: where it runs; a GPU only where its runtime can use one.

    Returns
    -------
    LiveStream
        An iterator of :class:`~ferbench.realtime.results.FrameResult`.

    Raises
    ------
    ParameterError, SourceError, ModelFileError, DeviceError
        At once, before the first frame, for wrong parameters, an unreadable source or model, a GPU that is not there.

    Examples
    --------
    >>> for frame in stream("clip.mp4", pipeline="tiny"):  # doctest: +SKIP
    ...     print(frame.t_ms, [(face.track, face.label) for face in frame.faces])
    """
    smoothing = parse_smoothing(smooth)
    if max_frames is not None and (not isinstance(max_frames, int) or max_frames < 1):
        raise ParameterError("max_frames is out of range", got=repr(max_frames), expected="1 or more frames")
    # The model first: a camera should not be switched on for a model that is not there.
    processor = FrameProcessor(
        load_live_pipeline(pipeline, on_no_face=on_no_face, device=device), smooth=smoothing, detect_every=detect_every
    )
    return LiveStream(open_source(source), processor, mirror=mirror, max_frames=max_frames)
