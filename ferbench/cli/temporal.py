"""Measure smoothings over time: flicker, lag and accuracy on streams whose truth is known.

  ferbench temporal
  ferbench temporal --pipeline accurate --dataset ckplus --people 48 --out out/
  ferbench temporal --smooth mean:10 ema:100ms+hysteresis:0.2 --json

The pipeline goes over each stream once; its answers are kept in the cache, and every smoothing is replayed over them.
Interrupted, the command goes on where it stopped. --dataset takes faces with subjects, whose people are put in motion;
without it people are generated. With --json, standard output holds one JSON object and nothing else.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from ferbench.realtime.defaults import DEFAULT_PIPELINE

__all__ = ["configure", "main"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench temporal``."""
    parser.add_argument(
        "--pipeline",
        default=DEFAULT_PIPELINE,
        metavar="NAME|FOLDER",
        help="a shipped or saved pipeline (default: %(default)s)",
    )
    parser.add_argument(
        "--dataset", default="synthetic", metavar="NAME", help="faces with subjects (default: generated people)"
    )
    parser.add_argument("--smooth", nargs="+", metavar="HOW", help="smoothings (default: a list of all kinds)")
    parser.add_argument("--conditions", metavar="NAMES", help="some of calm,light,noise,motion,crossing (default: all)")
    parser.add_argument("--people", type=int, default=8, metavar="N", help="people reported, as many more choose (8)")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="length of a stream (10)")
    parser.add_argument("--fps", type=float, default=30.0, metavar="F", help="frames a second (30)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write temporal.json, index.html and report.md there"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench temporal``."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    import ferbench
    from ferbench.benchmarks.store import write_atomically
    from ferbench.pipelines import load_pipeline
    from ferbench.realtime.temporal import CANDIDATES, measure_temporal
    from ferbench.reports.temporal import PAGES, temporal_pages, temporal_text

    pipeline = load_pipeline(args.pipeline)
    columns = (TextColumn("streams"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("streams", total=None)
        result = measure_temporal(
            pipeline,
            args.dataset,
            smoothings=args.smooth or CANDIDATES,
            conditions=args.conditions.split(",") if args.conditions is not None else None,
            n=args.people,
            seconds=args.seconds,
            fps=args.fps,
            seed=args.seed,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    record = result.model_dump_json(indent=2)
    if args.out is not None:
        files = {"temporal.json": record} | temporal_pages(result, list(PAGES), ferbench.__version__, _command(args))
        args.out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_atomically(args.out / name, f"{text.rstrip()}\n".encode())
        print(f"wrote {', '.join(files)} to {args.out}", file=sys.stderr)
    print(record if args.json else temporal_text(result))
    return 0


def _command(args: argparse.Namespace) -> str:
    """The command that measures the same again."""
    words = [
        "ferbench",
        "temporal",
        "--pipeline",
        args.pipeline,
        "--dataset",
        args.dataset,
        "--people",
        str(args.people),
    ]
    words += ["--seconds", f"{args.seconds:g}", "--fps", f"{args.fps:g}", "--seed", str(args.seed)]
    words += ["--conditions", args.conditions] if args.conditions is not None else []
    words += ["--smooth", *args.smooth] if args.smooth else []
    return shlex.join(words)
