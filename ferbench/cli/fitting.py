"""What ``train`` and ``combine`` do for a network: validation faces, progress, log, curve, record and last steps."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferbench.errors import ParameterError

if TYPE_CHECKING:
    import argparse

    import numpy.typing as npt

    from ferbench.pipelines import Pipeline
    from ferbench.samples import Samples

__all__ = ["TEST_SPLIT", "Steering", "check_calibration", "check_unseen", "fit_network", "hold_back", "keep"]

TEST_SPLIT = "test"
_FEW_FOLDS = 20
"""Folds, at most, of which several are held back."""


def hold_back(samples: Samples, share: float, seed: int) -> tuple[Samples, Samples]:
    """The samples to learn from and those held back: nobody is in both, classes are balanced as far as that allows."""
    import numpy as np

    from ferbench.datasets import subject_folds

    if not 0 < share <= 0.5:
        raise ParameterError("--hold-out is a share", got=share, expected="above 0, 0.5 at most")
    # 0.15 is three folds of twenty, 0.01 one of a hundred.
    most = min(_FEW_FOLDS, len(np.unique(samples.groups)), int(np.unique(samples.labels, return_counts=True)[1].max()))
    few = 1 if share < 1 / _FEW_FOLDS else most
    fraction = Fraction(share).limit_denominator(few) or Fraction(1, round(1 / share))
    folds = subject_folds(samples, fraction.denominator, seed)[: fraction.numerator]
    held = np.sort(np.concatenate([fold for _, fold in folds]))
    return samples.subset(np.setdiff1d(np.arange(len(samples)), held)), samples.subset(held)


@dataclass(frozen=True)
class Steering:
    """The faces that are scored after every epoch, and what they decide.

    Attributes
    ----------
    samples : Samples or None
    decisions : tuple of str
        What the recipe lets validation faces decide.
    held_back : dict
        Share and seed, where the faces were held back from those to learn from.
    """

    samples: Samples | None
    decisions: tuple[str, ...]
    held_back: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse to decide anything on a test split, or by faces that are not there; say what decides instead."""
        if self.samples is None:
            if needed := [what for what in self.decisions if what != "learning rate"]:
                raise ParameterError(
                    f"validation faces decide the {' and the '.join(needed)}, and there are none",
                    fix="hold some back (--hold-out 0.1), or name a --val-split",
                )
            if self.decisions:
                print("no validation faces: the learning rate follows the training loss", file=sys.stderr)
        elif self.decisions and not self.held_back and self.samples.split == TEST_SPLIT:
            raise ParameterError(
                f"the {' and the '.join(self.decisions)} would be chosen on the test split",
                expected="faces that no result is reported on",
                fix="hold some of the training back with --hold-out 0.1",
            )

    def record(self, epochs: int, kept: int | None) -> dict[str, Any]:
        """What a saved pipeline says of it; empty where nothing was decided."""
        if self.samples is None or not self.decisions:
            return {}
        chosen = {"dataset": self.samples.dataset, "split": self.samples.split, "revision": self.samples.revision}
        facts = {"n": len(self.samples), "decided": list(self.decisions), "epochs": epochs}
        return {"tuned_on": chosen | facts | ({"epoch": kept} if kept else {}) | self.held_back}


