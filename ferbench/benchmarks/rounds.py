"""Latency cells of a run: one at a time, round by round, the rows of each round in a seeded random order."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferbench.benchmarks.frames import write_frames
from ferbench.benchmarks.latency import frames_needed, measure_latency
from ferbench.benchmarks.plan import Plan
from ferbench.benchmarks.quality import execute
from ferbench.benchmarks.records import Cell, CellError, Part
from ferbench.benchmarks.store import Run, utc_now

__all__ = ["time_cells"]


def time_cells(plan: Plan, run: Run, cells: Sequence[Cell]) -> Iterator[Part]:
    """Time cells, store each part and hand it on; a row whose fit did not succeed says so instead.

    Parameters
    ----------
    plan : Plan
    run : Run
    cells : sequence of Cell
        Latency cells, in any order.
    """
    if not cells:
        return
    parts = run.parts()
    scratch = run.folder / ".scratch"
    frames = {spec: max(frames_needed(c) for c in cells if c.dataset == spec) for spec in {c.dataset for c in cells}}
    for cell in _interleaved(plan, cells):
        fit = parts.get(str(cell.options.get("fit")))
        if "saved" not in cell.options and (fit is None or fit.status != "ok"):
            why = "its pipeline was not fitted" if fit is None or fit.error is None else fit.error.message
            error = CellError(type=fit.error.type if fit and fit.error else "NotFitted", message=why)
            status = fit.status if fit is not None else "failed"
            part = Part(cell=cell, status=status, error=error, started=utc_now(), seconds=0.0)
            run.write_part(part)
        else:
            part, table = execute(cell, lambda cell=cell: _time(cell, run, scratch, frames[cell.dataset]))  # type: ignore[misc]
            run.write_part(part, table)
        yield part
    shutil.rmtree(scratch, ignore_errors=True)


def _interleaved(plan: Plan, cells: Sequence[Cell]) -> list[Cell]:
    ordered = []
    for number in sorted({cell.round or 0 for cell in cells}):
        mine = [cell for cell in cells if (cell.round or 0) == number]
        order = np.random.default_rng([plan.suite.seed, number]).permutation(len(mine))
        ordered += [mine[i] for i in order]
    return ordered


def _time(cell: Cell, run: Run, scratch: Path, n_frames: int) -> tuple[dict[str, Any], Any]:
    from ferbench.benchmarks.views import fold_index, load_view

    samples = load_view(cell.dataset, cell.revision, cell.eval_split, cell.limit, cell.seed)
    index = fold_index(cell)
    frames = write_frames(samples if index is None else samples.subset(index), scratch, n=n_frames, seed=cell.seed)
    return measure_latency(cell, run.artefact(cell), frames, scratch=scratch)
