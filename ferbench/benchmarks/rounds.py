"""Latency cells of a run: one at a time, round by round, the rows of each round in a seeded random order."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferbench.benchmarks.cells import Cell, CellError, Part
from ferbench.benchmarks.frames import write_frames
from ferbench.benchmarks.guard import GuardPolicy
from ferbench.benchmarks.latency import frames_needed, measure_latency
from ferbench.benchmarks.plan import Plan
from ferbench.benchmarks.store import SCRATCH, Run, utc_now
from ferbench.benchmarks.work import execute

if TYPE_CHECKING:
    from ferbench.samples import Samples

__all__ = ["time_cells"]


def time_cells(
    plan: Plan,
    run: Run,
    cells: Sequence[Cell],
    *,
    guard: GuardPolicy = "warn",
    say: Callable[[str], object] = lambda text: None,
) -> Iterator[Part]:
    """Time cells, store each part and hand it on; a row whose fit did not succeed says so instead.

    Parameters
    ----------
    plan : Plan
    run : Run
    cells : sequence of Cell
        Latency cells, in any order.
    guard : "warn", "wait" or "refuse"
        What to do if other programs use the machine; a round that is refused is a failed cell.
    say : callable
        Told in one line what the guard waits for.
    """
    if not cells:
        return
    parts = run.parts()
    limit = plan.profile.cell_seconds
    scratch = run.folder / SCRATCH
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
            n_frames = frames[cell.dataset]
            part, table = execute(
                cell,
                lambda cell=cell, n=n_frames: _time(cell, run, scratch, n, limit, guard, say),  # type: ignore[misc]
            )
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


def _time(
    cell: Cell,
    run: Run,
    scratch: Path,
    n_frames: int,
    time_limit_s: float | None,
    guard: GuardPolicy,
    say: Callable[[str], object],
) -> tuple[dict[str, Any], Any]:
    from ferbench.benchmarks.views import fold_index, load_view

    source: Samples | str = str(cell.options["frames"])
    if source == "dataset":
        samples = load_view(cell.dataset, cell.revision, cell.eval_split, cell.limit, cell.seed)
        index = fold_index(cell)
        source = samples if index is None else samples.subset(index)
    frames = write_frames(source, scratch, n=n_frames, seed=cell.seed)
    return measure_latency(
        cell, run.artefact(cell), frames, scratch=scratch, time_limit_s=time_limit_s, guard=guard, say=say
    )