def fit_network(
    pipeline: Pipeline, samples: Samples, steering: Steering, out: Path, *, curve: Path | None, **options: Any
) -> None:
    """Train a network with a bar, a log, checkpoints, and its architecture as JSON in the folder.

    Parameters
    ----------
    pipeline : Pipeline
    samples : Samples
        To learn from.
    steering : Steering
    out : Path
        Folder of the saved pipeline.
    curve : Path, optional
        Picture of the learning curves, drawn anew after every epoch.
    **options
        Passed to the network's ``fit``: ``targets``, ``initial``.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from ferbench.benchmarks.disk import held
    from ferbench.registry import create

    recipe = create("classifiers", pipeline.parts.classifier).recipe
    checkpoints = out / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    if (validation := _validation(pipeline, steering)) is not None:
        options["validation"] = validation
    columns = (
        TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}"),
    )  # fmt: skip
    alone = held(checkpoints, "training", "wait for it, stop it, or choose another --out")
    with alone, Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=recipe.epochs)
        report = _reporter(progress, task, out / "training.csv", curve, pipeline.parts.classifier.name)
        pipeline.fit(samples, on_epoch=report, checkpoint_dir=checkpoints, **options)
    network = pipeline.estimator_
    (out / "architecture.json").write_text(network.model_.to_json(indent=1), encoding="utf-8")
    epochs = len(network.log_)
    if epochs < recipe.epochs:
        print(f"ended after epoch {epochs}: the validation loss had stopped falling", file=sys.stderr)
    kept = None
    if recipe.keep == "best":
        from ferbench.classifiers.keras.recipe import best_epoch

        kept = best_epoch(network.log_)
        print(f"kept epoch {kept} of {epochs}, the most often right on the validation faces", file=sys.stderr)
    pipeline.trained_on |= steering.record(epochs, kept)


def _validation(pipeline: Pipeline, steering: Steering) -> Any:
    """Crops and labels of the validation faces; photos are cropped only where they decide something."""
    import numpy as np

    from ferbench.pipelines.crops import resize_crops

    samples = steering.samples
    if samples is None or (samples.kind != "crops" and not steering.decisions):
        return None
    if samples.kind == "crops":
        return resize_crops(np.asarray(samples.images), pipeline.input_size), samples.labels
    crops, index = pipeline.crops_of_photos(samples)
    if not len(crops):
        raise ParameterError("the detector found no validation face", got=f"{len(samples)} photos")
    return crops, samples.labels[index]


def _reporter(progress: Any, task: Any, log: Path, curve: Path | None, title: str) -> Callable[[Any], None]:
    """Shows each epoch, writes it to ``training.csv`` and draws the curve."""
    log.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []

    def report(epoch: Any) -> None:
        rows.append(asdict(epoch))
        lines = [",".join("" if v is None else f"{v:.6g}" for v in row.values()) for row in rows]
        log.write_text("\n".join([",".join(rows[0]), *lines]) + "\n", encoding="utf-8")
        if curve is not None:
            from ferbench.reports.curves import draw_curve

            draw_curve(rows, curve, title=title)
        val = "" if epoch.val_accuracy is None else f", validation {100 * epoch.val_accuracy:.1f} %"
        text = f"loss {epoch.loss:.3f}, accuracy {100 * epoch.accuracy:.1f} %{val}"
        progress.update(task, completed=epoch.epoch, description=text)
        if not progress.console.is_terminal:
            progress.console.print(f"epoch {epoch.epoch}: {text} ({epoch.seconds:.0f} s)")

    return report


def check_unseen(what: str, pipeline: Pipeline, validation: Samples | None) -> None:
    """Refuse a network that learnt from the faces it is to be judged on."""
    from ferbench.datasets import has_learnt_from

    if validation is not None and has_learnt_from(
        pipeline.trained_on, dataset=validation.dataset, revision=validation.revision, split=validation.split
    ):
        raise ParameterError(
            f"{what} learnt from --val-split {validation.split}",
            expected="faces that were not learnt from",
            fix="name another split",
        )


def check_calibration(args: argparse.Namespace, validation: Samples | None = None, learnt: npt.ArrayLike = ()) -> None:
    """Refuse ``--calibrate`` without validation faces, or on faces that a network of these labels cannot be given."""
    from ferbench.pipelines.learning import check_calibration_faces

    if args.calibrate and not args.val_split:
        raise ParameterError("--calibrate needs --val-split", fix="name a split that is not learnt from")
    if args.calibrate and validation is not None:
        check_calibration_faces(validation, learnt)


def keep(pipeline: Pipeline, validation: Samples | None, args: argparse.Namespace) -> None:
    """Calibrate, halve, score and save a fitted pipeline, as the command line says, and print how it did and where."""
    if args.calibrate and validation is not None:
        found = pipeline.calibrate(validation)
        print(f"temperature {found:.3f}, from {validation.dataset} {validation.split}", file=sys.stderr)
    if args.half:
        pipeline.estimator_.halve()
    metrics = {} if validation is None else _score(pipeline, validation)
    pipeline.save(args.out, metrics=metrics)
    for name, value in metrics.get("end_to_end", {}).items():
        about = f"{metrics['dataset']} {metrics['split']}"
        print(f"{name.replace('_', ' '):<18} {100 * value['value']:5.1f} %  on {about}", file=sys.stderr)
    print(args.out)


def _score(pipeline: Pipeline, validation: Samples) -> dict[str, Any]:
    """What a pipeline's record says of how it did on validation faces."""
    from ferbench.benchmarks.evaluation import evaluate

    if pipeline.family == "deep":  # what was trained, on whichever backend
        pipeline = pipeline.with_runtime("keras")
    quality = evaluate(pipeline, validation).quality
    return {"dataset": validation.dataset, "split": validation.split, **quality.model_dump(mode="json")}
