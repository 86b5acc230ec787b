"""What ``run`` and ``report`` have in common about checks: arguments, exit code, lines of the terminal."""

from __future__ import annotations

import argparse
import sys
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferbench.reports.checks import ChecksView

__all__ = ["STRICT", "add_check_arguments", "checks_text", "strict_code"]

STRICT = 1
"""Exit code of ``--strict`` where a check found an error or a warning, or a cell failed."""

WIDTH = 80
_MOST = 3  # findings that the terminal prints; the report has all
_LINES = 2  # of each


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--strict`` and ``--ignore``."""
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 if a check finds an error or a warning, or a cell failed"
    )
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="CODES",
        help="checks to leave out, such as FB007,FB013; the report says so",
    )


def strict_code(checks: ChecksView, n_failed: int) -> int:
    """Exit code under ``--strict``, said on stderr where it is not 0; failed cells leave nothing to check."""
    reasons = [] if checks.is_strictly_clean else [f"the checks found {checks.headline}"]
    reasons += [f"{n_failed:,} cell{'s' if n_failed != 1 else ''} failed"] if n_failed else []
    if not reasons:
        return 0
    print(f"ferbench: --strict: {', and '.join(reasons)}", file=sys.stderr)
    return STRICT


def checks_text(checks: ChecksView, *, is_whole: bool = True) -> str:
    """The count and the worst findings, for the terminal; of a run that is not whole, "nothing" is said with care."""
    ignored = f"; ignored: {', '.join(check.code for check in checks.ignored)}" if checks.ignored else ""
    where = "" if is_whole or checks.findings else " in what was measured"
    lines = [f"checks  {checks.headline} found{where}, {len(checks.passed)} passed{ignored}"]
    loud = [(check, one) for check, one in checks.findings if one.severity != "note"]
    for check, one in loud[:_MOST]:
        wrapped = textwrap.wrap(
            f"{check.title}. {checks.told(one)}",
            WIDTH,
            initial_indent=f"  {check.code} {one.severity}: ",
            subsequent_indent=" " * 8,
            max_lines=_LINES,
            placeholder=" …",
        )
        lines += wrapped
    more = len(checks.findings) - min(len(loud), _MOST)
    if checks.findings:
        rest = f"{more} more in the report; " if more else ""
        lines.append(f"  {rest}'ferbench show {checks.findings[0][0].code}' explains a check")
    return "\n".join(lines)
