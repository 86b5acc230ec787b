"""Fits and quality cells in a process of their own, for cells that may hang or crash: ``python -m`` of this module.

The process is killed, with every child that it started, when a cell takes longer than it may. Whatever ends it costs
the cell at work alone: what it stored before stands, and what is left is done in another one.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from ferbench.benchmarks.cells import CellError, Part
from ferbench.benchmarks.spawn import kill_group
from ferbench.benchmarks.store import Run
from ferbench.benchmarks.work import Job, do_cells, store_lost
from ferbench.benchmarks.worker import die_with_parent
from ferbench.errors import FerbenchError

__all__ = ["main", "run_apart"]

_LOOK_S = 0.05
_START_S = 120.0  # to import what every cell needs
_IMPORTS = ("pandas", "sklearn.pipeline", "ferbench.pipelines")  # seconds, no fault of the first cell
_JOB, _PARTS, _ERROR = "job.pickle", "parts.jsonl", "error.pickle"


def run_apart(job: Job) -> list[Part]:
    """Do a job in a process of its own, within ``job.cell_seconds`` for each cell, the process's start left out.

    Returns
    -------
    list of Part
        One for each cell; that of a cell over its time has the error ``TimeLimit``, that of one whose process died
        ``WorkerDied``.

    Raises
    ------
    FerbenchError
        What stops a whole run: a suite's mistake, a full disk.
    """
    parts: list[Part] = []
    while job.cells:
        done, error = _attempt(job)
        parts += done
        finished = {part.cell.id for part in done}
        left = [cell for cell in job.cells if cell.id not in finished]
        if not left:
            break
        if error is None:
            raise RuntimeError(f"the process of {left[0].row} ended well and left cells undone")  # a fault of ours
        if left[0].kind == "fit":
            return parts + store_lost(Run(job.run), job, error)
        parts += store_lost(Run(job.run), replace(job, fit=None, quality=(left[0],)), error)
        job = replace(job, quality=tuple(left[1:]), is_fitted=True)
    return parts


def _attempt(job: Job) -> tuple[list[Part], CellError | None]:
    """Start a process on a job and wait: the parts that it finished, and what ended it before its time."""
    # Not in the run's folder: the process must be able to say that its disk is full.
    with tempfile.TemporaryDirectory(prefix="ferbench_") as name:
        folder = Path(name)
        (folder / _JOB).write_bytes(pickle.dumps((os.getpid(), job)))
        (folder / _PARTS).touch()
        process = subprocess.Popen(
            [sys.executable, "-m", "ferbench.benchmarks.apart", name],
            env=os.environ | job.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # a process group of its own, so that its children can be killed with it
        )
        try:
            is_late = _wait(process, folder / _PARTS, job.cell_seconds)
        finally:
            kill_group(process)
        if (folder / _ERROR).is_file():
            error: FerbenchError = pickle.loads((folder / _ERROR).read_bytes())
            raise error
        parts = [Part.model_validate_json(line) for line in _lines(folder / _PARTS)]
    if is_late:
        said = f"not done after {job.cell_seconds:g} s, its process was killed; a longer 'cell_seconds' gives it more"
        return parts, CellError(type="TimeLimit", message=said)
    if process.returncode == 0:
        return parts, None
    where = f"; see {job.log}" if job.log is not None else ""
    return parts, CellError(type="WorkerDied", message=f"its process ended by {_say_end(process.returncode)}{where}")


def _lines(path: Path) -> list[str]:
    """Whole lines with something in them: the first is blank, the last may be cut off."""
    return [line for line in path.read_text(encoding="utf-8").split("\n")[:-1] if line]


def _wait(process: subprocess.Popen[bytes], parts: Path, cell_seconds: float | None) -> bool:
    """Wait for the end; True where a cell was over its time."""
    size, since = 0, time.monotonic()
    while True:
        try:
            process.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            pass
        else:
            return False
        if (now := parts.stat().st_size) != size:
            size, since = now, time.monotonic()
        if cell_seconds is not None:
            limit = cell_seconds if size else max(cell_seconds, _START_S)
            if time.monotonic() - since > limit:
                return True


def _say_end(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"{name} (out of memory?)" if -code == signal.SIGKILL else name


def main(arguments: list[str]) -> int:
    """Do the job in the folder named, and say what is done as soon as it is stored."""
    folder = Path(arguments[0])
    parent, job = pickle.loads((folder / _JOB).read_bytes())
    die_with_parent(parent)
    for name in _IMPORTS:
        importlib.import_module(name)
    try:
        with (folder / _PARTS).open("a", encoding="utf-8") as file:
            file.write("\n")  # from here on time counts
            file.flush()
            for part in do_cells(job):
                file.write(part.model_dump_json() + "\n")
                file.flush()
    except FerbenchError as error:
        (folder / _ERROR).write_bytes(pickle.dumps(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
