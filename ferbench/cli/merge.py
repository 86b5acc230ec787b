"""Merge runs of one suite that were made on several machines, and write their report.

Scores of the same cell must agree; timings stay apart, machine by machine. The runs are left as they are.

  ferbench merge runs/20261120T1015_fer2013_1f0c \\
      mnt/laptop/20261120T1130_fer2013_77ab --out runs/both
"""

from __future__ import annotations

import argparse
import shlex

__all__ = ["configure", "main"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("run", metavar="RUN", nargs="+", help="folder of a run; two or more of the same suite")
    parser.add_argument("--out", metavar="FOLDER", required=True, help="folder of the merged run; must not exist")


def main(args: argparse.Namespace) -> int:
    """Merge, and print notes, the leaderboard, and where run and report are."""
    from ferbench.benchmarks.merge import merge_runs
    from ferbench.cli.run import leaderboard
    from ferbench.reports import build_report

    merged = merge_runs(args.run, args.out, shlex.join(["ferbench", "merge", *args.run, "--out", args.out]))
    report = build_report(merged.run.folder)[0]
    for note in merged.notes:
        print(f"note: {note}")
    print(leaderboard(merged.summary))
    machines = dict.fromkeys(one.machine for row in merged.summary.rows for one in row.latency if one.machine)
    if machines:
        print(f"ms: on machine {next(iter(machines))}; {len(machines)} machines in the report")
    print(f"run     {args.out}\nreport  {report}")
    return 0
