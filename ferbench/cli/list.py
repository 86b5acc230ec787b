"""List what can be named in specs, suites and commands, and the checks of a run.

Listing imports no component. A component of an extra that is not installed is listed with the line that installs it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from ferbench.errors import UnknownNameError
from ferbench.registry import GROUPS, entries

__all__ = ["configure", "main"]

_NO_BREAK = "\u00a0"
KINDS = (*GROUPS, "pipelines", "suites", "checks")

Row = dict[str, Any]
"""``name`` and ``summary``, and what else is known of the kind of thing listed."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("what", help=f"what to list: {', '.join(KINDS)}")
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of text")


def main(args: argparse.Namespace) -> int:
    """Print the list."""
    if args.what not in KINDS:
        raise UnknownNameError("kind of thing to list", args.what, KINDS)
    listings: dict[str, Callable[[], list[Row]]] = {"pipelines": _pipelines, "suites": _suites, "checks": _checks}
    rows = listings[args.what]() if args.what in listings else _components(args.what)
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        print(_line(row, width))
    return 0


def _line(row: Row, width: int) -> str:
    """Name and summary in two columns, as wide as the terminal; the line that installs an extra stays in one piece."""
    text = row["summary"]
    if not row.get("installed", True):
        text += " " + f"[not installed: pip install 'ferbench[{row['extra']}]']".replace(" ", _NO_BREAK)
    wrapped = textwrap.fill(
        text,
        max(shutil.get_terminal_size((80, 24)).columns, width + 30),
        initial_indent=f"{row['name']:<{width}}  ",
        subsequent_indent=" " * (width + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapped.replace(_NO_BREAK, " ")


def _components(group: str) -> list[Row]:
    return [
        {
            "name": entry.name,
            "summary": entry.summary,
            "package": entry.package,
            "extra": entry.extra,
            "installed": not entry.needs or find_spec(entry.needs.partition(".")[0]) is not None,
        }
        for entry in entries(group).values()
    ]


def _checks() -> list[Row]:
    from ferbench.benchmarks.checks.table import CHECKS

    return [
        {"name": code, "summary": f"{check.severity}: {check.title}", "severity": check.severity, "title": check.title}
        for code, check in CHECKS.items()
    ]


def _pipelines() -> list[Row]:
    from ferbench.pipelines import presets

    return [{"name": name, "summary": info.title, "pipeline": info.pipeline} for name, info in presets().items()]


def _suites() -> list[Row]:
    from ferbench.benchmarks.suite_file import bundled_suites, read_suite

    rows = []
    for name, path in bundled_suites().items():
        suite = read_suite(path)
        rows.append(
            {
                "name": name,
                "summary": " ".join(suite.description.split()),
                "path": str(path),
                "profiles": list(suite.profiles),
                "datasets": [dataset.name for dataset in suite.datasets],
                "pipelines": [pipeline.id for pipeline in suite.pipelines],
            }
        )
    return rows
