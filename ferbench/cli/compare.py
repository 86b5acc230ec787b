"""Compare two runs: is B better or worse than A, or can nobody tell?

Rows of one name on one data set are compared on the faces that both runs scored, latencies where machine, scenario,
threads, device and frames are the same. Exit code 3 if anything is worse, so that a script can stop.

  ferbench compare runs/main runs/branch
  ferbench compare runs/main runs/branch --format markdown --out comment.md
  ferbench compare runs/latest runs/latest --a-row hog-svm --b-row mini-xception
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ferbench.errors import ParameterError

__all__ = ["REGRESSION", "configure", "main"]

REGRESSION = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("a", metavar="A", help="folder of the run to compare with, such as runs/latest")
    parser.add_argument("b", metavar="B", help="folder of the run that is judged")
    parser.add_argument(
        "--format", default="text", choices=("text", "markdown", "json"), help="how to write it (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of to the terminal")
    parser.add_argument("--a-row", nargs="+", default=[], metavar="ROW", help="rows of A to pair with those of --b-row")
    parser.add_argument("--b-row", nargs="+", default=[], metavar="ROW", help="rows of B, in the order of --a-row")
    parser.add_argument(
        "--margin", type=float, default=1.0, metavar="POINTS", help="differences within it tie (default: %(default)s)"
    )


def main(args: argparse.Namespace) -> int:
    """Print the comparison; 3 if anything is worse in B."""
    from ferbench.benchmarks.compare import compare_runs
    from ferbench.benchmarks.store import write_atomically
    from ferbench.reports.comparison import FORMATS, headline

    if args.out is not None and args.out.is_dir():
        raise ParameterError("--out is a folder", got=args.out, expected="a file")
    if not 0 <= args.margin < 100:
        raise ParameterError("--margin is in points", got=f"{args.margin:g}", expected="0 to 100, such as 1")
    comparison = compare_runs(args.a, args.b, a_rows=args.a_row, b_rows=args.b_row, margin=args.margin / 100)
    text = FORMATS[args.format](comparison)
    if args.out is None:
        print(text)
    else:
        write_atomically(args.out, f"{text}\n".encode())
        print(f"{headline(comparison)}\nwritten to {args.out}")
    return REGRESSION if comparison.verdict == "worse" else 0
