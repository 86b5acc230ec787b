"""What checks leave behind: findings, and one result for each check; stored in ``summary.json``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ferbench.benchmarks.record import Record

__all__ = ["SEVERITIES", "CheckResult", "CheckStatus", "Finding", "Severity"]

Severity = Literal["error", "warning", "note"]
"""``error``: a number does not mean what it says. ``warning``: it must not be trusted as it is. ``note``: know it."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""Worst first."""

CheckStatus = Literal["found", "passed", "not-applicable"]


class Finding(Record):
    """One thing that a check found."""

    severity: Severity
    text: str = Field(description="what was found, with its numbers")
    action: str = Field(description="what to do about it")
    dataset: str | None = Field(default=None, description="spec of the data set concerned; None for the whole run")
    rows: list[str] = Field(default_factory=list, description="all rows concerned")


class CheckResult(Record):
    """What came of one check."""

    code: str
    title: str = Field(description="the trouble that it looks for")
    severity: Severity = Field(description="of the worst finding; otherwise the check's own")
    status: CheckStatus
    text: str = Field(default="", description="passed: what holds; not applicable: why")
    findings: list[Finding] = Field(default_factory=list)
