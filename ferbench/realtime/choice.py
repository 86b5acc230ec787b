"""The best pipeline of a finished run: most accurate, and quick enough for a camera."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ferbench.checks import check_positive
from ferbench.errors import ParameterError, RunError

if TYPE_CHECKING:
    from ferbench.benchmarks.records import Estimate, LatencySummary, RowSummary, Summary
    from ferbench.benchmarks.store import Run
    from ferbench.pipelines import OnNoFace, Pipeline

__all__ = ["BEST", "BUDGET_MS", "LATEST_RUN", "Choice", "check_unnamed", "choose_pipeline"]

BEST = "best"
"""What a pipeline is called that is to be chosen from a run."""

LATEST_RUN = "runs/latest"
BUDGET_MS = 1000 / 30
"""Milliseconds a frame that are there at the pace of most cameras."""

# Runs on data sets of face crops fit their pipelines without a detector; live, faces have to be found.
_BYPASSED, _LIVE_DETECTOR = "whole-image", "yunet"


@dataclass(frozen=True)
class Choice:
    """A pipeline of a run, and what the run says of it.

    Attributes
    ----------
    row : str
        Its name in the run.
    run, dataset : str
        Where that was measured.
    accuracy : Estimate
        End to end, with its 95 % interval.
    n : int
        Faces scored.
    ms : float
        Median milliseconds of a frame, one at a time.
    setting : str
        What that time is of: frames and threads, and the machine where it was not this one.
    threads : int
        Threads that the pipeline was timed with, and runs with: no more than there are cores here.
    folder : Path
        The saved pipeline.
    runtime : str
        The runtime that was measured.
    is_bypassed : bool
        Its time and accuracy are of crops: detection comes on top.
    """

    row: str
    run: str
    dataset: str
    accuracy: Estimate
    n: int
    ms: float
    setting: str
    threads: int
    folder: Path
    runtime: str
    is_bypassed: bool

    def __str__(self) -> str:
        right = f"{100 * self.accuracy.value:.1f} %"
        if self.accuracy.low is not None and self.accuracy.high is not None:
            right += f" (95 % interval {100 * self.accuracy.low:.1f} to {100 * self.accuracy.high:.1f})"
        frame = "face" if self.is_bypassed else "frame"
        extra = f"; found by {_LIVE_DETECTOR}, whose time comes on top" if self.is_bypassed else ""
        return (
            f"best: {self.row}, right on {right} of {self.n} faces of {self.dataset}, {self.ms:.2f} ms a {frame} "
            f"({self.setting}){extra}; from {self.run}"
        )

    def load(self, *, on_no_face: OnNoFace = "skip", device: str = "auto") -> Pipeline:
        """The pipeline, ready to run, behind a detector if it was measured without one."""
        from ferbench.pipelines import load_pipeline

        return load_pipeline(
            self.folder,
            detector=_LIVE_DETECTOR if self.is_bypassed else None,
            runtime=self.runtime,
            threads=self.threads,
            on_no_face=on_no_face,
            device=device,
        )


def check_unnamed(**parts: str | None) -> None:
    """Raise :class:`ParameterError` if a part is named beside a pipeline that was made or measured with its own."""
    for kind, name in parts.items():
        if name is not None:
            raise ParameterError(f"a {kind} goes with a named pipeline", got=name, fix="leave it out")


def choose_pipeline(run: str | os.PathLike[str] = LATEST_RUN, budget_ms: float = BUDGET_MS) -> Choice:
    """The most accurate pipeline of a run whose median time is within a budget.

    Baselines are left out, and so is what is not shown to beat them. Of a run on several data sets the first
    counts; of folds, the model of the first.

    Parameters
    ----------
    run : path
        Folder of a finished run.
    budget_ms : float
        Milliseconds a frame, by the run's own measurement of single frames on the processor.

    Raises
    ------
    RunError
        If there is no such run, it has no summary, nothing in it was both scored and timed, or the pipeline's files are
        gone; or none that is quick enough is shown to beat one that looks at no face (``FB002``).
    ParameterError
        If the budget is no positive number, or nothing is as quick.
    """
    from ferbench.benchmarks.environment import machine_fingerprint
    from ferbench.benchmarks.store import Run

    check_positive("budget_ms", budget_ms)
    opened = Run.open(Path(run))
    summary, here = opened.summary(), machine_fingerprint()
    timed = _timed_rows(summary, here)
    if not timed:
        raise RunError(
            f"{opened.folder} has no pipeline that was both scored and timed",
            fix="run a suite with a latency block to its end, or name a pipeline instead of best",
        )
    quick = [(row, time) for row, time in timed if time.stages["total"].p50 <= budget_ms]
    if not quick:
        row, time = min(timed, key=lambda each: each[1].stages["total"].p50)
        raise ParameterError(
            f"no pipeline of {opened.folder} is within {budget_ms:g} ms a frame",
            got=f"{time.stages['total'].p50:.2f} ms of the quickest, {row.row}",
            fix="raise --budget-ms",
        )
    weak = _weak_rows(summary)
    if not (strong := [(row, time) for row, time in quick if (row.row, row.dataset) not in weak]):
        is_budget = any((row.row, row.dataset) not in weak for row, _ in timed)
        best = max((row for row, _ in quick), key=lambda row: _accuracy(row).value)
        raise RunError(
            f"no pipeline of {opened.folder}{f' within {budget_ms:g} ms' if is_budget else ''} is shown to beat one "
            "that looks at no face",
            got=f"{best.row}, right on {100 * _accuracy(best).value:.1f} %",
            fix=f"{'raise --budget-ms, or ' if is_budget else ''}name a pipeline instead of best",
        )
    row, time = max(strong, key=lambda each: (_accuracy(each[0]).value, -each[1].stages["total"].p50))
    return _choice(opened, row, time, is_here=_machine(summary, time) == here)


def _timed_rows(summary: Summary, here: str) -> list[tuple[RowSummary, LatencySummary]]:
    """Rows of the first data set on which something was scored and timed, each with its quickest single frames.

    Those of this machine, if there are any: of a merged run, each machine has its own.
    """
    for dataset in summary.datasets:
        rows = []
        for row in summary.rows:
            single = [time for time in row.latency if (time.scenario, time.device) == ("single-stream", "cpu")]
            times = [time for time in single if _machine(summary, time) == here] or single
            if row.dataset == dataset.spec and row.quality is not None and row.family != "baseline" and times:
                rows.append((row, min(times, key=lambda time: time.stages["total"].p50)))
        if rows:
            return rows
    return []


def _weak_rows(summary: Summary) -> set[tuple[str, str | None]]:
    """Rows that are not shown to beat looking at no face, each with its data set: what the run's own check found."""
    found = [finding for check in summary.checks if check.code == "FB002" for finding in check.findings]
    return {(row, finding.dataset) for finding in found for row in finding.rows}


