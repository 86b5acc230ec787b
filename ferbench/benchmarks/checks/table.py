"""The table of checks: codes, titles, severities, and what to do; runs them all on a finished summary.

A new check is a function beside the others, a line in :data:`CHECKS` and a page in ``pages``. Codes are never used
again for something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ferbench.benchmarks.checks import baselines, faces, models, timing
from ferbench.benchmarks.checks.evidence import Evidence, Found, NotApplicable
from ferbench.benchmarks.checks.results import SEVERITIES, CheckResult, Finding, Severity
from ferbench.errors import UnknownNameError

__all__ = ["CHECKS", "PAGES", "Check", "page_of", "parse_codes", "run_checks"]

PAGES = Path(__file__).parent / "pages"
"""One markdown page for each code."""


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes
    ----------
    code : str
        ``FB`` and three digits.
    title : str
        The trouble that it looks for.
    passed : str
        What holds where nothing was found.
    severity : "error", "warning" or "note"
        Of its findings, unless they say otherwise.
    look : callable
        From the evidence to what was found.
    action : str
        What to do, unless a finding says otherwise.
    """

    code: str
    title: str
    passed: str
    severity: Severity
    look: Callable[[Evidence], list[Found] | NotApplicable]
    action: str

    def run(self, evidence: Evidence) -> CheckResult:
        """What it finds, worst first."""
        seen = self.look(evidence)
        if isinstance(seen, NotApplicable):
            return CheckResult(
                code=self.code, title=self.title, severity=self.severity, status="not-applicable", text=seen.reason
            )
        if not seen:
            return CheckResult(
                code=self.code, title=self.title, severity=self.severity, status="passed", text=self.passed
            )
        findings = sorted((self._finding(one) for one in seen), key=lambda one: SEVERITIES.index(one.severity))
        return CheckResult(
            code=self.code, title=self.title, severity=findings[0].severity, status="found", findings=findings
        )

    def _finding(self, one: Found) -> Finding:
        return Finding(
            severity=one.severity or self.severity,
            text=one.text,
            action=one.action or self.action,
            dataset=one.dataset,
            rows=list(one.rows),
        )


