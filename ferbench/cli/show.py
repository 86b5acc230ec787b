"""Describe whatever has a name here.

  ferbench show lbp            a component: what it is, its parameters
  ferbench show fer2013        a dataset: labels, splits, licence, files
  ferbench show haar-lbp-svm   a pipeline, preset or shipped
  ferbench show quick          a suite
  ferbench show FB007          a check: what it finds, why it matters
  ferbench show suite-schema   the JSON Schema of suite files, for editors
  ferbench show runs/latest    a run
  ferbench show models/mini    a saved pipeline

With --json, standard output holds one JSON object and nothing else.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from ferbench.errors import FerbenchError, UnknownNameError
from ferbench.registry import GROUPS, Entry, entries
from ferbench.specs import parse_spec

if TYPE_CHECKING:
    from ferbench.benchmarks.records import RowSummary, Summary
    from ferbench.benchmarks.searches import CandidateScore

__all__ = ["configure", "main"]

Page = dict[str, Any]
"""A description: ``title``, ``summary``, and then whatever is known, in the order in which it is printed."""

SCHEMA = "suite-schema"
WIDTH = 80
_BY_DATASET = {"rows": ", best first", "cold start": ""}
"""Entries of a run's page that are told for each data set, and what their headings add."""
_IN_ONE_PIECE = ("card", "command", "file")
"""What a user may copy is not broken into lines."""

