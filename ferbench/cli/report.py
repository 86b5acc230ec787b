"""Write a run's report again, as HTML, markdown or both."""

from __future__ import annotations

import argparse
from pathlib import Path

from ferbench.cli.checks import add_check_arguments, strict_code

__all__ = ["configure", "main"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench report``."""
    parser.add_argument("run", metavar="RUN", help="folder of a run, or 'latest' for runs/latest")
    parser.add_argument(
        "--format", default="html,md", metavar="LIST", help="comma-separated: html, md (default: %(default)s)"
    )
    parser.add_argument("--out", metavar="DIR", help="write here instead of RUN/report")
    add_check_arguments(parser)
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def main(args: argparse.Namespace) -> int:
    """Write the report and print one path a line; 1 where ``--strict`` and a check found more than notes."""
    from ferbench.benchmarks.checks.gather import checked_summary
    from ferbench.benchmarks.checks.table import parse_codes
    from ferbench.reports import build_report
    from ferbench.reports.checks import checks_view

    run = Path("runs", "latest") if args.run == "latest" and not Path("latest").is_dir() else Path(args.run)
    formats = [name.strip() for name in args.format.split(",") if name.strip()]
    ignore = parse_codes(args.ignore)
    written = build_report(run, formats, out=args.out, ignore=ignore)
    for path in written:
        print(path)
    if args.open:
        import webbrowser

        webbrowser.open(written[0].resolve().as_uri())
    if not args.strict:
        return 0
    summary = checked_summary(run)
    return strict_code(checks_view(summary, ignore), summary.n_failed)
