"""``ferbench report``: write a run's report again, as HTML, markdown or both."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["configure", "main"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ferbench report``."""
    parser.add_argument("run", metavar="RUN", help="folder of a run, or 'latest' for runs/latest")
    parser.add_argument(
        "--format", default="html,md", metavar="LIST", help="comma-separated: html, md (default: %(default)s)"
    )
    parser.add_argument("--out", metavar="DIR", help="write here instead of RUN/report")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def main(args: argparse.Namespace) -> int:
    """Write the report and print one path a line."""
    from ferbench.reports import build_report

    run = Path("runs", "latest") if args.run == "latest" and not Path("latest").is_dir() else Path(args.run)
    formats = [name.strip() for name in args.format.split(",") if name.strip()]
    written = build_report(run, formats, out=args.out)
    for path in written:
        print(path)
    if args.open:
        import webbrowser

        webbrowser.open(written[0].resolve().as_uri())
    return 0
