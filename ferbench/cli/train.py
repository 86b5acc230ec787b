"""Fit a pipeline on a dataset and save it; a network goes on where a stopped training left off.

  ferbench train haar-lbp-svm --dataset fer2013 --out models/lbp
  ferbench train haar-mini-xception --dataset fer2013 --val-split val \\
      --out models/mini
  ferbench train haar-se-resnet --set epochs=60 --dataset fer2013 \\
      --soft-labels 0.3 --out models/mine
  ferbench train haar-se-resnet --dataset fer2013 --teacher models/mine \\
      --distil 0.5 --out models/small

PIPELINE may also be a YAML file like those of the presets. The validation split is scored once at the end and, where
it holds crops, after every epoch of a network. It chooses nothing, unless the recipe has schedule=plateau,
early_stopping or keep=best: these decide on the faces of --hold-out, or else on the validation split, which the
record then says, and never on a test split. With --calibrate it sets the one temperature of the probabilities, which
changes no label.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferbench.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ferbench.cli.fitting import Steering
    from ferbench.contracts import Dataset
    from ferbench.pipelines import Pipeline
    from ferbench.samples import Samples

__all__ = ["configure", "main"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench train``."""
    parser.add_argument("pipeline", metavar="PIPELINE", help="preset, or detector/features/classifier@runtime")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value of a parameter of the classifier or, as features.NAME, of the features; may be repeated",
    )
    parser.add_argument("--dataset", required=True, metavar="NAME", help="dataset's name, spec, or path")
    parser.add_argument("--split", default="train", metavar="NAME", help="learnt from (default: train)")
    parser.add_argument("--val-split", metavar="NAME", help="scored, never learnt from (default: none)")
    parser.add_argument("--val-dataset", metavar="NAME", help="of --val-split (default: --dataset)")
    parser.add_argument(
        "--hold-out",
        type=float,
        metavar="SHARE",
        help="share of the samples held back from a network; takes the validation split's place after each epoch",
    )
    parser.add_argument(
        "--curve", type=Path, metavar="FILE", help="draw a network's learning curves (.svg, .png, .pdf), live"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder of the saved pipeline")
    parser.add_argument("--limit", type=int, metavar="N", help="learn from a random N samples")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of --limit and --hold-out (default: 0)")
    parser.add_argument(
        "--soft-labels",
        type=float,
        metavar="SHARE",
        help="share of a network's target that comes from FER+ votes, 0 to 1, on fer2013 and ferplus (default: the "
        "preset's)",
    )
    parser.add_argument(
        "--teacher",
        action="append",
        dest="teachers",
        metavar="PIPELINE",
        help="saved or shipped pipeline whose answers a network learns too; may be repeated (default: the preset's)",
    )
    parser.add_argument(
        "--distil",
        type=float,
        metavar="SHARE",
        help="share of a network's target that comes from its teachers, 0 to 1 (default: the preset's, or 0.5)",
    )
    parser.add_argument(
        "--from",
        dest="initial",
        metavar="PIPELINE",
        help="saved or shipped pipeline with the same network, alone or in an ensemble, to start from its weights",
    )
    parser.add_argument(
        "--calibrate", action="store_true", help="scale a network's probabilities on --val-split by one temperature"
    )
    parser.add_argument("--half", action="store_true", help="store a network's weights in float16, in half the space")


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench train``."""
    from ferbench.cli.fitting import check_calibration, fit_network, keep
    from ferbench.datasets import load_dataset, skipped_warning
    from ferbench.pipelines import Pipeline, make_pipeline
    from ferbench.pipelines.lineage import FACES, SEARCHED
    from ferbench.pipelines.preset import find_preset
    from ferbench.pipelines.spec import parse_settings, with_values
    from ferbench.pipelines.storage import check_folder

    if args.val_dataset and not args.val_split:
        raise ParameterError("--val-dataset needs --val-split", got=args.val_dataset)
    pipeline = make_pipeline(args.pipeline)
    if args.set:
        pipeline = Pipeline(with_values(pipeline.parts, parse_settings(args.set)))
    pipeline.check_parameters()
    given = _given(args)
    own = (args.initial, args.calibrate, args.half, args.hold_out is not None, args.curve)
    if (given or any(own)) and pipeline.family != "deep":
        options = "--soft-labels, --teacher, --from, --calibrate, --half, --hold-out and --curve"
        raise ParameterError(f"{options} are for networks", got=pipeline.id)
    check_calibration(args)
    if args.distil and not args.teachers and "teachers" not in _preset_training(args):
        raise ParameterError("--distil needs --teacher", got=args.distil)
    dataset = load_dataset(args.dataset)
    samples = _limited(dataset.split(args.split), args.limit, args.seed)
    validation = _validation(samples, dataset, args)
    samples, steering = _steering(pipeline, samples, validation, args)
    if warning := skipped_warning(dataset):
        print(warning, file=sys.stderr)
    check_calibration(args, validation, samples.labels)  # before the training, not after it
    initial = {"initial": _initial(args.initial, samples, validation)} if args.initial else {}
    settings = _settings(args, samples.dataset) if pipeline.family == "deep" else {}
    origin = _origin(settings, args.initial)
    learnt = {name: getattr(samples, name) for name in FACES} | {"n": len(samples)}
    made_of = {name: origin.get(name) for name in ("soft_labels", "teachers", "distil", "initial")}
    check_folder(args.out, pipeline, learnt | made_of)
    args.out.mkdir(parents=True, exist_ok=True)  # what cannot be written is said before the work
    print(f"{pipeline.id}\nlearning from {len(samples)} samples of {samples.dataset} {samples.split}", file=sys.stderr)
    if pipeline.family == "deep":
        targets = {"targets": _targets(samples, validation, settings)} if settings else {}
        try:
            fit_network(pipeline, samples, steering, args.out, curve=args.curve, **targets, **initial)
        except KeyboardInterrupt:
            print(f"\nstopped; {args.out} keeps the epochs done, and the same command goes on", file=sys.stderr)
            raise
        pipeline.trained_on |= origin
    else:
        pipeline.fit(samples)
    if (preset := find_preset(args.pipeline)) is not None and preset.searched_on:
        pipeline.trained_on[SEARCHED] = dict(preset.searched_on)
    keep(pipeline, validation, args)
    return 0


def _validation(samples: Samples, dataset: Dataset, args: argparse.Namespace) -> Samples | None:
    """The faces of --val-split, under labels of those to learn from; refused where they are the same faces."""
    from ferbench.cli.fitting import TEST_SPLIT
    from ferbench.datasets import has_learnt_from, load_dataset, skipped_warning
    from ferbench.pipelines.lineage import FACES

    if not args.val_split:
        return None
    source = dataset if args.val_dataset is None else load_dataset(args.val_dataset)
    validation = source.split(args.val_split).within(samples.label_space)
    if source is not dataset and (warning := skipped_warning(source)):
        print(f"{args.val_dataset}: {warning}", file=sys.stderr)
    learnt, judged = ({name: getattr(one, name) for name in FACES} for one in (samples, validation))
    if has_learnt_from(learnt, **judged):
        raise ParameterError(
            "a pipeline cannot be judged on what it learns from",
            got=f"{samples.dataset} {samples.split} and {validation.dataset} {validation.split}",
            expected="faces that are not learnt from",
            fix="name another --val-split",
        )
    if args.val_split == "all" and TEST_SPLIT in source.info.splits:
        raise ParameterError("--val-split all has the test split in it", got=source.info.name, fix="name another split")
    return validation


def _steering(
    pipeline: Pipeline, samples: Samples, validation: Samples | None, args: argparse.Namespace
) -> tuple[Samples, Steering]:
    """The samples to learn from, and what is scored after each epoch; checked before the training."""
    from ferbench.cli.fitting import Steering, hold_back
    from ferbench.registry import create
    from ferbench.reports.curves import check_curve

    if args.curve is not None:
        check_curve(args.curve)
    if pipeline.family != "deep":
        return samples, Steering(validation, ())
    decisions = create("classifiers", pipeline.parts.classifier).recipe.decisions
    steering = Steering(validation, decisions)
    if args.hold_out is not None:
        samples, held = hold_back(samples, args.hold_out, args.seed)
        steering = Steering(held, decisions, {"held_back": args.hold_out, "seed": args.seed})
    steering.check()
    return samples, steering


def _limited(samples: Samples, limit: int | None, seed: int) -> Samples:
    from ferbench.benchmarks.views import limit_samples

    for name, value, least in (("limit", limit, 1), ("seed", seed, 0)):
        if value is not None and value < least:
            raise ParameterError(f"--{name} must be {least} or more", got=value)
    return limit_samples(samples, limit, seed)


def _initial(name: str, samples: Samples, validation: Samples | None) -> Any:
    """The network of a saved pipeline, if its classes are those of the faces to learn from."""
    import numpy as np

    from ferbench.cli.fitting import check_unseen
    from ferbench.pipelines import load_pipeline

    pipeline = load_pipeline(name, runtime="keras")
    known, expected = ", ".join(sorted(pipeline.classes_)), ", ".join(np.unique(samples.labels).tolist())
    if pipeline.family != "deep" or known != expected:
        raise ParameterError(f"--from {name} has other labels", got=known, expected=expected)
    check_unseen(f"--from {name}", pipeline, validation)
    return pipeline.estimator_.model_


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """What the command line says that targets are made of."""
    given = {"soft_labels": args.soft_labels, "teachers": args.teachers, "distil": args.distil}
    return {name: value for name, value in given.items() if value is not None}


def _preset_training(args: argparse.Namespace) -> dict[str, Any]:
    from ferbench.pipelines.preset import find_preset

    preset = find_preset(args.pipeline)
    return dict(preset.training) if preset else {}


def _settings(args: argparse.Namespace, dataset: str) -> dict[str, Any]:
    """What the targets are made of: the command line's word, else that of a preset made for this data set."""
    own = _preset_training(args)
    if own and own.pop("dataset") != dataset:
        print(f"the targets of {args.pipeline} are for another data set, and left out", file=sys.stderr)
        own = {}
    settings = own | _given(args)
    if settings.get("teachers"):
        settings.setdefault("distil", 0.5)
    if not settings.get("distil"):
        settings.pop("teachers", None)
    return {name: value for name, value in settings.items() if value}


def _targets(samples: Samples, validation: Samples | None, settings: dict[str, Any]) -> npt.NDArray[np.float32]:
    from ferbench.cli.fitting import check_unseen
    from ferbench.pipelines import load_pipeline
    from ferbench.pipelines.targets import distilled_targets, label_targets, vote_targets

    votes = settings.get("soft_labels", 0)
    targets = vote_targets(samples, votes) if votes else label_targets(samples)
    if not settings.get("teachers"):
        return targets
    teachers = [load_pipeline(name) for name in settings["teachers"]]
    for name, teacher in zip(settings["teachers"], teachers, strict=True):
        check_unseen(f"the teacher {name}", teacher, validation)
    return distilled_targets(targets, samples, teachers, settings["distil"], ask=_kept_answers)


def _kept_answers(teacher: Pipeline, samples: Samples) -> npt.NDArray[np.float32]:
    """A teacher's answers, which a training that goes on after a stop takes from the cache."""
    import hashlib

    from ferbench.benchmarks.cache import cached_array, code_digest
    from ferbench.digests import file_digest
    from ferbench.pipelines.targets import teacher_answers

    faces = hashlib.sha256("\0".join(samples.ids.tolist()).encode()).hexdigest()
    model = {name: file_digest(path) for name, path in sorted(teacher.files_.items())}
    parts = [("features", teacher.parts.features), ("runtimes", teacher.parts.runtime)]
    key = {
        "what": "teacher-answers",
        "teacher": [teacher.id, model, teacher.input_size],
        "code": [code_digest(group, str(spec)) for group, spec in parts if spec is not None],
        "faces": [samples.dataset, samples.revision, samples.split, faces],
    }
    return cached_array(key, lambda: teacher_answers(teacher, samples))


def _origin(settings: dict[str, Any], initial: str | None) -> dict[str, Any]:
    """What a network's record says of its targets, and of the networks that it learnt from, with their faces."""
    from ferbench.pipelines.lineage import INITIAL, TEACHER, as_ancestors, once

    origin = dict(settings)
    ancestors = [one for name in settings.get("teachers", []) for one in as_ancestors(TEACHER, name)]
    if "teachers" in settings:
        origin["teachers"] = [Path(name).name for name in settings["teachers"]]
    if initial is not None:
        origin["initial"] = Path(initial).name
        ancestors += as_ancestors(INITIAL, initial)
    return origin | ({"ancestors": once(ancestors)} if ancestors else {})