_CODE = re.compile(r"FB\d+", re.IGNORECASE)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument(
        "name", help=f"component, dataset, pipeline, suite, check, run or model (a folder), or {SCHEMA}"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def main(args: argparse.Namespace) -> int:
    """Print the description; two things of one name are both described."""
    if args.name == SCHEMA:
        from ferbench.benchmarks.suite import suite_json_schema

        print(json.dumps(suite_json_schema(), indent=2))
        return 0
    if _CODE.fullmatch(args.name):
        return _show_check(args.name, as_json=args.json)
    pages = _pages(args.name)
    if args.json:
        print(json.dumps(pages, indent=2, ensure_ascii=False, default=str))
    else:
        print("\n\n".join(_as_text(page) for page in pages))
    return 0


def _show_check(name: str, *, as_json: bool) -> int:
    from ferbench.benchmarks.checks.table import CHECKS, page_of, parse_codes

    (code,) = parse_codes([name])
    check, text = CHECKS[code], page_of(code)
    page = {"code": code, "title": check.title, "severity": check.severity, "text": text}
    print(json.dumps([page], indent=2, ensure_ascii=False) if as_json else text.rstrip())
    return 0


def _pages(name: str) -> list[Page]:
    from ferbench.benchmarks.suite_file import bundled_suites
    from ferbench.pipelines import presets, shipped

    folder = Path(name)
    if (folder / "pipeline.json").is_file():
        return [_saved_pipeline(folder)]
    if (folder / "plan.json").is_file():
        return [_run(folder)]
    if folder.suffix in (".yaml", ".yml") and folder.is_file():
        return [_suite(folder)]
    bare = name.partition("(")[0].strip()
    pages = [_component(entries(group)[bare]) for group in GROUPS if bare in entries(group)]
    if pages:
        parse_spec(name)  # of a spec only the name is shown, but a malformed one is still an error
    if name in shipped():
        pages.append(_saved_pipeline(shipped()[name]))
    if name in presets():
        pages.append(_preset(name))
    if name in bundled_suites():
        pages.append(_suite(bundled_suites()[name]))
    if pages:
        return pages
    known = [*(n for group in GROUPS for n in entries(group)), *shipped(), *presets(), *bundled_suites(), SCHEMA]
    raise UnknownNameError("name", name, set(known))


def _component(entry: Entry) -> Page:
    from ferbench.cli.docstrings import first_paragraph, parameter_texts

    factory = entry.load()
    texts, unknown = parameter_texts(factory), ("", "")
    page: Page = {
        "title": f"{entry.name}: {entry.group[:-1] if entry.group != 'features' else entry.group}",
        "summary": entry.summary,
        "about": first_paragraph(factory),
        "package": entry.package,
        "extra": entry.extra,
        "parameters": {
            name: {"default": _default(parameter), "type": kind, "about": about}
            for name, parameter in inspect.signature(factory).parameters.items()
            if parameter.kind is not parameter.VAR_KEYWORD
            for kind, about in [texts.get(name, unknown)]
        },
    }
    if entry.group == "datasets":
        page.update(_dataset_facts(entry))
    return page


def _default(parameter: inspect.Parameter) -> str:
    return "required" if parameter.default is parameter.empty else repr(parameter.default)


def _dataset_facts(entry: Entry) -> Page:
    from ferbench.datasets import load_dataset

    try:
        info = load_dataset(entry.name).info
    except FerbenchError as error:
        return {"info": f"known once a path is given: {error}"}
    return {
        "full name": info.title,
        "images": "crops of faces" if info.kind == "crops" else "photos, in which a detector finds the face",
        "labels": f"{info.label_space.name}: {', '.join(info.label_space.labels)}",
        "splits": ", ".join(info.splits),
        "licence": info.licence,
        "from": info.homepage,
        "files looked for": ", ".join(info.files),
    }


def _preset(name: str) -> Page:
    from ferbench.pipelines import parse_pipeline_id, presets

    preset = presets()[name]
    return {
        "title": f"{name}: pipeline preset",
        "summary": preset.title,
        "pipeline": preset.pipeline,
        "family": parse_pipeline_id(preset.pipeline).family,
        "source": preset.source,
        "published": {k: v for k, v in asdict(preset.published).items() if v is not None} if preset.published else None,
    }


def _saved_pipeline(folder: Path) -> Page:
    from ferbench.errors import ModelFileError

    path = folder / "pipeline.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        page: Page = {"title": f"{folder.name}: saved pipeline", "summary": record["pipeline"]}
        page["labels"] = record["label_space"]["labels"]
        page |= {name: record[name] for name in ("input_size", "trained_on", "files", "ferbench")}
        page["measured"] = _measured(record["metrics"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path} is damaged", got=repr(error)) from error
    card = folder / "CARD.md"
    return page | ({"card": str(card)} if card.is_file() else {})


def _measured(metrics: dict[str, Any]) -> dict[str, str]:
    """The headline figures of a saved pipeline: name and value with interval, on which split."""
    if "end_to_end" not in metrics:
        return {}
    figures = {}
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        estimate = metrics["end_to_end"][name]
        low, high = estimate["low"], estimate["high"]
        interval = "" if low is None else f" ({100 * low:.1f} to {100 * high:.1f})"
        figures[name] = f"{100 * estimate['value']:.1f} %{interval}"
    return {"on": f"{metrics['dataset']} {metrics['split']}, {metrics['n']} faces", **figures}


def _suite(path: Path) -> Page:
    from ferbench.benchmarks.suite_file import read_suite

    suite = read_suite(path)
    return {
        "title": f"{suite.name}: suite",
        "summary": " ".join(suite.description.split()),
        "file": str(path),
        "datasets": [dataset.name for dataset in suite.datasets],
        "pipelines": [pipeline.id for pipeline in suite.pipelines],
        "profiles": list(suite.profiles),
        "scenarios": suite.scenarios,
        "devices": suite.devices,
    }


def _run(folder: Path) -> Page:
    from ferbench.benchmarks.searches import say
    from ferbench.benchmarks.store import Run
    from ferbench.reports.context import best_first
    from ferbench.reports.pace import pace_text

    summary = Run.open(folder).summary()
    rows: Page = {}
    ordered = [row for info in summary.datasets for row in best_first(_rows_on(summary, info.spec))]
    for row in ordered:
        facts = [row.status if row.error is None else f"{row.status}: {row.error.message}"]
        if row.quality is not None:
            accuracy = row.quality.end_to_end["accuracy"]
            facts.append(f"accuracy {accuracy.value:.3f}")
        facts += [pace_text(latency) for latency in row.latency]
        facts += [f"tuned to {say(search.parameters)}" for search in row.searches[:1] if len(row.searches) == 1]
        rows.setdefault(row.dataset, {})[row.row] = ", ".join(facts)
    return {
        "title": f"{summary.run_id}: run of suite {summary.suite}",
        "summary": " ".join(summary.description.split()),
        "profile": summary.profile,
        "made": summary.created,
        "command": summary.command,
        "cells": summary.cells_text.replace(" cells", "", 1),
        "rows": rows,
        "cold start": _cold_starts(ordered),
        **_searches(summary),
    }


def _rows_on(summary: Summary, dataset: str) -> list[RowSummary]:
    return [row for row in summary.rows if row.dataset == dataset]


def _cold_starts(rows: Sequence[RowSummary]) -> Page:
    """What the first frame of a process waits for, by data set and row; no part of any time of a frame."""
    pages: Page = {}
    for row in rows:
        for one in row.latency[:1]:
            pages.setdefault(row.dataset, {})[row.row] = (
                f"import {one.import_s:.2f} s, load {one.load_s:.2f} s, first call {one.first_call_ms:.1f} ms; "
                f"{one.peak_rss_mib:.0f} MiB"
            )
    return pages


def _searches(summary: Summary) -> Page:
    """Every setting that was tried for a row, best first."""
    from ferbench.benchmarks.searches import say

    pages: Page = {}
    for row in summary.rows:
        for search in row.searches:
            fold = "" if search.fold is None else f", fold {search.fold + 1}"
            key = f"tuning of {row.row} on {row.dataset}{fold}, {search.metric.replace('_', ' ')} on {search.by}"
            pages[key] = {say(one.parameters): _score(one) for one in search.candidates}
    return pages


def _score(one: CandidateScore) -> str:
    spread = "" if one.spread is None else f" ± {one.spread:.3f}"
    return f"{one.mean:.3f}{spread}" + ("" if one.share == 1 else f" on {one.share:.0%} of the faces")


def _as_text(page: Page) -> str:
    lines = [page["title"], *_wrapped(page["summary"], 0)]
    for key, value in page.items():
        if key in ("title", "summary") or value in (None, "", [], {}):
            continue
        if key == "about":
            lines += ["", *_wrapped(value, 0), ""]
        elif key == "parameters":
            lines.append("parameters:")
            for name, parameter in value.items():
                kind = f" : {parameter['type']}" if parameter["type"] else ""
                lines += _wrapped(f"{name} = {parameter['default']}{kind}", 2)
                lines += _wrapped(parameter["about"], 6)
        elif key in _BY_DATASET:
            for dataset, rows in value.items():
                lines += _wrapped(f"{key} on {dataset}{_BY_DATASET[key]}:", 0, 4)
                for name, item in rows.items():
                    lines += _wrapped(f"{name}: {_inline(item)}", 2)
        elif isinstance(value, Mapping):
            lines += _wrapped(f"{key}:", 0, 4)
            for name, item in value.items():
                lines += _entry(name, item, 2)
        elif key in _IN_ONE_PIECE:
            lines.append(f"{key}: {_inline(value)}")
        else:
            lines += _wrapped(f"{key}: {_inline(value)}", 0, 4)
    return "\n".join(lines)


def _entry(name: str, value: object, indent: int) -> list[str]:
    """A name and what it stands for; of a list of records each below the one before."""
    if not _is_records(value):
        return _wrapped(f"{name}: {_inline(value)}", indent)
    lines = [f"{' ' * indent}{name}:"]
    for record in value:
        flat = {key: item for key, item in record.items() if not _is_records(item)}
        lines += _wrapped(f"- {_inline(flat)}", indent + 2, indent + 6)
        for key in (key for key in record if key not in flat):
            lines += _entry(key, record[key], indent + 4)
    return lines


def _is_records(value: object) -> TypeGuard[list[Mapping[str, Any]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _wrapped(text: str, indent: int, rest: int | None = None) -> list[str]:
    """Lines of 80 columns; those after the first are indented by ``rest``, by default 6 where the first is at all."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (rest if rest is not None else 6 if indent else 0),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _inline(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, Mapping):
        return ", ".join(
            f"{name} ({_inline(item)})" if isinstance(item, Mapping) else f"{name} {_inline(item)}"
            for name, item in value.items()
        )
    return str(value)
