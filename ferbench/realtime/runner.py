"""A whole live run: source to results to window, tables and video, until the end, a key, or Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import FrameType

from ferbench.errors import ParameterError
from ferbench.realtime.defaults import DEFAULT_PIPELINE, DEFAULT_SMOOTHING, DETECT_EVERY
from ferbench.realtime.frames import Source
from ferbench.realtime.loop import LiveStream, PipelineSpec, stream
from ferbench.realtime.overlay import draw_overlay
from ferbench.realtime.results import FrameResult
from ferbench.realtime.sinks import VideoSink, open_tables
from ferbench.realtime.smoothing import Smoothing
from ferbench.realtime.sources import SourceSpec
from ferbench.realtime.window import Window

__all__ = ["LiveSummary", "graceful_stop", "refuse_overwriting", "run_live", "write_results"]

# Medians are over the newest frames, so that a run of days needs no more memory than one of minutes.
_REMEMBERED_FRAMES = 10_000
# Frames a second over about this many frames: steady enough to read, quick enough to show a change.
_FPS_FRAMES = 30
_DEFAULT_VIDEO_FPS = 25.0
_LONGEST_WAIT_MS = 1000.0  # the keys of the window stay alive in a film with long gaps


@dataclass
class LiveSummary:
    """What a live run did so far.

    Attributes
    ----------
    frames, frames_with_face, faces : int
        Frames processed, those with a face, and faces in all of them.
    dropped, unreadable : int
        Frames that a newer one replaced, and frames that could not be decoded.
    seconds : float
        Duration from when the first frame was taken up to the last result.
    label_counts : dict of str to int
        How often each label was given.
    ages_ms : sequence of float
        Of the newest frames: milliseconds from the camera or decoder to the result, drawn and written.
    """

    frames: int = 0
    frames_with_face: int = 0
    faces: int = 0
    dropped: int = 0
    unreadable: int = 0
    seconds: float = 0.0
    label_counts: dict[str, int] = field(default_factory=dict)
    ages_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_FRAMES), repr=False)
    _times: dict[str, deque[float]] = field(default_factory=dict, repr=False)
    _ends: deque[float] = field(default_factory=lambda: deque(maxlen=_FPS_FRAMES), repr=False)
    _start: float = field(default_factory=time.perf_counter, repr=False)

    def add(self, result: FrameResult, source: Source) -> None:
        """Count one more result."""
        now = time.perf_counter()
        self.frames += 1
        self.frames_with_face += bool(result.faces)
        self.faces += len(result.faces)
        self.dropped, self.unreadable = source.dropped, source.unreadable
        self.seconds = now - self._start
        self._ends.append(now)
        for face in result.faces:
            self.label_counts[face.label] = self.label_counts.get(face.label, 0) + 1
        for stage, ms in result.times_ms.items():
            self._times.setdefault(stage, deque(maxlen=_REMEMBERED_FRAMES)).append(ms)

    def note_age(self, result: FrameResult) -> None:
        """Remember how old a result is at the moment at which it is shown."""
        if result.captured_s is not None:
            self.ages_ms.append((time.perf_counter() - result.captured_s) * 1000)

    @property
    def fps(self) -> float:
        """Frames a second over the whole run."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0

    @property
    def recent_fps(self) -> float | None:
        """Frames a second over the last frames; None before there are two."""
        span = self._ends[-1] - self._ends[0] if len(self._ends) > 1 else 0.0
        return (len(self._ends) - 1) / span if span > 0 else None

    @property
    def median_ms(self) -> dict[str, float]:
        """Median milliseconds of each stage."""
        return {stage: median(values) for stage, values in self._times.items()}


class StopRequest:
    """Whether the user has asked to stop; a plain flag, because a signal handler must not wait for a lock."""

    made = False


