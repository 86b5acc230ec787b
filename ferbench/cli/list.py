"""List what can be named in specs, suites and commands, and the checks of a run.

Listing imports no component. A component of an extra that is not installed is listed with the line that installs it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from ferbench.errors import UnknownNameError
from ferbench.registry import GROUPS, entries

__all__ = ["configure", "main"]

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
        missing = f"  [not installed: pip install 'ferbench[{row['extra']}]']" if not row.get("installed", True) else ""
        print(f"{row['name']:<{width}}  {row['summary']}{missing}")
    return 0


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
