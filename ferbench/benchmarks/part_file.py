"""A part as its file has it: checked against its checksum and against the files that belong to it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ferbench.benchmarks.cells import SCHEMA, Part, digest
from ferbench.digests import file_digest
from ferbench.errors import RunError

__all__ = ["ReadPart", "first_problem", "read_part"]


@dataclass(frozen=True)
class ReadPart:
    """A sound part, with size and time of the files that it was read from and checked against."""

    part: Part
    seen: dict[Path, tuple[int, int]]


def read_part(path: Path, known: dict[Path, ReadPart]) -> Part | str:
    """The part, or what is wrong with it.

    Parameters
    ----------
    path : Path
        ``parts/<cell>.json`` of a run.
    known : dict of Path to ReadPart
        What was read before, which is kept here: a file is read again only where it, or one of its cell, was written
        since. A run has thousands of them, and they are asked for several times.

    Raises
    ------
    RunError
        If a newer ferbench wrote it: what cannot be understood here is not damaged, and must not be taken for it.
    """
    before = known.get(path)
    if before is not None and before.seen == _seen(before.seen):
        return before.part
    known.pop(path, None)
    files: list[Path] = []
    seen = _seen([path])  # before it is read: what is written meanwhile is read the next time
    try:
        part = _verified(path, files)
    except FileNotFoundError as error:
        return f"{error.filename} is gone"
    except ValidationError as error:
        return first_problem(error)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return str(error) or type(error).__name__
    known[path] = ReadPart(part, seen | _seen(files))
    return part


def _verified(path: Path, files: list[Path]) -> Part:
    """The part; the files that belong to it are added to ``files``."""
    home = path.parent.parent
    document: Any = json.loads(path.read_bytes())
    checksum = document.pop("checksum")
    written = document["part"].get("schema_version", SCHEMA)
    if isinstance(written, int) and written > SCHEMA:  # before the checksum, which it may compute otherwise
        raise RunError(
            f"{path} was written by a newer ferbench",
            got=f"schema version {written}",
            expected=SCHEMA,
            fix="go on with the ferbench that wrote it, or start a new run with --new",
        )
    if checksum != digest(document):
        raise ValueError("its checksum does not fit")
    part = Part.model_validate(document["part"])
    if part.cell.id != path.stem:
        raise ValueError("it belongs to another cell")
    for name, expected in document["files"].items():
        files.append(home / name)
        if file_digest(home / name) != expected:
            raise ValueError(f"{name} was changed")
    if part.cell.kind == "fit" and part.status == "ok":
        files.append(home / "artefacts" / part.cell.id)
        if not files[-1].is_dir():
            raise ValueError("its saved pipeline is gone")
    return part


def _seen(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Size, and time of writing in nanoseconds, of the files that are there."""
    found = {}
    for file in files:
        with suppress(FileNotFoundError):
            now = file.stat()
            found[file] = now.st_size, now.st_mtime_ns
    return found


def first_problem(error: ValidationError) -> str:
    """Where a stored record is wrong and how, in one line: the first problem, and how many more there are.

    Examples
    --------
    >>> try:
    ...     Part.model_validate({"status": "done"})
    ... except ValidationError as error:
    ...     print(first_problem(error))
    cell: Field required (and 3 more problems)
    """
    first, *others = error.errors(include_url=False, include_context=False)
    place = ".".join(str(step) for step in first["loc"])
    text = " ".join(first["msg"].split())
    more = f" (and {len(others)} more problem{'s' * (len(others) > 1)})" if others else ""
    return (f"{place}: {text}" if place else text) + more
