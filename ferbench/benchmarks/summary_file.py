"""``summary.json`` of a run: how it is written, and how it is read where another version of ferbench wrote it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from ferbench.benchmarks.cells import SCHEMA
from ferbench.benchmarks.part_file import first_problem
from ferbench.benchmarks.records import Summary
from ferbench.errors import RunError

__all__ = ["OtherVersionError", "read_summary", "summary_bytes"]


class OtherVersionError(RunError):
    """A summary was written by a ferbench with another schema version: it is not damaged, and must not be replaced."""


def summary_bytes(summary: Summary) -> bytes:
    """The file's content: JSON with each field on a line of its own, and each record of a list.

    Indented any deeper, a run of ten thousand cells takes as long to write as to compare its rows: Python's encoder is
    written in C for what is not indented alone.
    """
    fields = []
    for name, value in summary.model_dump(mode="json").items():
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]"
        else:
            text = json.dumps(value)
        fields.append(f" {json.dumps(name)}: {text}")
    return ("{\n" + ",\n".join(fields) + "\n}").encode()


def read_summary(path: Path) -> Summary:
    """The stored summary.

    Raises
    ------
    RunError
        If it is missing, cannot be read, or (:class:`OtherVersionError`) has another schema version.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise RunError(f"{path.parent} has no summary", fix="run its suite again to finish it") from None
    except OSError as error:
        raise RunError(f"cannot read {path}", got=error.strerror) from error
    try:
        summary = Summary.model_validate_json(content)
    except ValidationError as error:
        # Another version may have other fields: that is said, and not that a field is wrong.
        _refuse_other_version(path, content)
        raise RunError(
            f"cannot read {path}",
            got=first_problem(error),
            fix="delete it and run its suite again, or merge its runs again: it is made of the cells beside it",
        ) from error
    if summary.schema_version != SCHEMA:
        _refuse_other_version(path, content)
    return summary


def _refuse_other_version(path: Path, content: bytes) -> None:
    document: object = None
    with suppress(ValueError):
        document = json.loads(content)
    version = document.get("schema_version", SCHEMA) if isinstance(document, dict) else SCHEMA
    if isinstance(document, dict) and isinstance(version, int) and version != SCHEMA:
        raise OtherVersionError(
            f"{path} has another schema version",
            got=f"{version}, written by ferbench {document.get('ferbench_version', 'of an unknown version')}",
            expected=SCHEMA,
            fix="read it with the ferbench that wrote it",
        )
