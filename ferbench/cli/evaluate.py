"""Score one pipeline on one split of a dataset, with 95 % intervals.

  ferbench evaluate tiny --dataset fer2013 --split val
  ferbench evaluate models/mini --dataset fer2013 --split test --json
  ferbench evaluate tiny --dataset my-photos/ --split all --items items.csv
  ferbench evaluate tiny --dataset fer2013 --split val --corruptions
  ferbench evaluate tiny --dataset fer2013 --split val --corruptions noise,jpeg

A missed face counts as wrong. With --json, standard output holds one JSON object and nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ferbench.errors import DataError
from ferbench.labels import ContemptPolicy

if TYPE_CHECKING:
    from ferbench.benchmarks.evaluation import Evaluation
    from ferbench.benchmarks.robustness import Robustness
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
    parser.add_argument("--device", default="cpu", choices=["auto", "cpu", "gpu"], help="default: cpu")
    parser.add_argument(
        "--contempt",
        default="error",
        choices=get_args(ContemptPolicy),
        help="what becomes of contempt where the pipeline does not know it (default: error)",
    )
    parser.add_argument(
        "--corruptions",
        nargs="?",
        const="all",
        metavar="NAMES",
        help="accuracy on spoilt face crops, at five severities: all, or names such as noise,jpeg",
    )
    parser.add_argument("--items", type=Path, metavar="CSV", help="write one row per face")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench evaluate``."""
    from rich.console import Console
    from rich.progress import Progress

    from ferbench.benchmarks.evaluation import evaluate
    from ferbench.benchmarks.robustness import measure_robustness, parse_corruptions
    from ferbench.cli.tables import check_table
    from ferbench.datasets import load_dataset, skipped_warning
    from ferbench.pipelines import load_pipeline

    check_table(args.items)
    if args.items is not None and not args.items.parent.is_dir():
        raise DataError(f"no such folder: {args.items.parent}", fix="make it first")
    names = () if args.corruptions is None else parse_corruptions(args.corruptions)
    pipeline = load_pipeline(
        args.pipeline, detector=args.detector, runtime=args.runtime, threads=args.threads, device=args.device
    )
    dataset = load_dataset(args.dataset)
    samples = dataset.split(args.split)
    if warning := skipped_warning(dataset):
        print(warning, file=sys.stderr)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("faces", total=len(samples))
        result = evaluate(pipeline, samples, contempt=args.contempt, on_progress=lambda n: progress.advance(task, n))
        spoilt = None
        if names:
            task = progress.add_task("spoilt faces", total=len(result.items) * 5 * len(names))
            spoilt = measure_robustness(
                pipeline,
                samples,
                names,
                contempt=args.contempt,
                clean=(result.items["predicted"] == result.items["truth"]).to_numpy(dtype=bool),
                on_progress=lambda n: progress.advance(task, n),
            )
    record = _record(pipeline, samples, result)
    if spoilt is not None:
        record["robustness"] = _robustness_record(spoilt)
    print(json.dumps(record, indent=2) if args.json else _text(record))
    if args.items is not None:
        result.items.to_csv(args.items, index=False)
    return 0


def _record(pipeline: Pipeline, samples: Samples, result: Evaluation) -> dict[str, Any]:
    import ferbench
    from ferbench.datasets import has_learnt_from
    from ferbench.pipelines.lineage import FACES, chosen_on, compared_on

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
    known, scored = pipeline.trained_on, {name: getattr(samples, name) for name in FACES}
    record["has_learnt_from_these"] = has_learnt_from(known, **scored)
    record["was_tuned_on_these"] = any(has_learnt_from(faces, **scored) for faces in chosen_on(known))
    record["was_compared_on_these"] = any(has_learnt_from(faces, **scored) for faces in compared_on(known))
    record["was_calibrated_on_these"] = has_learnt_from(known.get("calibrated_on") or {}, **scored)
    record["ferbench"] = ferbench.__version__
    return record


def _robustness_record(spoilt: Robustness) -> dict[str, Any]:
    from ferbench.benchmarks.corruptions import CORRUPTIONS, SEVERITIES

    record: dict[str, Any] = {"n": spoilt.n, "seed": spoilt.seed, "severities": list(SEVERITIES)}
    for name in ("clean", "mean", "relative"):
        estimate = getattr(spoilt, name)
        # A share of a clean accuracy of 0 is not defined.
        value = None if math.isnan(estimate.value) else estimate.value
        record |= {name: value, f"{name}_ci": [estimate.low, estimate.high]}
    record["interval"] = f"95 %, bootstrap over {spoilt.interval_over}"
    record["corruptions"] = {
        name: {
            "parameter": CORRUPTIONS[name].parameter,
            "values": list(CORRUPTIONS[name].values),
            "accuracy": list(accuracy),
            "mean": sum(accuracy) / len(accuracy),
        }
        for name, accuracy in spoilt.accuracy.items()
    }
    return record


def _robustness_lines(record: dict[str, Any]) -> list[str]:
    def line(title: str, name: str) -> str:
        low, high = record[f"{name}_ci"]
        interval = "" if low is None else f"  [{100 * low:.1f}, {100 * high:.1f}]"
        return f"{title:<30} " + ("    –" if record[name] is None else f"{100 * record[name]:5.1f} %{interval}")

    rows = record["corruptions"].items()
    return [
        line("clean accuracy", "clean"),
        "",
        f"{'accuracy % at severity':<22}"
        + "".join(f"{severity:>8}" for severity in record["severities"])
        + f"{'mean':>8}",
        *(f"{name:<22}" + "".join(f"{100 * v:8.1f}" for v in (*one["accuracy"], one["mean"])) for name, one in rows),
        "",
        line("mean corrupted accuracy", "mean"),
        line("relative to clean", "relative"),
        f"intervals: {record['interval']}",
    ]


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
    head = [
        *textwrap.wrap(record["pipeline"], WIDTH, break_on_hyphens=False),
        *textwrap.wrap(about, WIDTH, break_on_hyphens=False),
        "",
    ]
    warnings = _warnings(record)
    if "robustness" in record:
        return "\n".join(head + _robustness_lines(record["robustness"]) + warnings)
    rows = [
        *head,
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
    return "\n".join(rows + warnings)


def _warnings(record: dict[str, Any]) -> list[str]:
    said = [record["permuted_labels"]] if record["permuted_labels"] else []
    if record["has_learnt_from_these"]:
        said.append("it learnt from these very faces: the figures say nothing about others")
    elif record["was_tuned_on_these"]:
        said.append("its settings, or the epoch that was kept, were chosen on these very faces: the figures flatter it")
    elif record["was_compared_on_these"]:
        said.append("it was chosen among a few by its figures on these very faces: they flatter it a little")
    return [line for text in said for line in ("", *textwrap.wrap(f"warning: {text}", WIDTH))]