_TABLE = (
    Check(
        "FB001",
        "No baseline",
        "a row that ignores the face shows what chance gives",
        "warning",
        baselines.no_baseline,
        "Add {id: majority, classifier: majority} to the suite.",
    ),
    Check(
        "FB002",
        "Not better than always saying the commonest",
        "every row that looks at the face beats one that does not",
        "warning",
        baselines.not_better_than_majority,
        "Train longer or on more faces, or score more faces; until then the row shows nothing.",
    ),
    Check(
        "FB003",
        "Slower, and no better than a simpler pipeline",
        "whatever costs more is also better",
        "note",
        baselines.slower_and_not_better,
        "Choose the simpler one, or score more faces to show a difference.",
    ),
    Check(
        "FB004",
        "Too few frames for a percentile",
        "every percentile is carried by enough frames",
        "note",
        timing.too_few_frames,
        "Raise min_frames or rounds in the profile.",
    ),
    Check(
        "FB005",
        "Unstable timing",
        "rounds, and the halves of each, agree",
        "warning",
        timing.unstable_timing,
        "Close other programs, raise warmup and min_seconds; time again with --new.",
    ),
    Check(
        "FB006",
        "The machine was not quiet",
        "nothing else used the machine while it timed",
        "warning",
        timing.noisy_machine,
        "Close other programs, use mains power and a fixed clock rate; time again with --new.",
    ),
    Check(
        "FB007",
        "Different threads",
        "rows that are compared had the same threads",
        "warning",
        timing.thread_settings,
        "Compare rows of one number of threads only; list the same devices for all.",
    ),
    Check(
        "FB008",
        "A runtime disagrees with its reference",
        "exports answer as the networks that they come from",
        "error",
        models.runtimes_disagree,
        "Export it again with 'ferbench export', which refuses what strays; do not use the row.",
    ),
    Check(
        "FB009",
        "Keras called the slow way",
        "Keras is called as one compiled function, and near its exports",
        "warning",
        timing.keras_overhead,
        "Run the network on litert or onnx, which answer the same.",
    ),
    Check(
        "FB010",
        "Scored pictures were learnt from",
        "no scored picture, and none that looks like one, was learnt from",
        "warning",
        faces.overlap,
        "Remove the copies from training ('ferbench data audit' lists them); until then scores flatter.",
    ),
    Check(
        "FB011",
        "The same people in training and test",
        "nobody who is scored was learnt from",
        "error",
        faces.same_subjects,
        "Use 'protocol: subject-kfold', or splits that share no person.",
    ),
    Check(
        "FB012",
        "Settings chosen on the scored faces",
        "nothing was chosen on the scored faces",
        "error",
        faces.chosen_on_test,
        "Tune on another split, or by folds of the training faces, and run again.",
    ),
    Check(
        "FB013",
        "Too few faces of an expression",
        f"at least {faces.MIN_SUPPORT} scored faces of every expression",
        "warning",
        faces.rare_classes,
        "Score more faces (test_limit), or do not compare these expressions and macro averages.",
    ),
    Check(
        "FB014",
        "Many faces are missed",
        f"detectors find {faces.MIN_DETECTION_RATE:.0%} of the faces or more",
        "warning",
        faces.detection_rate,
        "Try another detector ('ferbench detectors' scores them), and read both accuracies.",
    ),
    Check(
        "FB015",
        "Differences within the noise",
        "every two neighbours of the table can be told apart",
        "note",
        baselines.difference_within_noise,
        "Do not rank within a tie: choose by cost, or score more faces.",
    ),
    Check(
        "FB016",
        "Different machines or versions",
        "one machine and one installation for all rows",
        "warning",
        models.environments_differ,
        "Compare times within one machine only.",
    ),
    Check(
        "FB017",
        "A pretrained model knows these pictures",
        "no pretrained row has seen these pictures",
        "error",
        models.pretrained_saw_it,
        "Score another split, or remove the row.",
    ),
    Check(
        "FB018",
        "Labels mapped with loss",
        "every row and data set tells the same expressions apart",
        "note",
        models.lossy_labels,
        "Compare with results under the same mapping only, and state it.",
    ),
    Check(
        "FB019",
        "Repeated frames are remembered",
        "frames that come again take as long as new ones",
        "warning",
        timing.cached_frames,
        "Switch the component's cache off; compare with nothing that was timed on repeated frames.",
    ),
    Check(
        "FB020",
        "More threads than asked for",
        "every row kept to its thread setting",
        "warning",
        timing.too_many_threads,
        "Make the component follow the session's threads, or compare rows at threads=all.",
    ),
    Check(
        "FB021",
        "Labels look permuted",
        "names fit the predictions best as they are",
        "error",
        models.permuted_labels,
        "Check the order of the labels in the model and in the data set.",
    ),
)

CHECKS = {check.code: check for check in _TABLE}
"""Every check by its code, in the order of the codes."""


def run_checks(evidence: Evidence) -> list[CheckResult]:
    """The result of every check, in the order of the codes."""
    return [check.run(evidence) for check in CHECKS.values()]


def parse_codes(texts: Iterable[str]) -> tuple[str, ...]:
    """Codes of ``["FB007,FB013", "fb001"]``: sorted, each once.

    Raises
    ------
    UnknownNameError
        If there is no such check.
    """
    codes = {code.strip().upper() for text in texts for code in text.split(",") if code.strip()}
    for code in sorted(codes):
        if code not in CHECKS:
            raise UnknownNameError("check", code, CHECKS)
    return tuple(sorted(codes))


def page_of(code: str) -> str:
    """The page of a check, markdown.

    Raises
    ------
    UnknownNameError
        If there is no such check.
    """
    (known,) = parse_codes([code])
    return (PAGES / f"{known}.md").read_text(encoding="utf-8")
