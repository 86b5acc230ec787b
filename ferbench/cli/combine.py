"""Make one network of several trained ones: of the mean of their scores, or of their weights.

  ferbench combine models/a models/b --out models/both
  ferbench combine models/a --mirror --out models/mirrored
  ferbench combine accurate models/b --shares 1 0.5 --mirror \\
      --val-split val --calibrate --out models/both
  ferbench combine tiny models/on-from-tiny --weights --shares 1 3 \\
      --out models/mean

Nothing is learnt but, with --calibrate, the one temperature. What comes out is a saved pipeline like any other: export
it, benchmark it, run it live. It takes as long as its members together, with --mirror twice as long, and with --weights
as long as one of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ferbench.errors import ParameterError

__all__ = ["configure", "main"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench combine``."""
    parser.add_argument(
        "pipelines",
        nargs="+",
        metavar="PIPELINE",
        help="saved or shipped networks, one with --mirror or more, that learnt from the same faces; the first one's "
        "detector and crops are taken",
    )
    parser.add_argument("--shares", nargs="+", type=float, metavar="SHARE", help="of each in the mean (default: equal)")
    parser.add_argument("--mirror", action="store_true", help="show each of them the mirror image too")
    parser.add_argument(
        "--weights",
        action="store_true",
        help="take the mean of their weights, not of their scores: for networks of the same layers of which one was "
        "trained on from the other, or all from one",
    )
    parser.add_argument("--dataset", metavar="NAME", help="of --val-split (default: what the networks learnt from)")
    parser.add_argument("--val-split", metavar="NAME", help="scored, never learnt from (default: none)")
    parser.add_argument("--calibrate", action="store_true", help="scale the probabilities on --val-split")
    parser.add_argument("--half", action="store_true", help="store the weights in float16, in half the space")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder of the saved pipeline")


def main(args: argparse.Namespace) -> int:
    """Run ``ferbench combine``."""
    from ferbench.benchmarks.evaluation import in_label_space
    from ferbench.cli.fitting import check_calibration, check_unseen, keep
    from ferbench.datasets import load_dataset, load_recorded
    from ferbench.pipelines import average_networks, combine_networks, load_pipeline
    from ferbench.pipelines.lineage import FACES
    from ferbench.pipelines.storage import check_folder

    check_calibration(args)
    if args.weights and args.mirror:
        raise ParameterError("--mirror is of scores", got="--weights", fix="use one of them")
    if twice := next((name for name in args.pipelines if args.pipelines.count(name) > 1), None):
        raise ParameterError(f"{twice} is named twice", fix="give it a larger share instead")
    members = {name: load_pipeline(name, runtime="keras") for name in args.pipelines}
    if args.weights:
        pipeline = average_networks(members, shares=args.shares)
    else:
        pipeline = combine_networks(members, shares=args.shares, mirror=args.mirror)
    check_folder(args.out, pipeline, {key: pipeline.trained_on.get(key) for key in (*FACES, "members")})
    validation = None
    if args.val_split:
        if args.dataset is not None:
            data = load_dataset(args.dataset)
        else:
            data = load_recorded(pipeline.trained_on, fix="name it: --dataset NAME")
        validation = in_label_space(data.split(args.val_split), pipeline)
        check_unseen("the networks", pipeline, validation)
    check_calibration(args, validation, pipeline.classes_)
    keep(pipeline, validation, args)
    return 0