@contextmanager
def graceful_stop(source: Source) -> Iterator[StopRequest]:
    """Turn the first Ctrl-C (or SIGTERM) into a request to stop after the current frame; a second one interrupts.

    A frame's rows are never cut in half, and the files are closed in order. Outside the main thread, where Python
    delivers no signals, nothing changes.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def request(number: int, frame: FrameType | None) -> None:
        if stop.made:
            raise KeyboardInterrupt
        stop.made = True
        source.interrupt()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, request) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def refuse_overwriting(source: SourceSpec | Source, outputs: Sequence[str | os.PathLike[str] | None]) -> None:
    """Raise where an output is the source itself, or two outputs are the same file or standard output."""
    if list(outputs).count("-") > 1:
        raise ParameterError("two tables go to standard output", fix="give one of them a file")
    given = [Path(path) for path in outputs if path is not None and os.fspath(path) != "-"]
    places = [path.resolve() for path in given]
    if isinstance(source, str | os.PathLike) and Path(source).resolve() in places:
        raise ParameterError(f"{source} would be overwritten", fix="choose another output file")
    for i, place in enumerate(places):
        if place in places[:i]:
            raise ParameterError(f"two outputs go to {given[i]}", fix="give each its own file")


def write_results(
    results: LiveStream,
    *,
    csv: str | os.PathLike[str] | None = None,
    jsonl: str | os.PathLike[str] | None = None,
    video: str | os.PathLike[str] | None = None,
    window: str | None = None,
    on_result: Callable[[FrameResult, LiveSummary], None] | None = None,
) -> LiveSummary:
    """Run a stream to its end into files and a window; see :func:`run_live`."""
    summary = LiveSummary()
    with ExitStack() as stack:
        results = stack.enter_context(results)
        source = results.source
        stop = stack.enter_context(graceful_stop(source))
        # A name that is no film's is said before a table of that name's run before is replaced.
        film = None if video is None else VideoSink(video, source.fps or _DEFAULT_VIDEO_FPS, keep_time=source.is_live)
        tables = [stack.enter_context(table) for table in open_tables(results.labels, csv=csv, jsonl=jsonl)]
        if film is not None:
            stack.enter_context(film)
        screen = stack.enter_context(Window(window)) if window is not None else None
        for result in results:
            summary.add(result, source)
            for table in tables:
                table.write(result)
            if film is not None or screen is not None:
                shown = draw_overlay(result, fps=summary.recent_fps)
                if film is not None:
                    film.write(shown, result.t_ms)
            summary.note_age(result)
            if screen is not None and not screen.show(shown, _early_ms(result, summary, source)):
                break
            if on_result is not None:
                on_result(result, summary)
            if stop.made:
                break
        summary.dropped, summary.unreadable = source.dropped, source.unreadable
    return summary


def _early_ms(result: FrameResult, summary: LiveSummary, source: Source) -> float:
    """How long before its time a frame of a file is: a film on the screen runs no faster than life."""
    if source.is_live or result.t_ms is None:
        return 0.0
    return min(max(result.t_ms - summary.seconds * 1000, 0.0), _LONGEST_WAIT_MS)


def run_live(
    source: SourceSpec | Source,
    pipeline: PipelineSpec = DEFAULT_PIPELINE,
    smooth: str | Smoothing = DEFAULT_SMOOTHING,
    *,
    detect_every: int = DETECT_EVERY,
    mirror: bool = False,
    max_frames: int | None = None,
    csv: str | os.PathLike[str] | None = None,
    jsonl: str | os.PathLike[str] | None = None,
    video: str | os.PathLike[str] | None = None,
    window: str | None = None,
    on_result: Callable[[FrameResult, LiveSummary], None] | None = None,
) -> LiveSummary:
    """Run a pipeline on a source until its end, ``max_frames``, Ctrl-C, or a key in the window.

    Parameters
    ----------
    source, pipeline, smooth, detect_every, mirror, max_frames
        See :func:`ferbench.realtime.stream`.
    csv, jsonl : path, optional
        Tidy tables to write, a row a face a frame; ``-`` is standard output.
    video : path, optional
        Film with the overlay to write.
    window : str, optional
        Title of a window to show; see :func:`ferbench.realtime.window.why_no_window`.
    on_result : callable, optional
        Called with each result and the summary so far.

    Returns
    -------
    LiveSummary
        Also after Ctrl-C: that is how a camera is stopped.
    """
    refuse_overwriting(source, [csv, jsonl, video])
    results = stream(source, pipeline, smooth, detect_every=detect_every, mirror=mirror, max_frames=max_frames)
    return write_results(results, csv=csv, jsonl=jsonl, video=video, window=window, on_result=on_result)
