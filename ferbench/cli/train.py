"""Fit a pipeline on a dataset and save it; a network goes on where a stopped training left off.

  ferbench train haar-lbp-svm --dataset fer2013 --out models/lbp
  ferbench train haar-mini-xception --dataset fer2013 --val-split val --out models/mini
  ferbench train "haar/se-resnet(epochs=60)@litert" --dataset fer2013 --soft-labels 0.3 --out models/mine

The validation split chooses nothing: it is scored once at the end and, where it holds crops, after every epoch of a
network.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferbench.errors import DataError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from ferbench.contracts import Dataset
    from ferbench.pipelines import Pipeline
    from ferbench.samples import Samples

__all__ = ["configure", "main"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench train``."""
    parser.add_argument("pipeline", metavar="PIPELINE", help="preset, or detector/features/classifier@runtime")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="dataset's name, spec, or path")
    parser.add_argument("--split", default="train", metavar="NAME", help="learnt from (default: train)")
    parser.add_argument("--val-split", metavar="NAME", help="scored, never learnt from (default: none)")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder of the saved pipeline")
    parser.add_argument("--limit", type=int, metavar="N", help="learn from a random N samples")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of --limit (default: 0)")
    parser.add_argument(
        "--soft-labels",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of a network's target that comes from FER+ votes, 0 to 1; with fer2013 (default: 0)",
    )


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench train``."""
    from ferbench.datasets import load_dataset, skipped_warning
    from ferbench.pipelines import make_pipeline

    if args.val_split and (args.val_split == args.split or "all" in (args.val_split, args.split)):
        raise ParameterError(
            "a pipeline cannot be judged on what it learns from",
            got=f"--split {args.split} --val-split {args.val_split}",
        )
    pipeline = make_pipeline(args.pipeline)
    pipeline.check_parameters()
    if args.soft_labels and pipeline.family != "deep":
        raise ParameterError("--soft-labels is for networks", got=pipeline.id)
    dataset = load_dataset(args.dataset)
    samples = _limited(dataset.split(args.split), args.limit, args.seed)
    validation = dataset.split(args.val_split) if args.val_split else None
    if warning := skipped_warning(dataset):
        print(warning, file=sys.stderr)
    args.out.mkdir(parents=True, exist_ok=True)  # what cannot be written is said before the work
    print(f"{pipeline.id}\nlearning from {len(samples)} samples of {samples.dataset} {samples.split}", file=sys.stderr)
    if pipeline.family == "deep":
        _fit_network(pipeline, dataset, samples, validation, args)
    else:
        pipeline.fit(samples)
    metrics = {} if validation is None else _score(pipeline, validation)
    pipeline.save(args.out, metrics=metrics)
    for name, value in metrics.get("end_to_end", {}).items():
        print(f"{name.replace('_', ' '):<18} {100 * value['value']:5.1f} %  on {args.val_split}", file=sys.stderr)
    print(args.out)
    return 0


def _limited(samples: Samples, limit: int | None, seed: int) -> Samples:
    from ferbench.benchmarks.views import limit_samples

    if limit is not None and limit < 1:
        raise ParameterError("--limit must be 1 or more", got=limit)
    return limit_samples(samples, limit, seed)


def _score(pipeline: Pipeline, validation: Samples) -> dict[str, Any]:
    from ferbench.benchmarks.evaluation import evaluate

    quality = evaluate(pipeline, validation).quality
    return {"dataset": validation.dataset, "split": validation.split, **quality.model_dump(mode="json")}


def _fit_network(
    pipeline: Pipeline, dataset: Dataset, samples: Samples, validation: Samples | None, args: argparse.Namespace
) -> None:
    import numpy as np
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ferbench.pipelines.crops import resize_crops
    from ferbench.registry import create

    recipe = create("classifiers", pipeline.parts.classifier).recipe
    options: dict[str, Any] = {"checkpoint_dir": args.out / "checkpoints"}
    if args.soft_labels:
        options["targets"] = _soft_targets(samples, args.soft_labels)
    if validation is not None and validation.kind == "crops":
        crops = resize_crops(np.asarray(validation.images), pipeline.input_size)
        options["validation"] = (crops, validation.labels)
    columns = (
        TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=recipe.epochs)
        pipeline.fit(samples, on_epoch=_reporter(progress, task, args.out / "training.csv"), **options)


def _reporter(progress: Any, task: Any, log: Path) -> Callable[[Any], None]:
    """Shows each epoch, and writes it to ``training.csv``."""
    from dataclasses import asdict

    log.parent.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []

    def report(epoch: Any) -> None:
        row = asdict(epoch)
        lines.append(",".join("" if value is None else f"{value:.6g}" for value in row.values()))
        log.write_text("\n".join([",".join(row), *lines]) + "\n", encoding="utf-8")
        val = "" if epoch.val_accuracy is None else f", validation {100 * epoch.val_accuracy:.1f} %"
        text = f"loss {epoch.loss:.3f}, accuracy {100 * epoch.accuracy:.1f} %{val}"
        progress.update(task, completed=epoch.epoch, description=text)
        if not progress.console.is_terminal:
            progress.console.print(f"epoch {epoch.epoch}: {text} ({epoch.seconds:.0f} s)")

    return report


def _soft_targets(samples: Samples, share: float) -> npt.NDArray[np.float32]:
    """(N, C) targets over the sorted labels: one-hot labels mixed with the shares of FER+ votes.

    Faces that FER+ lacks, or in which nobody saw one of the labels, keep their one-hot target.
    """
    import numpy as np

    from ferbench.datasets import load_dataset

    if not 0 <= share <= 1:
        raise ParameterError("--soft-labels is a share", got=share, expected="0 to 1")
    if samples.dataset != "fer2013":
        raise DataError("FER+ votes are for FER2013's images", got=samples.dataset, fix="leave --soft-labels out")
    classes = np.unique(samples.labels)
    targets: npt.NDArray[np.float32] = (samples.labels[:, None] == classes[None]).astype(np.float32)
    voted = load_dataset("ferplus(mode=plurality)", split=samples.split)
    if voted.votes is None:
        raise DataError("FER+ came without votes")
    columns = voted.label_space.encode(classes)
    position = {face: i for i, face in enumerate(voted.ids.tolist())}
    rows = np.array([position.get(face, -1) for face in samples.ids.tolist()])
    votes = voted.votes[rows][:, columns]
    total = votes.sum(axis=1, keepdims=True)
    usable = (rows >= 0) & (total[:, 0] > 0)
    targets[usable] = (1 - share) * targets[usable] + share * votes[usable] / total[usable]
    return targets
