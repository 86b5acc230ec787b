"""Search for a pipeline's parameters on training faces, and write the best as a preset. Goes on where it was stopped.

  ferbench tune haar-krishna-cnn --dataset fer2013 --val-split val --out tuned/a
  ferbench tune hog/rbf-svm --dataset fer2013 --limit 5000 --trials 30 \\
      --search C=1:100:log --search gamma=0.1:10:log --out tuned/hog
  ferbench tune lbp/linear-svm --dataset ckplus --split all --trials 20 \\
      --search "features.grid=5|6|7|8" --search C=0.01:10:log --out tuned/lbp
  ferbench train tuned/hog/best.yaml --dataset fer2013 --out models/hog

Each trial is scored on folds of --split, in which nobody is on both sides, or on --val-split; never on a test split.
The figures of the winner flatter it: it was chosen on them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferbench.errors import ParameterError

if TYPE_CHECKING:
    from ferbench.samples import Samples
    from ferbench.tuning.study import Trial

__all__ = ["configure", "main"]

SHOWN = 10
"""Trials in the table; ``trials.csv`` has all of them."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench tune``."""
    parser.add_argument("pipeline", metavar="PIPELINE", help="preset, preset file, or detector/features/classifier")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="dataset's name, spec, or path")
    parser.add_argument("--split", default="train", metavar="NAME", help="learnt from (default: train)")
    parser.add_argument("--val-split", metavar="NAME", help="scored (default: none; folds of --split)")
    parser.add_argument("--folds", type=int, default=3, metavar="N", help="folds of --split (default: 3)")
    parser.add_argument("--limit", type=int, metavar="N", help="use a random N samples of --split")
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="sets of parameters in all (default: 20)")
    parser.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="RANGE",
        help="NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=a|b|c; features.NAME for a parameter of the features; may be "
        "repeated (default: learning rate, batch size, dropout, C, gamma, as the classifier has them)",
    )
    parser.add_argument("--metric", default="accuracy", metavar="NAME", help="accuracy or macro-f1 (default: accuracy)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of folds, limit and proposals (default: 0)")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder of the search")


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench tune``."""
    from ferbench.benchmarks.views import limit_samples
    from ferbench.datasets import load_dataset
    from ferbench.pipelines import Pipeline, make_pipeline
    from ferbench.pipelines.spec import with_values
    from ferbench.tuning.scoring import METRICS, Scorer, faces_of
    from ferbench.tuning.space import search_space
    from ferbench.tuning.study import tune

    _check(args, METRICS)
    pipeline = make_pipeline(args.pipeline)
    space = search_space(pipeline.parts, args.search)
    first = {d.name: d.ends[0] for d in space}
    ends = [first] + [{**first, d.name: value} for d in space for value in d.ends[1:]]
    for values in ends:  # one that cannot be is said before any work
        Pipeline(with_values(pipeline.parts, values)).check_parameters()
    dataset = load_dataset(args.dataset)
    if args.split == "all" and "test" in dataset.info.splits:
        raise ParameterError("parameters would be chosen on the test split", got="--split all", fix="name a split")
    samples = limit_samples(dataset.split(args.split), args.limit, args.seed)
    validation = dataset.split(args.val_split) if args.val_split else None
    faces = faces_of(pipeline, samples, validation, args.folds, args.seed)
    scored = f"{samples.dataset} {args.val_split}" if validation else f"{args.folds} folds of {_learnt(samples)}"
    facts = {
        "dataset": samples.dataset,
        "revision": samples.revision,
        "split": args.val_split or args.split,
        "learnt": _learnt(samples),
        "scored": scored,
        "metric": args.metric,
    }
    print(f"{pipeline.id}\nlearning from {_learnt(samples)}, scored on {scored}", file=sys.stderr)
    done = tune(
        pipeline.parts,
        space,
        Scorer(faces, args.metric),
        args.out,
        n_trials=args.trials,
        seed=args.seed,
        facts=facts,
        on_trial=_reporter(args.metric),
    )
    _print_table(done, args.metric)
    if len(done) > args.trials:
        print(f"{len(done)} trials were done before; --trials {args.trials} asks for no more", file=sys.stderr)
    if len(done) < args.trials:
        print(f"all {len(done)} sets of values were tried", file=sys.stderr)
    if not any(trial.is_whole for trial in done):
        why = next((f"; the first failure: {trial.error}" for trial in done if trial.error), "")
        raise ParameterError(
            "no trial was carried to its end", got=f"{len(done)} trials{why}", fix="ask for more --trials, or less"
        )
    print(args.out / "best.yaml")
    return 0


def _check(args: argparse.Namespace, metrics: tuple[str, ...]) -> None:
    from ferbench.errors import UnknownNameError

    if "test" in (args.split, args.val_split):
        raise ParameterError(
            "parameters would be chosen on the test split",
            got=f"--split {args.split}" if args.split == "test" else f"--val-split {args.val_split}",
            expected="faces that no result is reported on",
        )
    if args.val_split and (args.val_split == args.split or "all" in (args.val_split, args.split)):
        raise ParameterError(
            "a pipeline cannot be judged on what it learns from",
            got=f"--split {args.split} --val-split {args.val_split}",
        )
    if args.metric not in metrics:
        raise UnknownNameError("metric", args.metric, metrics)
    for name, least in (("trials", 1), ("folds", 2), ("limit", 1), ("seed", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise ParameterError(f"--{name} must be {least} or more", got=value)


def _learnt(samples: Samples) -> str:
    return f"{samples.dataset} {samples.split} ({len(samples):,} faces)"


def _reporter(metric: str) -> Any:
    """A line for each trial, as it is done."""
    best = [float("-inf")]

    def report(trial: Trial, n_trials: int) -> None:
        if trial.error:
            print(f"trial {trial.number} of {n_trials} failed: {trial.error}", file=sys.stderr)
            return
        if trial.is_whole:
            best[0] = max(best[0], trial.score)
        end = ", cut short" if trial.was_cut_short else ""
        print(
            f"trial {trial.number} of {n_trials}: {metric} {100 * trial.score:.1f} %{end}, best {100 * best[0]:.1f} % "
            f"({trial.seconds:.0f} s)",
            file=sys.stderr,
        )

    return report


def _print_table(done: list[Trial], metric: str) -> None:
    """The best trials, on stderr."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("trial", justify="right")
    for name in done[0].values:
        table.add_column(name, justify="right")
    table.add_column(f"{metric} %", justify="right")
    scored = [trial for trial in done if not trial.error]
    for trial in sorted(scored, key=lambda t: (t.was_cut_short, t.rank))[:SHOWN]:
        values = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in trial.values.values()]
        table.add_row(str(trial.number), *values, f"{100 * trial.score:.1f}" + (" cut" if trial.was_cut_short else ""))
    console = Console(stderr=True)
    console.print(table)
    if (n_failed := len(done) - len(scored)) or len(scored) > SHOWN:
        failed = f", {n_failed} failed" if n_failed else ""
        console.print(f"the best {min(SHOWN, len(scored))} of {len(done)}{failed}; trials.csv has all of them")
