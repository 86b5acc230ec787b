"""What the checks found, ordered for reading: worst first, then what passed, what did not apply, what was ignored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ferbench.benchmarks.checks.results import SEVERITIES, CheckResult, Finding, Severity
from ferbench.benchmarks.records import Summary
from ferbench.reports.formatting import listing
from ferbench.reports.shifts import dataset_names

__all__ = ["ChecksView", "checks_view"]


@dataclass(frozen=True)
class ChecksView:
    """The checks of a run as a reader needs them.

    Attributes
    ----------
    found : tuple of CheckResult
        Those that found something and are not ignored; errors first, then warnings, then notes.
    passed, not_applicable : tuple of CheckResult
        In the order of their codes.
    ignored : tuple of CheckResult
        Those that the user chose not to be told of, whatever they found.
    titles : dict
        Title of each data set by its spec where the run has several: findings then say of which they are.
    """

    found: tuple[CheckResult, ...]
    passed: tuple[CheckResult, ...]
    not_applicable: tuple[CheckResult, ...]
    ignored: tuple[CheckResult, ...]
    titles: Mapping[str, str]

    def told(self, one: Finding) -> str:
        """The text of a finding, with its data set where there are several."""
        title = self.titles.get(one.dataset or "")
        return one.text if title is None else f"{title}: {one.text}"

    @property
    def findings(self) -> list[tuple[CheckResult, Finding]]:
        """Every finding with its check, worst first, within a severity by code."""
        pairs = [(check, one) for check in self.found for one in check.findings]
        return sorted(pairs, key=lambda pair: (SEVERITIES.index(pair[1].severity), pair[0].code))

    @property
    def counts(self) -> dict[Severity, int]:
        """Findings by severity; severities without one are left out."""
        counted = Counter(one.severity for _, one in self.findings)
        return {severity: counted[severity] for severity in SEVERITIES if counted[severity]}

    @property
    def headline(self) -> str:
        """``"1 error, 2 warnings and 3 notes"``; ``"nothing"`` where nothing was found."""
        return listing(f"{n} {name}{'s' if n > 1 else ''}" for name, n in self.counts.items()) or "nothing"

    @property
    def is_strictly_clean(self) -> bool:
        """Whether no error and no warning was found: notes do not count."""
        return not {"error", "warning"} & set(self.counts)

    @property
    def n_all(self) -> int:
        """Number of checks."""
        return len(self.found) + len(self.passed) + len(self.not_applicable) + len(self.ignored)


def checks_view(summary: Summary, ignore: Iterable[str] = ()) -> ChecksView:
    """The checks of a summary.

    Parameters
    ----------
    summary : Summary
    ignore : iterable of str
        Codes to leave out, with those that the run was told to ignore.
    """
    hidden = {*summary.ignored_checks, *ignore}
    told = [check for check in summary.checks if check.code not in hidden]
    found = [check for check in told if check.status == "found"]
    return ChecksView(
        tuple(sorted(found, key=lambda check: SEVERITIES.index(check.severity))),
        tuple(check for check in told if check.status == "passed"),
        tuple(check for check in told if check.status == "not-applicable"),
        tuple(check for check in summary.checks if check.code in hidden),
        dataset_names(summary) if len(summary.datasets) > 1 else {},
    )
