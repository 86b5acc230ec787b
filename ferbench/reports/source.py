"""Where a report's numbers come from: the summary of a run folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from ferbench.benchmarks.records import SCHEMA, Summary
from ferbench.errors import RunError

__all__ = ["load_summary"]


def load_summary(run_folder: str | Path) -> Summary:
    """Read ``summary.json`` of a run.

    Raises
    ------
    RunError
        If the folder does not exist, has no summary (the run has not finished), or the summary is damaged or newer
        than this version of ferbench.
    """
    folder = Path(run_folder)
    if not folder.is_dir():
        raise RunError(f"there is no run at {folder}", fix="give the folder that 'ferbench run' printed, or 'latest'")
    path = folder / "summary.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RunError(
            f"{folder} has no summary.json",
            expected="a finished run",
            fix="finish it with 'ferbench run', which resumes where it stopped",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"cannot read {path}", got=error, fix="rebuild it with 'ferbench run'") from error
    try:
        summary = Summary.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise RunError(
            f"{path} is damaged or of another version",
            got=f"{first['msg']} at {place or 'the top'}",
            expected=f"a summary of schema {SCHEMA}",
            fix="delete it and run 'ferbench run' again, which rebuilds it from the parts",
        ) from None
    if summary.schema_version > SCHEMA:
        raise RunError(
            f"{path} was written by a newer ferbench",
            got=f"schema {summary.schema_version}",
            expected=f"at most {SCHEMA}",
            fix="upgrade ferbench",
        )
    return summary
