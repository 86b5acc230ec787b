"""Convert a trained network for another runtime, at another precision, and check it against the network.

  ferbench export models/mini --to onnx --out models/mini-onnx
  ferbench export models/mini --to litert --quantize int8 --out models/mini-int8
  ferbench export models/mini --to litert --quantize dynamic \\
      --dataset fer2013 --split val --out models/mini

Both classify the held-out faces of the data that the network learnt from, or of --dataset. Where they differ by more
than a limit nothing is written and the exit code is 3.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferbench.exporting import Export

__all__ = ["configure", "main"]

WIDTH = 80


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench export``."""
    parser.add_argument("pipeline", metavar="PIPELINE", help="folder of a saved network, with its model.keras")
    parser.add_argument("--to", required=True, choices=["litert", "onnx"], help="opencv runs what onnx runs")
    parser.add_argument(
        "--quantize",
        default="none",
        choices=["none", "float16", "dynamic", "int8"],
        help="float32; 16-bit weights; 8-bit weights; 8 bit throughout (default: none)",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="new folder, or PIPELINE's own")
    parser.add_argument("--dataset", metavar="NAME", help="compared on (default: what the network learnt from)")
    parser.add_argument("--split", default="val", metavar="NAME", help="held-out split (default: val)")
    parser.add_argument(
        "--calibration-split",
        default="train",
        metavar="NAME",
        help="where int8 takes 400 faces from, for its ranges (default: train)",
    )
    limits = parser.add_argument_group("limits", "refused above these; the defaults depend on the precision")
    limits.add_argument("--max-difference", type=float, metavar="P", help="largest difference of a probability")
    limits.add_argument("--max-flips", type=float, metavar="SHARE", help="share of faces whose label changes")
    limits.add_argument("--max-accuracy-drop", type=float, metavar="SHARE", help="accuracy lost, 0.01 is one point")
    limits.add_argument("--unchecked", action="store_true", help="compare nothing; pipeline.json will say so")


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench export``."""
    from dataclasses import replace

    from rich.console import Console
    from rich.progress import Progress

    from ferbench.errors import ParameterError
    from ferbench.exporting import LIMITS, export_pipeline

    given = {
        name: value
        for name in ("max_difference", "max_flips", "max_accuracy_drop")
        if (value := getattr(args, name)) is not None
    }
    for name, value in given.items():
        if not 0 <= value <= 1:
            raise ParameterError(f"--{name.replace('_', '-')} is a share", got=value, expected="0 to 1")
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("faces", total=None, visible=False)
        done = export_pipeline(
            args.pipeline,
            args.out,
            to=args.to,
            quantize=args.quantize,
            dataset=args.dataset,
            split=args.split,
            calibration_split=args.calibration_split,
            limits=replace(LIMITS[args.quantize], **given),
            unchecked=args.unchecked,
            on_stage=progress.console.print,
            on_progress=lambda n, total: progress.update(task, completed=n, total=total, visible=True),
        )
    print(_text(done), file=sys.stderr)
    print(args.out)
    return 0


def _text(done: Export) -> str:
    found = done.agreement
    size = f"{done.file.name}: {done.size_bytes / 1000:.0f} kB, model.keras {done.reference_bytes / 1000:.0f} kB"
    head = [*textwrap.wrap(done.pipeline, WIDTH, break_on_hyphens=False), size]
    if not found["checked"]:
        return "\n".join([*head, "not compared with the network"])
    limits = found["limits"]
    low, high = (100 * end for end in found["accuracy_difference_ci"])
    about = f"{found['dataset']} {found['split']} (revision {found['revision']}), {found['n']} faces, against keras:"
    return "\n".join(
        [
            *head,
            "",
            about,
            f"largest difference of a probability  {found['max_abs_dp']:.2g} (limit {limits['max_difference']:g})",
            f"changed labels     {found['flips']}, {100 * found['flip_share']:.2f} % "
            f"(limit {100 * limits['max_flips']:g} %)",
            f"accuracy           {100 * found['accuracy_reference']:.2f} % -> {100 * found['accuracy_exported']:.2f} %",
            f"difference         {100 * found['accuracy_difference']:+.2f} points, "
            f"paired 95 % interval [{low:+.2f}, {high:+.2f}] (limit {-100 * limits['max_accuracy_drop']:g})",
        ]
    )
