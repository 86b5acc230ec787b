"""Name expressions on a camera, a clip, a network stream or generated faces, frame by frame.

  ferbench live 0                                the first camera, in a window
  ferbench live clip.mp4 --out annotated.mp4 --csv faces.csv
  ferbench live rtsp://host/path --headless --jsonl -
  ferbench live synthetic --max-frames 300
  ferbench live 0 --pipeline best --budget-ms 5  a run's best within 5 ms

Stops at the end of the source, on q in the window, and on Ctrl-C; files are complete in each case.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ferbench.errors import NoFaceError, ParameterError, SourceError
from ferbench.realtime.choice import BEST, BUDGET_MS, LATEST_RUN, check_unnamed, choose_pipeline
from ferbench.realtime.defaults import DEFAULT_PIPELINE, DEFAULT_SMOOTHING, DETECT_EVERY

if TYPE_CHECKING:
    from rich.console import Console

    from ferbench.pipelines import Pipeline
    from ferbench.realtime import LiveSummary

__all__ = ["add_stream_options", "configure", "load_stream_pipeline", "main", "print_written"]

_P99_FRAMES = 662
"""From so many frames on a 99th percentile has an interval, as in the reports."""


def add_stream_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that ``live`` and ``predict`` share."""
    parser.add_argument(
        "--pipeline",
        default=DEFAULT_PIPELINE,
        metavar="NAME|FOLDER|best",
        help="a shipped model, the folder of a saved pipeline, or best: the most accurate of a run that keeps to "
        "--budget-ms (default: %(default)s)",
    )
    parser.add_argument("--run", metavar="FOLDER", help=f"for best: the run (default: {LATEST_RUN})")
    parser.add_argument(
        "--budget-ms",
        type=float,
        metavar="MS",
        help=f"for best: milliseconds a frame, as the run measured them (default: {BUDGET_MS:.0f}, 30 frames a second)",
    )
    parser.add_argument(
        "--smooth",
        default=DEFAULT_SMOOTHING,
        metavar="HOW",
        help="smoothing over the frames of a stream, for each face: none, mean:N, ema:A, median:N, majority:N or "
        "hmm:P, with or without +hysteresis:X (default: %(default)s; predict never smooths photographs)",
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
        default=DETECT_EVERY,
        metavar="N",
        help="in streams, search the whole picture in every Nth frame and follow the faces in between; 1 searches each "
        f"(default: {DETECT_EVERY})",
    )
    parser.add_argument("--detector", metavar="NAME", help="another detector than the pipeline's own, as: haar")
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
        help="camera index, video file, rtsp:// or http:// address, folder of images (the frames of one film, in the "
        "order of their names), or synthetic",
    )
    add_stream_options(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write a video with the results drawn in: out.mp4 for players, out.webm for browsers",
    )
    parser.add_argument("--headless", action="store_true", help="open no window")
    parser.add_argument("--mirror", action="store_true", help="exchange left and right, as in a mirror")
    parser.add_argument("--max-frames", type=int, metavar="N", help="stop after N frames")


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench live``; 0 however the user stops it, 2 where the source was lost."""
    from rich.console import Console

    from ferbench.cli.tables import check_table
    from ferbench.realtime.loop import stream
    from ferbench.realtime.runner import refuse_overwriting, write_results
    from ferbench.realtime.smoothing import parse_smoothing
    from ferbench.realtime.terminal import LiveView

    refuse_overwriting(args.source, [args.csv, args.jsonl, args.out])
    for table in (args.csv, args.jsonl):
        check_table(table)
    smoothing = parse_smoothing(args.smooth)
    console = Console(stderr=True, highlight=False)
    pipeline, intro = load_stream_pipeline(args)
    results = stream(
        args.source,
        pipeline,
        smoothing,
        detect_every=args.detect_every,
        mirror=args.mirror,
        max_frames=args.max_frames,
    )
    title = f"ferbench · {results.source.name}"
    window = title if not args.headless and _has_display(console) else None
    view = LiveView(console, results.source, intro)
    try:
        with view:
            summary = write_results(
                results, csv=args.csv, jsonl=args.jsonl, video=args.out, window=window, on_result=view.show
            )
    except (NoFaceError, SourceError):  # no face, or no camera any more: what was shown is in the files, and told
        if view.summary is not None:
            _print_summary(console, view.summary, args)
        raise
    _print_summary(console, summary, args)
    return 0


def load_stream_pipeline(args: argparse.Namespace) -> tuple[Pipeline, tuple[str, ...]]:
    """The pipeline that the options of :func:`add_stream_options` name, ready to run, and what is to be told of it."""
    from ferbench.pipelines import load_pipeline

    if args.pipeline != BEST:
        for option, value in (("--run", args.run), ("--budget-ms", args.budget_ms)):
            if value is not None:
                raise ParameterError(f"{option} is for --pipeline best", got=f"--pipeline {args.pipeline}")
        pipeline = load_pipeline(
            args.pipeline,
            detector=args.detector,
            runtime=args.runtime,
            on_no_face=args.on_no_face,
            device=args.device,
        )
        return pipeline, (f"device: {pipeline.device}",)
    check_unnamed(runtime=args.runtime, detector=args.detector)
    budget_ms = BUDGET_MS if args.budget_ms is None else args.budget_ms
    choice = choose_pipeline(args.run or LATEST_RUN, budget_ms)
    pipeline = choice.load(on_no_face=args.on_no_face, device=args.device)
    return pipeline, (str(choice), f"device: {pipeline.device}")


def _has_display(console: Console) -> bool:
    from ferbench.realtime.window import why_no_window

    reason = why_no_window()
    if reason is not None:
        console.print(f"{reason}: running without a window (Ctrl-C stops)", style="dim")
    return reason is None


def _print_summary(console: Console, summary: LiveSummary, args: argparse.Namespace) -> None:
    from rich.text import Text

    from ferbench.realtime.results import STAGES

    def say(text: str) -> None:
        console.print(Text(text), soft_wrap=True)

    say(
        f"{summary.frames} frame{'s' * (summary.frames != 1)} in {summary.seconds:.1f} s, {summary.fps:.1f} fps; "
        f"{summary.frames_with_face} with a face"
    )
    lost = [f"{n} {what}" for n, what in ((summary.dropped, "dropped"), (summary.unreadable, "unreadable")) if n]
    if lost:
        say(f"frames {' and '.join(lost)}")
    if summary.ages_ms:
        say(_age_text(list(summary.ages_ms)))
    times = summary.median_ms
    if times:
        say("median ms: " + ", ".join(f"{stage} {times[stage]:.2f}" for stage in STAGES if stage in times))
    if summary.faces:
        shares = sorted(summary.label_counts.items(), key=lambda item: -item[1])
        say("labels: " + ", ".join(f"{label} {count / summary.faces:.0%}" for label, count in shares))
    for path in (args.csv, args.jsonl, args.out):
        if path not in (None, "-") and (summary.frames or path != args.out):
            print_written(path)


def _age_text(ages_ms: list[float]) -> str:
    """How old results were when they were shown; a 99th percentile only of as many frames as carry one."""
    import numpy as np

    p50, p99 = np.quantile(ages_ms, (0.5, 0.99))
    tail = f"p99 {p99:.1f}" if len(ages_ms) >= _P99_FRAMES else f"longest {max(ages_ms):.1f}"
    return f"ms from the frame's arrival to its result, drawn and written: p50 {p50:.1f}, {tail}"


def print_written(path: str) -> None:
    """Tell on stderr that a file is complete."""
    print(f"wrote {path}", file=sys.stderr)
