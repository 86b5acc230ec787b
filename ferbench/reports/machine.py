"""The captured environment as short tables of facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ferbench.benchmarks.records import Summary

__all__ = ["EnvironmentTable", "environment_of", "environment_tables"]

_OWN_TABLE = 4
"""A group of at least this many facts gets its own table; smaller ones join the first."""

_TITLES = {"cpu": "CPU", "gpus": "GPUs", "os": "OS", "ram gib": "RAM, GiB", "state": "State at the start", "git": "Git"}


@dataclass(frozen=True)
class EnvironmentTable:
    """Facts under one heading."""

    title: str
    facts: tuple[tuple[str, str], ...]


def environment_tables(environment: dict[str, Any]) -> tuple[EnvironmentTable, ...]:
    """Group an environment of any shape for reading; what is unknown (None) is left out."""
    machine: list[tuple[str, str]] = []
    tables = []
    for key, value in environment.items():
        facts = tuple(_facts(value)) if isinstance(value, dict) else ()
        if len(facts) >= _OWN_TABLE:
            tables.append(EnvironmentTable(_title(key), facts))
        elif isinstance(value, dict):
            machine += [(f"{_title(key)}, {name}", text) for name, text in facts]
        elif value is not None:
            machine.append((_title(key), _text(value)))
    return tuple(([EnvironmentTable("Machine", tuple(machine))] if machine else []) + tables)


def environment_of(summary: Summary) -> tuple[EnvironmentTable, ...]:
    """The captured environment as tables; those of every run in a merged one."""
    if not summary.environments:
        return environment_tables(summary.environment)
    return tuple(
        EnvironmentTable(f"{table.title}: {run}", table.facts)
        for run, environment in summary.environments.items()
        for table in environment_tables(environment)
    )


def _facts(mapping: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in mapping.items():
        name = f"{prefix}{_words(key)}"
        if isinstance(value, dict):
            yield from _facts(value, f"{name}, ")
        elif value is not None and value != "":
            yield name, _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_text(one) for one in value) or "none"
    if isinstance(value, dict):
        return " ".join(_text(one) for one in value.values())
    return f"{value:,g}" if isinstance(value, float) else str(value)


def _words(key: str) -> str:
    return key.replace("_", " ").removeprefix("is ").removeprefix("has ")


def _title(key: str) -> str:
    words = _words(key)
    return _TITLES.get(words, words[:1].upper() + words[1:])
