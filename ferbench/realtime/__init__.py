"""Live recognition: sources of frames, identities over time, smoothing for each face, overlay, tables and video.

Examples
--------
>>> from ferbench.realtime import stream
>>> for frame in stream("clip.mp4", pipeline="tiny"):  # doctest: +SKIP
...     for face in frame.faces:
...         print(frame.t_ms, face.track, face.label, face.probability)
"""

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
