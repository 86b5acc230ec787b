"""Reports: one context built from a run's summary, shown as a self-contained HTML page and as markdown.

>>> from ferbench.reports import build_report
>>> build_report("runs/latest")  # doctest: +SKIP
[PosixPath('runs/latest/report/index.html'), PosixPath('runs/latest/report/report.md')]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ferbench.errors import ParameterError, RunError, UnknownNameError

__all__ = ["FORMATS", "build_report"]

FORMATS = {"html": "index.html", "md": "report.md"}
"""File written for each format."""


def build_report(
    run_folder: str | Path,
    formats: Sequence[str] = ("html", "md"),
    *,
    out: str | Path | None = None,
    ignore: Sequence[str] = (),
) -> list[Path]:
    """Write the report of a run.

    Parameters
    ----------
    run_folder : path
        A run, such as ``runs/latest``.
    formats : sequence of {"html", "md"}
        What to write; each file replaces an older one of its name.
    out : path, optional
        Folder of the report; by default ``report/`` inside the run.
    ignore : sequence of str
        Codes of checks to leave out; the report says which.

    Returns
    -------
    list of Path
        The files written, in the order of ``formats``.

    Raises
    ------
    RunError
        If the folder is no run, its summary is missing or damaged, or the report cannot be written.
    """
    from ferbench.benchmarks.checks.gather import checked_summary
    from ferbench.benchmarks.checks.table import parse_codes
    from ferbench.reports.context import build_context
    from ferbench.reports.html import render_html
    from ferbench.reports.markdown import render_markdown

    chosen = list(dict.fromkeys(formats))
    if not chosen:
        raise ParameterError("no report format given", expected=", ".join(FORMATS))
    for name in chosen:
        if name not in FORMATS:
            raise UnknownNameError("report format", name, FORMATS)
    context = build_context(checked_summary(run_folder), parse_codes(ignore))
    folder = Path(out) if out is not None else Path(run_folder) / "report"
    render = {"html": render_html, "md": render_markdown}
    written = []
    for name in chosen:
        path = folder / FORMATS[name]
        text = render[name](context)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Rename last: a reader never sees half a page, and an interrupted build leaves the old one.
            part = path.with_suffix(path.suffix + ".part")
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        except OSError as error:
            raise RunError(
                f"cannot write the report to {folder}", got=error.strerror or str(error), fix="choose another --out"
            ) from error
        written.append(path)
    return written
