"""Score one pipeline on one split of a dataset, with 95 % intervals.

  ferbench evaluate tiny --dataset fer2013 --split val
  ferbench evaluate models/mini --dataset fer2013 --split test --json
  ferbench evaluate tiny --dataset my-photos/ --split all --contempt drop --items items.csv

A missed face counts as wrong. With --json, standard output holds one JSON object and nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferbench.errors import DataError

if TYPE_CHECKING:
    from ferbench.benchmarks.evaluation import Evaluation
    from ferbench.pipelines import Pipeline
    from ferbench.samples import Samples

__all__ = ["configure", "main"]

WIDTH = 80


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench evaluate``."""
    parser.add_argument("pipeline", metavar="PIPELINE", help="folder of a saved pipeline, or the name of a shipped one")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="dataset's name, spec, or path")
    parser.add_argument("--split", default="test", metavar="NAME", help="train, val, test or all (default: test)")
    parser.add_argument("--detector", metavar="NAME", help="another detector than the saved one")
    parser.add_argument("--runtime", metavar="NAME", help="another runtime than the saved one")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the runtime (default: 1)")
    parser.add_argument("--device", default="cpu", choices=["cpu", "gpu"], help="default: cpu")
    parser.add_argument(
        "--contempt",
        default="error",
        choices=["error", "drop", "disgust", "neutral"],
        help="what becomes of contempt where the pipeline does not know it (default: error)",
    )
    parser.add_argument("--items", type=Path, metavar="CSV", help="write one row per face")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench evaluate``."""
    from rich.console import Console
    from rich.progress import Progress

    from ferbench.benchmarks.evaluation import evaluate
    from ferbench.datasets import load_dataset, skipped_warning
    from ferbench.pipelines import load_pipeline

    if args.items is not None and not args.items.parent.is_dir():
        raise DataError(f"no such folder: {args.items.parent}", fix="make it first")
    pipeline = load_pipeline(args.pipeline, runtime=args.runtime, threads=args.threads, device=args.device)
    if args.detector:
        pipeline = pipeline.with_detector(args.detector)
    dataset = load_dataset(args.dataset)
    samples = dataset.split(args.split)
    if warning := skipped_warning(dataset):
        print(warning, file=sys.stderr)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("faces", total=len(samples))
        result = evaluate(pipeline, samples, contempt=args.contempt, on_progress=lambda n: progress.advance(task, n))
    if args.items is not None:
        result.items.to_csv(args.items, index=False)
    record = _record(pipeline, samples, result)
    print(json.dumps(record, indent=2) if args.json else _text(record))
    return 0


def _record(pipeline: Pipeline, samples: Samples, result: Evaluation) -> dict[str, Any]:
    import ferbench

    quality = result.quality
    record: dict[str, Any] = {
        "pipeline": pipeline.id,
        "dataset": samples.dataset,
        "dataset_revision": samples.revision,
        "split": samples.split,
        "n": quality.n,
        "n_detected": quality.n_detected,
        "n_dropped": result.n_dropped,
        "detector_bypassed": quality.detector_bypassed,
    }
    for name, estimate in quality.end_to_end.items():
        record[name] = estimate.value
        record[f"{name}_ci"] = [estimate.low, estimate.high]
    record["detected"] = {name: {"value": e.value, "ci": [e.low, e.high]} for name, e in quality.detected.items()}
    record["per_class"] = {label: scores.model_dump() for label, scores in quality.per_class.items()}
    record["labels"], record["confusion"] = quality.labels, quality.confusion
    record["interval"] = f"95 %, bootstrap over {quality.interval_over}"
    record["permuted_labels"] = quality.permuted_labels
    record["ferbench"] = ferbench.__version__
    return record


def _text(record: dict[str, Any]) -> str:
    def line(name: str) -> str:
        low, high = record[f"{name}_ci"]
        interval = "" if low is None else f"  [{100 * low:.1f}, {100 * high:.1f}]"
        return f"{name.replace('_', ' '):<18} {100 * record[name]:5.1f} %{interval}"

    faces = f"{record['n']} faces"
    if not record["detector_bypassed"]:
        faces += f", {record['n_detected']} found, missed ones count as wrong"
    if record["n_dropped"]:
        faces += f"; {record['n_dropped']} left out by the label map"
    about = f"{record['dataset']} {record['split']} (revision {record['dataset_revision']}): {faces}"
    rows = [
        *textwrap.wrap(record["pipeline"], WIDTH, break_on_hyphens=False),
        *textwrap.wrap(about, WIDTH, break_on_hyphens=False),
        "",
        *(line(name) for name in ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")),
        f"intervals: {record['interval']}",
        "",
        f"{'class':<10} {'precision':>9} {'recall':>7} {'F1':>6} {'faces':>6}",
        *(
            f"{label:<10} {100 * s['precision']:9.1f} {100 * s['recall']:7.1f} {100 * s['f1']:6.1f} {s['support']:6d}"
            for label, s in record["per_class"].items()
            if s["support"]
        ),
    ]
    if record["permuted_labels"]:
        rows += ["", f"warning: {record['permuted_labels']}"]
    return "\n".join(rows)