def _machine(summary: Summary, time: LatencySummary) -> str | None:
    return time.machine or summary.environment.get("fingerprint")


def _accuracy(row: RowSummary) -> Estimate:
    if row.quality is None:
        raise RunError(f"{row.row} was not scored")
    return row.quality.end_to_end["accuracy"]


def _choice(run: Run, row: RowSummary, time: LatencySummary, *, is_here: bool) -> Choice:
    from ferbench.benchmarks.threads import available_cores

    cells = [part.cell for part in run.parts(repair=False).values() if part.cell.kind == "quality"]
    mine = [cell for cell in cells if (cell.row, cell.dataset) == (row.row, row.dataset)]
    folder = run.artefact(min(mine, key=lambda cell: cell.fold or 0)) if mine else run.folder / "artefacts"
    if not (folder / "pipeline.json").is_file():
        raise RunError(f"the model of {row.row} is gone from {run.folder}", fix="run its suite again")
    threads = "one thread" if time.threads == 1 else f"{time.threads} threads"
    elsewhere = "" if is_here else "; timed on another machine"
    return Choice(
        row=row.row,
        run=run.id,
        dataset=row.dataset,
        accuracy=_accuracy(row),
        n=row.quality.n if row.quality else 0,
        ms=time.stages["total"].p50,
        setting=f"{time.frames}; {threads}{elsewhere}",
        threads=min(time.threads, available_cores()),
        folder=folder,
        runtime=str(row.pipeline.runtime),
        is_bypassed=row.pipeline.detector == _BYPASSED,
    )
