"""One of two runs that are compared, as it lies on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.compare_records import RunFacts
from ferbench.benchmarks.pairs import Scored
from ferbench.benchmarks.records import LatencySummary, RowSummary, Summary
from ferbench.benchmarks.store import Run
from ferbench.errors import RunError

__all__ = ["Side"]


@dataclass(frozen=True)
class Side:
    """One of two runs that are compared: its summary, its plan, and the tables of its cells."""

    run: Run
    summary: Summary
    cells: list[dict[str, Any]]

    @classmethod
    def open(cls, folder: str | Path) -> Side:
        """A finished run.

        Raises
        ------
        RunError
            If it is none, or its plan or summary cannot be read.
        """
        run = Run.open(folder)
        plan = run.read_json("plan.json")
        try:
            cells = [dict(cell) for cell in plan["cells"]]
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"cannot read {run.folder / 'plan.json'}", got="JSON that is no plan", fix="start a new run with --new"
            ) from error
        return cls(run, run.summary(), cells)

    def rows(self) -> dict[tuple[str, str], RowSummary]:
        """Rows by data set and name."""
        return {(row.dataset, row.row): row for row in self.summary.rows}

    def scored(self, row: RowSummary) -> Scored:
        """The faces of a row."""
        ids = [cell["id"] for cell in self._cells_of(row) if cell["kind"] == "quality"]
        self._check_parts(ids)
        return Scored.of_folds(row.row, *self.run.pooled_items(ids))

    def rounds(self, row: RowSummary, latency: LatencySummary) -> list[npt.NDArray[np.float64]]:
        """Milliseconds per frame of each call, one array a round; rounds that failed left no table."""
        ids = [c["id"] for c in sorted(self._cells_of_timing(row, latency), key=lambda c: c["round"] or 0)]
        self._check_parts(ids)
        tables = [self.run.times(i) for i in ids if (self.run.folder / "times" / f"{i}.parquet").is_file()]
        return [np.asarray(t["total_ns"] / t["n_frames"] / 1e6, dtype=np.float64) for t in tables if len(t)]

    def warm_up(self, row: RowSummary, latency: LatencySummary) -> list[int]:
        """Frames before the clock counted; more than one number where a run's rounds differ, none in older runs."""
        options = [cell.get("options", {}) for cell in self._cells_of_timing(row, latency)]
        return sorted({int(one["warmup"]) for one in options if "warmup" in one})

    def _cells_of_timing(self, row: RowSummary, latency: LatencySummary) -> list[dict[str, Any]]:
        asked = (latency.scenario, latency.device, latency.threads)
        cells = [c for c in self._cells_of(row) if c["kind"] == "latency" and _asked(c) == asked]
        return [c for c in cells if latency.machine in (None, c.get("machine"))]

    def _check_parts(self, cell_ids: Sequence[str]) -> None:
        """Refuse what was changed since it was measured: tables have their checksums in the parts."""
        for cell_id in cell_ids:
            if (self.run.folder / "parts" / f"{cell_id}.json").is_file() and self.run.part(cell_id) is None:
                raise RunError(
                    f"cell {cell_id} of {self.run.folder} is damaged, or was changed after it was measured",
                    fix="run its suite again: what is damaged is done again",
                )

    def _cells_of(self, row: RowSummary) -> list[dict[str, Any]]:
        return [cell for cell in self.cells if (cell["dataset"], cell["row"]) == (row.dataset, row.row)]

    def facts(self, path: str | Path) -> RunFacts:
        """What a comparison says of the run."""
        s = self.summary
        revision = (s.environment.get("git") or {}).get("revision")
        return RunFacts(
            path=str(path),
            run_id=s.run_id,
            created=s.created,
            ferbench_version=s.ferbench_version,
            revision=revision,
        )


def _asked(cell: dict[str, Any]) -> tuple[str, str, int]:
    return cell["scenario"], cell["device"], cell["threads"]
