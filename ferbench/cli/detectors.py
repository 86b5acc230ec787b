"""Score detectors by themselves: recall, false alarms, overlap with true boxes, time, and recall for each expression.

  ferbench detectors
  ferbench detectors haar "haar(cascade=alt2)" "dlib-hog(upsample=1)"
  ferbench detectors haar dlib-hog --dataset lfw-emotions --csv detectors.csv
  ferbench detectors dlib-cnn --dataset synthetic --split test --json

Without --dataset the pictures are scenes: generated, 640×480, of 0 to 4 people whose boxes are known. A face is found
if a box overlaps its true box by half, one box for one face (Hungarian assignment); where a dataset has no true boxes,
if a box holds the middle of the picture. Every other box is a false alarm, or a person in the background where these
are not known. Times are of one thread. With --json, standard output holds one JSON object and nothing else.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferbench.errors import DataError, ParameterError

if TYPE_CHECKING:
    from ferbench.benchmarks.detection import DetectionResult
    from ferbench.benchmarks.detection_sets import DetectionSet

__all__ = ["configure", "main"]

DEFAULT = ("haar", "lbp-cascade", "dlib-hog", "yunet")
SCENES = "scenes"
N_SCENES = 300
WIDTH = 80
COLUMNS = 7
"""Detectors side by side in the table of expressions, which then fits 80 columns."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench detectors``."""
    parser.add_argument(
        "detectors", nargs="*", metavar="DETECTOR", help=f"names or specs (default: {' '.join(DEFAULT)})"
    )
    parser.add_argument(
        "--dataset", default=SCENES, metavar="NAME", help="photos: dataset's name, spec or path (default: scenes)"
    )
    parser.add_argument("--split", metavar="NAME", help="default: test where the dataset has it, else all")
    parser.add_argument("--limit", type=int, metavar="N", help=f"so many pictures at most (scenes: {N_SCENES})")
    parser.add_argument("--iou", type=float, default=0.5, metavar="X", help="least overlap of a found face (0.5)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write one row per detector and expression")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench detectors``."""
    from rich.console import Console
    from rich.progress import Progress

    from ferbench.benchmarks.detection import measure_detector
    from ferbench.benchmarks.threads import apply_threads
    from ferbench.cli.tables import check_table
    from ferbench.registry import create
    from ferbench.specs import parse_spec

    check_table(args.csv)
    if args.csv is not None and not args.csv.parent.is_dir():
        raise DataError(f"no such folder: {args.csv.parent}", fix="make it first")
    if args.limit is not None and args.limit < 1:
        raise ParameterError("--limit", got=args.limit, expected="1 or more")
    if not 0 < args.iou <= 1:
        raise ParameterError("--iou", got=args.iou, expected="above 0, up to 1")
    specs = list(dict.fromkeys(str(parse_spec(name)) for name in args.detectors or DEFAULT))
    detectors = [create("detectors", spec) for spec in specs]
    for detector in detectors:
        detector.detect([])  # wrong parameters and missing model files are said before any picture is drawn
    pictures = _pictures(args.dataset, args.split, args.limit)
    import cv2  # noqa: F401 - so that its threads are there to be limited

    apply_threads(1)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        tasks = [progress.add_task(spec, total=len(pictures.images), start=False) for spec in specs]
        results = []
        for spec, detector, task in zip(specs, detectors, tasks, strict=True):
            progress.start_task(task)
            results.append(
                measure_detector(
                    detector,
                    pictures,
                    spec=spec,
                    min_iou=args.iou,
                    on_progress=lambda n, task=task: progress.advance(task, n),  # type: ignore[misc]
                )
            )
    record = _record(pictures, results, args.iou)
    if args.json:
        print(json.dumps(record, indent=2, ensure_ascii=False))
    else:
        _print(record)
    if args.csv is not None:
        _write_csv(record, args.csv)
    return 0


def _pictures(name: str, split: str | None, limit: int | None) -> DetectionSet:
    from ferbench.benchmarks.detection_sets import DetectionSet

    if name == SCENES:
        if split not in (None, "all"):
            raise ParameterError("scenes have no splits", got=split, fix="leave --split out")
        return DetectionSet.of_scenes(limit or N_SCENES)
    import sys

    from ferbench.benchmarks.views import limit_samples
    from ferbench.datasets import load_dataset, skipped_warning

    dataset = load_dataset(name)
    samples = dataset.split(split or ("test" if "test" in dataset.info.splits else "all"))
    if warning := skipped_warning(dataset):
        print(warning, file=sys.stderr)
    return DetectionSet.of_samples(limit_samples(samples, limit, 0))


def _record(pictures: DetectionSet, results: list[DetectionResult], min_iou: float) -> dict[str, Any]:
    import ferbench

    first = results[0]
    return {
        "dataset": pictures.name,
        "dataset_revision": pictures.revision,
        "split": pictures.split,
        "n_images": first.n_images,
        "n_faces": first.n_faces,
        "found_if": "a box holds the middle" if pictures.boxes is None else f"IoU >= {min_iou:g}",
        "threads": 1,
        "interval": "95 %: recall by Wilson's score, the rest by bootstrap over pictures; no false alarm: Poisson",
        "detectors": [result.model_dump(mode="json") for result in results],
        "ferbench": ferbench.__version__,
    }


def _write_csv(record: dict[str, Any], path: Path) -> None:
    """One row per detector and expression, and one for all of them, whose ``label`` is empty."""
    import pandas as pd

    about = {name: record[name] for name in ("dataset", "dataset_revision", "split", "found_if")}
    rows = []
    for one in record["detectors"]:
        whole = {"n": one["n_faces"], "found": one["n_found"], "recall": one["recall"]}
        for label, part in {"": whole, **one["per_class"]}.items():
            row = {**about, "detector": one["detector"], "label": label, "n": part["n"], "found": part["found"]}
            row |= _flat("recall", part["recall"])
            if not label:
                row |= _flat("false_alarms", one["false_alarms"]) | _flat("mean_iou", one["mean_iou"])
                row["ms_per_image"] = one["ms_per_image"]
            rows.append(row)
    pd.DataFrame(rows).to_csv(path, index=False)


def _flat(name: str, estimate: dict[str, float | None] | None) -> dict[str, float | None]:
    found = estimate or {"value": None, "low": None, "high": None}
    return {name: found["value"], f"{name}_low": found["low"], f"{name}_high": found["high"]}


def _print(record: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    console.width = min(console.width, WIDTH)
    console.print(
        f"{record['dataset']} {record['split']} (revision {record['dataset_revision']}): "
        f"{record['n_images']} pictures, {record['n_faces']} faces; found if {record['found_if'].replace('>=', '≥')}\n"
    )
    table = Table(box=None, pad_edge=False)
    for column in ("#", "detector", "recall %", "false alarms/image", "IoU", "ms"):
        table.add_column(column, justify="left" if column == "detector" else "right", overflow="fold")
    for number, one in enumerate(record["detectors"], 1):
        overlap = one["mean_iou"]
        table.add_row(
            str(number),
            one["detector"],
            _say(one["recall"], 100, 1),
            _say(one["false_alarms"], 1, 2),
            "" if overlap is None else f"{overlap['value']:.2f}",
            f"{one['ms_per_image']:.1f}",
        )
    console.print(table)
    for start in range(0, len(record["detectors"]), COLUMNS):
        console.print(_class_table(record["detectors"][start : start + COLUMNS], start + 1))
    console.print(f"intervals: {record['interval']}; ms: median of one picture, one thread")


def _class_table(rows: list[dict[str, Any]], first: int) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title="\nrecall % of each expression", title_justify="left", title_style="")
    table.add_column("class")
    table.add_column("faces", justify="right")
    for number in range(first, first + len(rows)):
        table.add_column(f"#{number}", justify="right")
    for label, part in rows[0]["per_class"].items():
        shares = (f"{100 * one['per_class'][label]['recall']['value']:.1f}" for one in rows)
        table.add_row(label, str(part["n"]), *shares)
    return table


def _say(estimate: dict[str, float | None], factor: float, digits: int) -> str:
    value, low, high = (None if v is None else factor * v for v in estimate.values())
    interval = "" if low is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{value:.{digits}f}{interval}"
