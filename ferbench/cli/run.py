"""Run a suite: fit its pipelines, score them, time them, and write the report.

What is done stays done: the same command goes on where it was stopped, and answers at once when all is done.

  ferbench run quick                        the suite that needs no download
  ferbench run suites/fer2013.yaml --plan   what would be done, in what time
  ferbench run suites/fer2013.yaml --profile full --jobs 4
  ferbench run suites/ckplus.yaml --scheduler tcp://host:8786
"""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from ferbench.cli.checks import add_check_arguments, checks_text, strict_code
from ferbench.errors import ParameterError

if TYPE_CHECKING:
    from ferbench.benchmarks.records import RowSummary, Summary

__all__ = ["configure", "leaderboard", "main"]

WIDTH = 80
_RUNS = Path("runs")
_GOING_ON = ("--profile", "--jobs", "--scheduler", "--runs", "--guard")
"""Options that a run which goes on needs as they were."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("suite", metavar="SUITE", help="a suite file, or the name of one that comes with ferbench")
    parser.add_argument("--profile", metavar="NAME", help="budget, such as quick or full (default: the suite's first)")
    parser.add_argument("--plan", action="store_true", help="print what would be done and stop")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes for fits and scoring (default: all cores)")
    parser.add_argument("--scheduler", metavar="URL", help="dask scheduler whose workers fit and score")
    parser.add_argument("--runs", type=Path, default=_RUNS, metavar="DIR", help="folder of runs (default: runs)")
    parser.add_argument("--new", action="store_true", help="start a new run instead of going on with the last one")
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW", help="do these rows only")
    parser.add_argument("--no-latency", action="store_true", help="score, but time nothing")
    parser.add_argument(
        "--guard",
        choices=("warn", "wait", "refuse"),
        default="warn",
        help="if other programs use the machine before a timing round: note it, wait up to a minute, or fail the "
        "round (default: warn)",
    )
    add_check_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Run the suite; 0 even where single cells failed: they are rows of the report. 1 where ``--strict`` says so."""
    from ferbench.benchmarks.checks.table import parse_codes
    from ferbench.benchmarks.suite_file import find_suite, read_suite
    from ferbench.benchmarks.threads import available_cores

    jobs = args.jobs if args.jobs is not None else available_cores()
    if jobs < 1:
        raise ParameterError("--jobs must be 1 or more", got=jobs)
    ignore = parse_codes(args.ignore)
    path = find_suite(args.suite)
    suite = read_suite(path)

    from ferbench.benchmarks.checks.gather import remember_ignored
    from ferbench.benchmarks.estimate import describe_plan
    from ferbench.benchmarks.runner import RunOptions, check_components, make_plan, open_run, run_plan
    from ferbench.benchmarks.store import Run

    plan = make_plan(suite, args.profile)
    options = RunOptions(args.runs, jobs, args.scheduler, args.new, tuple(args.only), not args.no_latency, args.guard)
    if args.plan:
        found = None if args.new else Run.find(args.runs, plan.digest)
        done = {i for i, part in found.parts(repair=False).items() if part.status == "ok"} if found else set()
        cells = plan.only(options.only, latency=options.latency)
        check_components(plan, [cell for cell in cells if cell.id not in done])
        print(describe_plan(plan, cells, done, jobs))
        return 0
    plan.only(options.only)  # a wrong row name is said before a folder is made
    run = open_run(plan, options, path.read_text(encoding="utf-8"))
    try:
        outcome = run_plan(plan, run, options, _command(args, "--profile", "--jobs"))
    except KeyboardInterrupt:
        print(
            f"\nstopped; what is done is kept in {run.folder}; go on with: {_command(args, *_GOING_ON)}",
            file=sys.stderr,
        )
        raise
    latest = outcome.run.folder.parent / "latest"
    if latest.resolve() != outcome.run.folder.resolve():
        print(f"note: {latest} is no link and does not lead to this run", file=sys.stderr)
    summary = remember_ignored(outcome.run, outcome.summary, ignore)
    report = _report(outcome.run.folder, is_new=outcome.n_done > 0)
    print(leaderboard(summary))
    if summary.robustness or summary.transfers:
        from ferbench.cli.shifts import shifts_text

        print(shifts_text(summary))

    from ferbench.reports.checks import checks_view

    checks = checks_view(summary)
    print(checks_text(checks, is_whole=not (summary.n_failed or summary.n_missing)))
    if summary.n_failed or summary.n_skipped or summary.n_missing:
        print(f"cells   {summary.cells_text}")
    if outcome.n_done == 0:
        print("everything was done already; --new measures again")
    print(f"run     {outcome.run.folder}\nreport  {report}")
    return strict_code(checks, summary.n_failed) if args.strict else 0


def _command(args: argparse.Namespace, *options: str) -> str:
    """The command of this run, with what it was told of some options, and of what was to be done."""
    given = {
        "--profile": args.profile,
        "--jobs": args.jobs,
        "--scheduler": args.scheduler,
        "--runs": args.runs if args.runs != _RUNS else None,
        "--guard": args.guard if args.guard != "warn" else None,
    }
    command = ["ferbench", "run", args.suite]
    for option in options:
        command += [option, str(given[option])] if given[option] is not None else []
    command += ["--no-latency"] if args.no_latency else []
    return shlex.join([*command, *(["--only", *args.only] if args.only else [])])


def _report(folder: Path, *, is_new: bool) -> Path:
    """The report's page, built unless it is newer than the summary."""
    page = folder / "report" / "index.html"
    is_old = not page.is_file() or page.stat().st_mtime < (folder / "summary.json").stat().st_mtime
    if is_new or is_old:
        from ferbench.reports import build_report

        page = build_report(folder)[0]
    return page


def leaderboard(summary: Summary) -> str:
    """The rows of a summary as text of 80 columns: best first within each dataset, ties marked."""
    from ferbench.reports.context import best_first

    lines = []
    for dataset in summary.datasets:
        rows = best_first([row for row in summary.rows if row.dataset == dataset.spec])
        if not rows:
            continue  # scored only with what was learnt elsewhere
        label = "synthetic faces" if dataset.is_synthetic else dataset.title
        lines += ["", *textwrap.wrap(f"{dataset.spec}: {label}, {dataset.n_eval:,} faces scored", WIDTH)]
        lines.append(f"{'tie':>3}  {'pipeline':<34} {'accuracy':>8} {'95 %':>13} {'missed':>6} {'ms':>8}")
        lines += [_line(row) for row in rows]
        lines.append("accuracy: end to end, missed faces wrong; same tie number: no difference shown")
    return "\n".join(lines)


def _line(row: RowSummary) -> str:
    name = row.row if len(row.row) <= 34 else row.row[:33] + "…"
    if row.quality is None:
        line = f"{'-':>3}  {name:<34} {row.status}: {row.error.message if row.error else ''}"
        return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
    accuracy = row.quality.end_to_end["accuracy"]
    interval = "-" if accuracy.low is None or accuracy.high is None else f"{accuracy.low:.1%} {accuracy.high:.1%}"
    missed = "-" if row.quality.detector_bypassed else str(row.quality.n - row.quality.n_detected)
    ms = f"{row.latency[0].stages['total'].p50:.2f}" if row.latency else "-"
    return f"{row.quality.tie_group:>3}  {name:<34} {accuracy.value:>8.1%} {interval:>13} {missed:>6} {ms:>8}"
