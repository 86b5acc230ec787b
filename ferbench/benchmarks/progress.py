"""Progress of a run on stderr: a live bar on a terminal, one line per cell elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ferbench.benchmarks.cells import Cell, Part
from ferbench.benchmarks.estimate import estimate_cell, say_duration
from ferbench.benchmarks.plan import Plan

__all__ = ["RunProgress"]

_MARKS = {"ok": "done", "failed": "FAILED", "skipped": "skipped"}


class RunProgress:
    """Tells what is done, what failed, and how long the rest will take.

    Parameters
    ----------
    plan : Plan
    cells : iterable of Cell
        Those that will be done.
    jobs : int
        Workers that share fits and quality cells.
    """

    def __init__(self, plan: Plan, cells: Iterable[Cell], jobs: int) -> None:
        self._weights = {cell.id: estimate_cell(cell, plan) / (1 if cell.kind == "latency" else jobs) for cell in cells}
        self._open, self._total = set(self._weights), sum(self._weights.values())
        self._rest = self._total
        self._n, self._started = 0, time.monotonic()
        self._console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left: {task.fields[left]}"),
                console=self._console,
            )
            self._task = self._bar.add_task("cells", total=len(self._weights), left=self.left())

    def left(self) -> str:
        """Time that the rest will take: the estimate, corrected by how wrong it was so far."""
        rest = max(self._rest, 0.0)  # not below by rounding
        spent = self._total - rest
        if spent > 0.05 * self._total:
            rest *= (time.monotonic() - self._started) / spent
        return f"about {say_duration(rest)}"

    def say(self, text: str) -> None:
        """One line for the reader."""
        self._console.print(text, markup=False, soft_wrap=True)

    def done(self, part: Part) -> None:
        """Count a cell."""
        cell = part.cell
        if cell.id in self._open:
            self._open.remove(cell.id)
            self._rest -= self._weights[cell.id]
        self._n += 1
        what = f"{cell.kind} {cell.row} on {cell.dataset.split('(')[0]}"
        what += f" of {cell.options['trained_on'].split('(')[0]}" if cell.kind == "cross" else ""
        what += f" {cell.options['corruption']}" if cell.kind == "robustness" else ""
        what += f" fold {cell.fold + 1}/{cell.n_folds}" if cell.fold is not None else ""
        what += f" {cell.scenario} round {(cell.round or 0) + 1}" if cell.kind == "latency" else ""
        line = f"{_MARKS[part.status]:>7} {what} ({part.seconds:.1f} s)"
        if part.error is not None:
            line += f": {part.error.type}: {part.error.message}"
        if self._bar is None:
            self.say(f"[{self._n:>3}/{len(self._weights)}] {line}; left: {self.left()}")
            return
        if part.status != "ok":
            self.say(line)
        self._bar.update(self._task, advance=1, description=what, left=self.left())

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
