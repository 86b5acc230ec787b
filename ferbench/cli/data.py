"""List datasets, audit one, or count what is in it.

  ferbench data list             which there are, and which are on this machine
  ferbench data audit fer2013    blanks, copies, leaks, counts, unreadable rows
  ferbench data stats ckplus     classes, sizes, gray values, subjects

NAME is a dataset's name, a spec such as images(path=/my/faces), or the path of a folder, a zip or a FER2013 table.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from ferbench.datasets.content import Skipped
from ferbench.errors import DatasetNotFoundError, FerbenchError, UnknownNameError

if TYPE_CHECKING:
    from rich.console import Console

    from ferbench.contracts import Dataset
    from ferbench.datasets.audit import AuditReport, DuplicateReport

__all__ = ["configure", "main"]

ACTIONS = ("list", "audit", "stats")
WIDTH = 80


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("action", metavar="ACTION", help=", ".join(ACTIONS))
    parser.add_argument("name", nargs="?", metavar="NAME", help="dataset, spec or path (for audit and stats)")
    parser.add_argument("--path", help="file or folder of the dataset; FERBENCH_DATA is searched otherwise")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def main(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    if args.action not in ACTIONS:
        raise UnknownNameError("action of 'ferbench data'", args.action, ACTIONS)
    if args.action == "list":
        for given in (args.name, args.path and f"--path {args.path}"):
            if given:
                raise FerbenchError(
                    "ferbench data list lists every dataset", got=given, fix="describe one with ferbench data stats"
                )
        return _list(as_json=args.json)
    if not args.name:
        raise FerbenchError(
            f"ferbench data {args.action} needs a dataset", expected="a name such as fer2013", fix="ferbench data list"
        )
    from ferbench.datasets import load_dataset, skipped_warning

    dataset = load_dataset(args.name, **({"path": args.path} if args.path else {}))
    code = _audit(dataset, as_json=args.json) if args.action == "audit" else _stats(dataset, as_json=args.json)
    warning = skipped_warning(dataset)
    if warning:
        print(f"ferbench: warning: {warning}", file=sys.stderr)
    return code


def _console() -> Console:
    """A console of at most 80 columns, also where the output goes into a file."""
    from rich.console import Console

    console = Console(highlight=False)
    console.width = min(console.width, WIDTH)
    return console


# --- list --------------------------------------------------------------------------------------------------------


def _list(*, as_json: bool) -> int:
    rows = _known_datasets()
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("dataset", "classes", "kind", "splits", "here"):
        table.add_column(column, no_wrap=column == "dataset")
    for row in rows:
        here = "[green]yes[/]" if row["found"] else "needs a path" if not row["files"] else "no"
        here = "built in" if row["is_synthetic"] else here
        splits = " ".join(row["splits"]) or "as found" if row["name"] != "ckplus" else "by subject"
        table.add_row(row["name"], str(len(row["labels"])), row["kind"], splits, here)
    console = _console()
    console.print(table)
    console.print("\n[dim]FERBENCH_DATA names the folder that is searched; 'ferbench show NAME' tells more.[/]")
    return 0


def _known_datasets() -> list[dict[str, Any]]:
    from ferbench.datasets.paths import locate
    from ferbench.registry import entries

    rows = []
    for name, entry in entries("datasets").items():
        try:
            dataset = entry.load()
        except FerbenchError as error:  # of a plugin: the others are there all the same
            print(f"ferbench: warning: {error}", file=sys.stderr)
            continue
        info = getattr(dataset, "known", None)
        if info is None:  # generated, or a plugin that cannot be described without its files
            made = dataset() if name == "synthetic" else None
            info = made.info if made is not None else None
        found = None
        if info is not None and info.files:
            try:
                found = str(locate(info, None))
            except DatasetNotFoundError:
                found = None
        rows.append(
            {
                "name": name,
                "summary": entry.summary,
                "kind": info.kind if info else "",
                "labels": list(info.label_space.labels) if info else [],
                "splits": list(info.splits) if info else [],
                "licence": info.licence if info else "",
                "homepage": info.homepage if info else "",
                "files": list(info.files) if info else [],
                "found": found,
                "is_synthetic": bool(info and info.is_synthetic),
            }
        )
    return rows


# --- audit -------------------------------------------------------------------------------------------------------


def _audit(dataset: Dataset, *, as_json: bool) -> int:
    from rich.table import Table

    from ferbench.datasets.audit import audit

    report = audit(dataset)
    if as_json:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
        return 0
    console = _console()
    synthetic = " [yellow](synthetic)[/]" if report.is_synthetic else ""
    console.print(f"[bold]{report.title}[/]{synthetic}  {report.n_images:,} images  revision {report.revision}")
    if report.location:
        console.print(f"[dim]{report.location}[/]", soft_wrap=True)
    console.print()
    console.print(_count_table(report.counts, report.labels, report.official))
    if report.official:
        console.print("[dim]In brackets: found minus published count.[/]")
    console.print()
    findings = Table.grid(padding=(0, 1))
    findings.add_column(no_wrap=True)
    findings.add_column(justify="right", no_wrap=True)
    findings.add_column()
    for row in _findings(report):
        findings.add_row(*row)
    console.print(findings)
    return 0


def _count_table(counts: dict[str, dict[str, int]], labels: list[str], official: dict[str, dict[str, int]]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for split in counts:
        table.add_column(split, justify="right")
    for label in labels:
        table.add_row(
            label, *(_count(found[label], official.get(split, {}).get(label)) for split, found in counts.items())
        )
    totals = [(split, sum(found.values())) for split, found in counts.items()]
    published = {split: sum(found.values()) for split, found in official.items()}
    table.add_section()
    table.add_row("[bold]sum[/]", *(f"[bold]{_count(n, published.get(split))}[/]" for split, n in totals))
    return table


def _count(found: int, published: int | None) -> str:
    if published is None or found == published:
        return f"{found:,}"
    return f"{found:,} [yellow]({found - published:+,})[/]"


Row = tuple[str, str, str]
"""A mark, a number, and what it counts."""


def _findings(report: AuditReport) -> list[Row]:
    """One row for each check: what it found, or that it found nothing."""
    rows = [
        _row(len(report.blank), "blank images", _some(report.blank)),
        _row(report.exact.n_redundant, "exact copies", _copies(report.exact)),
        _row(len(report.exact.conflicting), "groups of exact copies with conflicting labels", _conflicts(report.exact)),
        _row(report.near.n_redundant, "near duplicates, exact copies included", _copies(report.near)),
    ]
    if len(report.counts) > 1:
        told = ", ".join(f"{n:,} in {split}" for split, n in report.near.n_leaked.items())
        leaked = sum(report.near.n_leaked.values())
        rows.append(_row(leaked, "images with a copy in an earlier split", told))
        if report.n_subjects is not None:
            rows.append(_row(len(report.subjects_across), "subjects in several splits", _some(report.subjects_across)))
    missing = [split for split in report.official if split not in report.counts]
    if report.official:
        rows.append(_row(len(missing), "official splits not in this file", ", ".join(missing)))
    reasons = "; ".join(str(Skipped(*row)) for row in report.skipped[:3])
    rows.append(_row(len(report.skipped), "unreadable rows", reasons))
    if report.excluded:
        told = ", ".join(f"{n:,} {reason}" for reason, n in report.excluded.items())
        rows.append(_note(sum(report.excluded.values()), f"left out by protocol: {told}"))
    if report.n_subjects is not None:
        rows.append(_note(report.n_subjects, "subjects"))
    sizes = ", ".join(f"{width}×{height}" for height, width in report.shapes[:4])
    rows.append(_note(len(report.shapes), f"image sizes: {sizes}{' …' if len(report.shapes) > 4 else ''}"))
    return rows


def _row(n: int, what: str, detail: str) -> Row:
    from rich.markup import escape

    if n == 0:
        return "[green]✓[/]", "0", what
    return "[yellow]![/]", f"{n:,}", what + (f": {escape(detail)}" if detail else "")


def _note(n: int, what: str) -> Row:
    return "[dim]·[/]", f"{n:,}", what


def _some(names: list[str], at_most: int = 4) -> str:
    return ", ".join(names[:at_most]) + (" …" if len(names) > at_most else "")


def _copies(found: DuplicateReport) -> str:
    if not found.groups:
        return ""
    across = "; ".join(f"{n:,} across {splits}" for splits, n in found.across.items())
    return f"{len(found.groups):,} group{'s' * (len(found.groups) != 1)}" + (f", of which {across}" if across else "")


def _conflicts(found: DuplicateReport) -> str:
    if not found.conflicting:
        return ""
    return "such as " + ", ".join(f"{name} {label}" for name, label in found.conflicting[0][:3])


# --- stats -------------------------------------------------------------------------------------------------------


def _stats(dataset: Dataset, *, as_json: bool) -> int:
    from ferbench.datasets.statistics import dataset_statistics

    facts = dataset_statistics(dataset)
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return 0
    console = _console()
    console.print(f"[bold]{facts['title']}[/]  {facts['n_images']:,} {facts['kind']}  revision {facts['revision']}\n")
    console.print(_count_table(facts["counts"], facts["labels"], {}))
    console.print()
    console.print(_share_table(facts))
    return 0


def _share_table(facts: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    smallest, largest = facts["smallest"], facts["largest"]
    table.add_row("image size", f"{smallest[0]}×{smallest[1]} to {largest[0]}×{largest[1]} pixels")
    table.add_row("gray values", f"mean {facts['gray_mean']:.1f}, standard deviation {facts['gray_std']:.1f} of 255")
    table.add_row("largest class", f"{facts['majority_share']:.1%} ({facts['majority']}): what guessing it scores")
    table.add_row("imbalance", f"largest class {facts['imbalance']:.1f} times the smallest")
    if facts["n_subjects"] is not None:
        table.add_row("subjects", f"{facts['n_subjects']:,}, {facts['images_per_subject']:.1f} images each")
    if facts["votes_for_label"] is not None:
        table.add_row("annotators", f"{facts['votes_for_label']:.1%} of the votes go to the label")
    return table
