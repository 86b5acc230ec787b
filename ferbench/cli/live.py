"""Name expressions on a camera, a clip, a network stream or generated faces, frame by frame.

  ferbench live 0                                   the first camera, in a window
  ferbench live clip.mp4 --out annotated.mp4 --csv faces.csv
  ferbench live rtsp://host/path --headless --jsonl -
  ferbench live synthetic --max-frames 300

Stops at the end of the source, on q in the window, and on Ctrl-C; files are complete in each case.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ferbench.pipelines import Pipeline
    from ferbench.realtime import FrameResult, LiveSummary

__all__ = ["add_stream_options", "configure", "device_line", "load_stream_pipeline", "main", "print_written"]

_STAGES = ("detect", "align", "features", "classify", "track", "total")
_REFRESH_HZ = 8


def add_stream_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that ``live`` and ``predict`` share."""
    parser.add_argument(
        "--pipeline",
        default="tiny",
        metavar="NAME|FOLDER",
        help="a shipped model or the folder of a saved pipeline (default: tiny)",
    )
    parser.add_argument(
        "--smooth",
        default="ema:150ms+hysteresis:0.1",
        metavar="HOW",
        help="smoothing over the frames of a stream, for each face: none, mean:N, ema:A, median:N, majority:N or "
        "hmm:P, with or without +hysteresis:X (default: %(default)s; photographs are never smoothed)",
    )
    parser.add_argument(
        "--on-no-face",
        choices=("skip", "whole", "raise"),
        default="skip",
        help="a picture without a face: an empty row (default), taken as one face, or an error",
    )
    parser.add_argument(
        "--detect-every",
        type=int,
        default=1,
        metavar="N",
        help="in streams, detect in every Nth frame and carry the boxes forward in between (default: 1)",
    )
    parser.add_argument("--runtime", metavar="NAME", help="another runtime than the pipeline's own, as: onnx")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help="where the classifier runs (default: auto, a GPU if the pipeline's runtime can use one)",
    )
    parser.add_argument("--csv", metavar="FILE", help="write a tidy table, one row a face a frame; - is stdout")
    parser.add_argument("--jsonl", metavar="FILE", help="write the same table as JSON lines; - is stdout")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench live``."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="camera index, video file, rtsp:// or http:// address, folder of images, or synthetic",
    )
    add_stream_options(parser)
    parser.add_argument("--out", metavar="FILE", help="write a video with the results drawn in, such as out.mp4")
    parser.add_argument("--headless", action="store_true", help="open no window")
    parser.add_argument("--mirror", action="store_true", help="exchange left and right, as in a mirror")
    parser.add_argument("--max-frames", type=int, metavar="N", help="stop after N frames")


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench live``; 0 however the user stops it."""
    from rich.console import Console

    from ferbench.realtime.loop import stream
    from ferbench.realtime.runner import refuse_overwriting, write_results
    from ferbench.realtime.smoothing import parse_smoothing

    refuse_overwriting(args.source, [args.csv, args.jsonl, args.out])
    smoothing = parse_smoothing(args.smooth)
    console = Console(stderr=True, highlight=False)
    pipeline = load_stream_pipeline(args)
    results = stream(
        args.source,
        pipeline,
        smoothing,
        detect_every=args.detect_every,
        mirror=args.mirror,
        max_frames=args.max_frames,
    )
    title = f"ferbench · {results.source.name}"
    with _StatusLine(console, device_line(pipeline)) as status:
        summary = write_results(
            results,
            csv=args.csv,
            jsonl=args.jsonl,
            video=args.out,
            window=title if not args.headless and _has_display(console) else None,
            on_result=status.show,
        )
    _print_summary(console, summary, args)
    return 0


def load_stream_pipeline(args: argparse.Namespace) -> Pipeline:
    """The pipeline that the options of :func:`add_stream_options` name, ready to run."""
    from ferbench.pipelines import load_pipeline

    return load_pipeline(args.pipeline, runtime=args.runtime, on_no_face=args.on_no_face, device=args.device)


def device_line(pipeline: Pipeline) -> str:
    """Where the classifier runs, and why there."""
    return f"device: {pipeline.device}"


def _has_display(console: Console) -> bool:
    from ferbench.realtime.window import why_no_window

    reason = why_no_window()
    if reason is not None:
        console.print(f"{reason}: running without a window (Ctrl-C stops)", style="dim")
    return reason is None


class _StatusLine:
    """One line on a terminal's stderr that always tells the newest state; nothing where stderr is a file.

    The device is told on either, once, with the first frame: only then is every mistake in the arguments behind us.
    """

    def __init__(self, console: Console, device: str) -> None:
        from rich.live import Live

        self._console, self._device = console, device
        self._live = (
            Live(console=console, transient=True, refresh_per_second=_REFRESH_HZ, auto_refresh=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> _StatusLine:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, result: FrameResult, summary: LiveSummary) -> None:
        """Tell of one more frame."""
        if self._device:
            self._console.print(self._device, markup=False, soft_wrap=True)
            self._device = ""
        if self._live is not None:
            self._live.update(status_text(result, summary))


def status_text(result: FrameResult, summary: LiveSummary) -> Text:
    """The status line of a frame: rate, milliseconds by stage, what was lost, and each face's label."""
    from rich.text import Text

    from ferbench.realtime.overlay import label_colour

    line = Text(no_wrap=True, overflow="ellipsis")
    fps = summary.recent_fps
    line.append(f"{fps:6.1f} fps" if fps is not None else "    –  fps", style="bold")
    stages = [f"{name} {result.times_ms[name]:.1f}" for name in ("detect", "features", "classify", "total")
              if name in result.times_ms]  # fmt: skip
    line.append(f"  {' · '.join(stages)} ms", style="dim")
    if summary.dropped:
        line.append(f"  {summary.dropped} dropped", style="yellow")
    if summary.unreadable:
        line.append(f"  {summary.unreadable} unreadable", style="red")
    if not result.faces:
        line.append("  no face", style="dim")
    for face in result.faces:
        red, green, blue = label_colour(face.label)
        line.append(f"  {face.track} ", style="dim")
        line.append(f"{face.label} {face.probability:.0%}", style=f"rgb({red},{green},{blue})")
    return line


def _print_summary(console: Console, summary: LiveSummary, args: argparse.Namespace) -> None:
    from rich.text import Text

    def say(text: str) -> None:
        console.print(Text(text), soft_wrap=True)

    say(
        f"{summary.frames} frames in {summary.seconds:.1f} s, {summary.fps:.1f} fps; "
        f"{summary.frames_with_face} with a face"
    )
    lost = [f"{n} {what}" for n, what in ((summary.dropped, "dropped"), (summary.unreadable, "unreadable")) if n]
    if lost:
        say(f"frames {' and '.join(lost)}")
    times = summary.median_ms
    if times:
        say("median ms: " + ", ".join(f"{stage} {times[stage]:.2f}" for stage in _STAGES if stage in times))
    if summary.faces:
        shares = sorted(summary.label_counts.items(), key=lambda item: -item[1])
        say("labels: " + ", ".join(f"{label} {count / summary.faces:.0%}" for label, count in shares))
    for path in (args.csv, args.jsonl, args.out):
        if path not in (None, "-") and (summary.frames or path != args.out):
            print_written(path)


def print_written(path: str) -> None:
    """Tell on stderr that a file is complete."""
    print(f"wrote {path}", file=sys.stderr)
