"""Live recognition: sources of frames, identities over time, smoothing for each face, overlay, tables and video.

Examples
--------
>>> from ferbench.realtime import stream
>>> for frame in stream("clip.mp4", pipeline="tiny"):  # doctest: +SKIP
...     for face in frame.faces:
...         print(frame.t_ms, face.track, face.label, face.probability)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferbench.lazy import lazily

if TYPE_CHECKING:
    from ferbench.realtime.frames import Frame, Source
    from ferbench.realtime.loop import FrameProcessor, LiveStream, stream
    from ferbench.realtime.overlay import draw_overlay, label_colour
    from ferbench.realtime.results import FaceResult, FrameResult, tidy_columns, tidy_rows
    from ferbench.realtime.runner import LiveSummary, run_live
    from ferbench.realtime.sinks import CsvSink, JsonLinesSink, VideoSink
    from ferbench.realtime.smoothing import Smoother, Smoothing, parse_smoothing
    from ferbench.realtime.sources import open_source
    from ferbench.realtime.tracking import Tracker

__all__ = [
    "CsvSink",
    "FaceResult",
    "Frame",
    "FrameProcessor",
    "FrameResult",
    "JsonLinesSink",
    "LiveStream",
    "LiveSummary",
    "Smoother",
    "Smoothing",
    "Source",
    "Tracker",
    "VideoSink",
    "draw_overlay",
    "label_colour",
    "open_source",
    "parse_smoothing",
    "run_live",
    "stream",
    "tidy_columns",
    "tidy_rows",
]

_HOME = {
    "CsvSink": "ferbench.realtime.sinks",
    "FaceResult": "ferbench.realtime.results",
    "Frame": "ferbench.realtime.frames",
    "FrameProcessor": "ferbench.realtime.loop",
    "FrameResult": "ferbench.realtime.results",
    "JsonLinesSink": "ferbench.realtime.sinks",
    "LiveStream": "ferbench.realtime.loop",
    "LiveSummary": "ferbench.realtime.runner",
    "Smoother": "ferbench.realtime.smoothing",
    "Smoothing": "ferbench.realtime.smoothing",
    "Source": "ferbench.realtime.frames",
    "Tracker": "ferbench.realtime.tracking",
    "VideoSink": "ferbench.realtime.sinks",
    "draw_overlay": "ferbench.realtime.overlay",
    "label_colour": "ferbench.realtime.overlay",
    "open_source": "ferbench.realtime.sources",
    "parse_smoothing": "ferbench.realtime.smoothing",
    "run_live": "ferbench.realtime.runner",
    "stream": "ferbench.realtime.loop",
    "tidy_columns": "ferbench.realtime.results",
    "tidy_rows": "ferbench.realtime.results",
}

__getattr__, __dir__ = lazily(__name__, _HOME)
