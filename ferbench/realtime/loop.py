"""The live loop: frame in, faces found, identities kept, all faces classified in one batch, probabilities smoothed."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from ferbench.errors import NoFaceError, ParameterError
from ferbench.faces import Faces, Image
from ferbench.realtime.defaults import DEFAULT_PIPELINE, DEFAULT_SMOOTHING, DETECT_EVERY
from ferbench.realtime.finding import FaceFinder
from ferbench.realtime.frames import Frame, Source
from ferbench.realtime.protocols import LivePipeline, PipelineSpec, load_live_pipeline
from ferbench.realtime.results import FaceResult, FrameResult
from ferbench.realtime.smoothing import Smoother, Smoothing, parse_smoothing
from ferbench.realtime.sources import SourceSpec, open_source
from ferbench.realtime.tracking import Tracker

if TYPE_CHECKING:
    from ferbench.pipelines import OnNoFace

__all__ = ["FrameProcessor", "LivePipeline", "LiveStream", "PipelineSpec", "load_live_pipeline", "stream"]

Matrix = npt.NDArray[np.float32]


_MAX_GAP = 10
# Where faces are followed, looking for a hidden one costs little: a second of most cameras.
_MAX_GAP_FOLLOWED = 30


class FrameProcessor:
    """Turns frames of one stream into results; holds what is remembered between frames, and nothing else.

    Parameters
    ----------
    pipeline : LivePipeline
        Finds and classifies.
    smooth : str or Smoothing
        Smoothing for each track, see :func:`ferbench.realtime.smoothing.parse_smoothing`.
    detect_every : int
        Search the whole picture in every n-th frame; in between, faces are followed and the detector looks only where
        there is doubt (see :mod:`ferbench.realtime.finding`). 1 detects in each.
    tracker : Tracker, optional
        Keeps identities.
    """

    def __init__(
        self,
        pipeline: LivePipeline,
        *,
        smooth: str | Smoothing = DEFAULT_SMOOTHING,
        detect_every: int = DETECT_EVERY,
        tracker: Tracker | None = None,
    ) -> None:
        self.pipeline, self.detect_every = pipeline, detect_every
        self.tracker = tracker or Tracker(max_gap=_MAX_GAP if detect_every == 1 else _MAX_GAP_FOLLOWED)
        self.smoother = Smoother(smooth)
        self._finder = FaceFinder(pipeline, self.tracker, detect_every)

    def process(self, frame: Frame) -> FrameResult:
        """Find, identify, classify and smooth the faces of the next frame.

        Raises
        ------
        NoFaceError
            If there is none, and the pipeline was told to raise.
        """
        start = time.perf_counter_ns()
        try:
            found = self._finder.find(frame.image)
        except NoFaceError as error:
            where = frame.source if frame.t_ms is None else f"frame {frame.index} of {frame.source}"
            raise NoFaceError(f"no face in {where}", fix="--on-no-face skip or whole goes on without one") from error
        times_ns = {"detect": 0, "align": 0, "features": 0, "classify": 0} | found.times_ns
        raw = found.probabilities
        known = len(raw)
        if len(found.faces) > known:
            raw = np.concatenate([raw, self._classify(frame.image, found.faces[known:], times_ns)])
        before = time.perf_counter_ns()
        smoothed = self.smoother.smooth(found.tracks, raw, frame.t_ms)
        self.smoother.retain(self.tracker.alive)
        end = time.perf_counter_ns()
        times_ns["track"] += end - before
        times_ns["total"] = end - start
        faces = zip(found.tracks, found.faces.xyxy, found.faces.score, smoothed, raw, strict=True)
        return FrameResult(
            source=frame.source,
            frame=frame.index,
            t_ms=frame.t_ms,
            image=frame.image,
            faces=tuple(self._face(*each) for each in faces),
            times_ms={stage: ns / 1e6 for stage, ns in times_ns.items()},
            captured_s=frame.captured_s,
        )

    def _classify(self, image: Image, faces: Faces, times_ns: dict[str, int]) -> Matrix:
        """All faces that are followed, in one batch."""
        clock = [time.perf_counter_ns()]
        crops = self.pipeline.crop([image], faces)
        clock.append(time.perf_counter_ns())
        raw = self.pipeline.classify(crops)
        clock.append(time.perf_counter_ns())
        align, classify = (int(ns) for ns in np.diff(clock))
        times_ns["align"] += align
        # Features and classifier are one call here; their time is the classifier's.
        times_ns["classify"] += classify
        return raw

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
            import scipy.optimize  # noqa: F401  (for the tracker: seconds at times, which no camera should wait for)

            for count, frame in enumerate(self.source, start=1):
                yield processor.process(_mirrored(frame) if mirror else frame)
                # Checked after the frame, so that the source need not deliver one more to be told to stop.
                if count == max_frames:
                    return


def _mirrored(frame: Frame) -> Frame:
    return replace(frame, image=frame.image[:, ::-1].copy())


def stream(
    source: SourceSpec | Source,
    pipeline: PipelineSpec = DEFAULT_PIPELINE,
    smooth: str | Smoothing = DEFAULT_SMOOTHING,
    *,
    detect_every: int = DETECT_EVERY,
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
        See :func:`ferbench.realtime.smoothing.parse_smoothing`; each face has its own memory.
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
