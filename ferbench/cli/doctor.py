"""Say what is installed, what is missing, and how this machine is set up for timing.

Exits with 0 if ferbench can be used, with 1 if something essential is broken.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ferbench.benchmarks.installation import Finding

__all__ = ["configure", "main"]

_BROKEN = 1
_MARKS = {
    "ok": ("✓", "green"),
    "note": ("·", "dim"),
    "missing": ("○", "yellow"),
    "warning": ("!", "bold yellow"),
    "broken": ("✗", "bold red"),
}
_TITLES = {
    "ferbench": "ferbench",
    "packages": "Packages",
    "extras": "Extras",
    "opencv": "OpenCV",
    "models": "Models",
    "runtimes": "Runtimes",
    "threads": "Threads",
    "machine": "Machine",
    "data": "Data",
}
# Libraries print on import too; the answer is the last line.
_ASK = """
import sys
from ferbench.devices import choose_device
from ferbench.registry import create
print(choose_device("auto", create("runtimes", sys.argv[1]), sys.argv[1]))
"""
_PATIENCE_S = 300  # a network in training may leave next to nothing of a core
_WIDTH = 80
_NAME_WIDTH = 15


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def main(args: argparse.Namespace) -> int:
    """Look, print, and say by the exit code whether ferbench can be used."""
    from ferbench.benchmarks.installation import inspect_installation

    findings, environment = inspect_installation()
    findings += _runtimes(has_gpu=bool(environment["gpus"]))
    is_usable = not any(finding.state == "broken" for finding in findings)
    if args.json:
        answer = {
            "usable": is_usable,
            "findings": [finding.to_dict() for finding in findings],
            "environment": environment,
        }
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        _print(findings)
    return 0 if is_usable else _BROKEN


def _runtimes(*, has_gpu: bool) -> Iterator[Finding]:
    """The device that each runtime would use if left the choice.

    Only the runtime's own library knows whether it can use a GPU, and TensorFlow takes seconds to say so: it is asked
    where the driver lists a GPU, in a process of its own.
    """
    from ferbench.benchmarks.installation import Finding
    from ferbench.registry import entries

    for name, entry in entries("runtimes").items():
        if entry.needs and find_spec(entry.needs) is None:
            yield Finding("runtimes", name, "missing", f"needs {entry.needs}, see extra {entry.extra}")
        elif has_gpu:
            yield _ask(name)
        else:
            yield Finding("runtimes", name, "ok", "cpu")


def _ask(name: str) -> Finding:
    from ferbench.benchmarks.installation import Finding

    command = [sys.executable, "-c", _ASK, name]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return Finding("runtimes", name, "warning", f"gave no answer within {_PATIENCE_S} s")
    if asked.returncode == 0:
        return Finding("runtimes", name, "ok", asked.stdout.splitlines()[-1])
    said = asked.stderr.strip().splitlines() or ["no reason given"]
    return Finding("runtimes", name, "warning", f"does not load: {said[-1]}")


def _print(findings: Sequence[Finding]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    # Wider lines are harder to read; a pipe gets eighty columns.
    console.width = min(console.width, _WIDTH) if console.is_terminal else _WIDTH
    for section, title in _TITLES.items():
        rows = [finding for finding in findings if finding.section == section]
        if rows:
            console.print(f"\n[bold]{title}[/]")
            _print_section(console, rows, is_compact=section == "packages")
    console.print(f"\n{_verdict(findings)}")


def _print_section(console: Console, rows: Sequence[Finding], *, is_compact: bool) -> None:
    """One line a finding; packages with which all is well share one paragraph."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column(width=2, justify="right")
    table.add_column(width=_NAME_WIDTH, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    well = [row for row in rows if row.state == "ok"] if is_compact else []
    if well:
        # textwrap, unlike rich, keeps together what a no-break space joins: a name and its version.
        listed = ", ".join(f"{row.name}\N{NO-BREAK SPACE}{row.detail}" for row in well)
        paragraph = "\n".join(textwrap.wrap(listed, console.width - _NAME_WIDTH - 5, break_on_hyphens=False))
        table.add_row(Text(*_MARKS["ok"]), f"{len(well)} of {len(rows)}", Text(paragraph, style="dim"))
    for row in rows:
        if row in well:
            continue
        mark, style = _MARKS[row.state]
        detail = Text(row.detail, style="dim" if row.state == "note" else "")
        if row.fix:
            detail.append(f"\n→ {row.fix}", style="cyan")
        table.add_row(Text(mark, style=style), Text(row.name), detail)
    console.print(table)


def _verdict(findings: Sequence[Finding]) -> str:
    broken = [finding.name for finding in findings if finding.state == "broken"]
    warnings = sum(finding.state == "warning" for finding in findings)
    if broken:
        return f"[bold red]✗ Not usable:[/] {', '.join(broken)}. Each line above with → says what to do."
    remarks = f", {warnings} warning{'s' * (warnings > 1)}" if warnings else ""
    return f"[bold green]✓ Ready[/]{remarks}."
