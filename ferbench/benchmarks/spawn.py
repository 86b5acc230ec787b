"""The parent's side of a latency worker: start it in a clean environment, limit its time, and say why it died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench import errors
from ferbench.benchmarks.threads import thread_environment
from ferbench.benchmarks.worker import ERROR, REPORT, TIMES, Request
from ferbench.errors import FerbenchError

__all__ = ["WorkerError", "WorkerResult", "kill_group", "run_worker", "worker_environment"]

_TAIL_LINES = 30
_LINE_LENGTH = 300


class WorkerError(FerbenchError):
    """A latency worker crashed or ran out of time; the tail of its stderr is attached as a note."""


@dataclass(frozen=True)
class WorkerResult:
    """What a worker measured: raw times by column, and its report."""

    times: dict[str, npt.NDArray[np.int64]]
    report: dict[str, Any]


def worker_environment(threads: int, device: str) -> dict[str, str]:
    """The environment of a worker: this process's, with every thread variable set and the GPU hidden from CPU cells."""
    environment = os.environ | thread_environment(threads)
    environment |= {"PYTHONHASHSEED": "0", "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1"}
    if device == "cpu":
        # Left visible, TensorFlow, JAX and PyTorch would take the GPU unasked.
        environment |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    return environment


def run_worker(name: str, request: Request, *, time_limit_s: float) -> WorkerResult:
    """Run one request in a fresh process and wait for it.

    Parameters
    ----------
    name : str
        The row, for messages.
    request : Request
        Its ``folder`` must exist; it is the worker's alone.
    time_limit_s : float
        Seconds after which the worker and all its children are killed.

    Raises
    ------
    WorkerError
        If it crashed, was killed, or ran out of time.
    FerbenchError
        The worker's own, of the same type and text: a damaged model file, a missing package.
    """
    folder = Path(request.folder)
    job = folder / "request.json"
    job.write_text(json.dumps(asdict(request)))
    code, stderr = _wait(job, worker_environment(request.threads, request.device), name, time_limit_s)
    if code == FerbenchError.exit_code and (folder / ERROR).exists():
        raise _rebuild(json.loads((folder / ERROR).read_text()))
    if code != 0:
        raise _crash(name, code, stderr)
    with np.load(folder / TIMES, allow_pickle=False) as file:
        times = {key: file[key] for key in file.files}
    return WorkerResult(times, json.loads((folder / REPORT).read_text()))


def _wait(request: Path, environment: dict[str, str], name: str, time_limit_s: float) -> tuple[int, str]:
    """Exit code and stderr of the worker. Output goes to files: a full pipe would block a worker that logs much."""
    command = [sys.executable, "-m", "ferbench.benchmarks.worker", str(request)]
    log = request.with_name("stderr.txt")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,  # A process group of its own, so that its children can be killed with it.
        )
        try:
            process.wait(time_limit_s)
        except subprocess.TimeoutExpired:
            raise _with_tail(
                WorkerError(
                    f"latency worker of {name!r} was killed",
                    got=f"no result after {time_limit_s:g} s",
                    fix="raise the time limit, or lower min_frames and min_seconds",
                ),
                log.read_text(errors="replace"),
            ) from None
        finally:
            # Also after Ctrl-C, and after a regular end: children that the worker left behind would disturb the next.
            kill_group(process)
    return process.returncode, log.read_text(errors="replace")


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a session, and every process that it started."""
    if hasattr(os, "killpg"):
        # Nobody left in the group is an error, on macOS a PermissionError.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        import psutil

        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
    process.wait()


def _crash(name: str, code: int, stderr: str) -> WorkerError:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    last = lines[-1][:_LINE_LENGTH] if lines else "it printed nothing"
    if code < 0:
        number = -code
        signal_name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        hint = "; out of memory?" if number == signal.SIGKILL else ""
        return _with_tail(WorkerError(f"latency worker of {name!r} was killed", got=f"{signal_name}{hint}"), stderr)
    return _with_tail(WorkerError(f"latency worker of {name!r} crashed", got=f"exit code {code}: {last}"), stderr)


def _with_tail(error: WorkerError, stderr: str) -> WorkerError:
    if tail := "\n".join(stderr.splitlines()[-_TAIL_LINES:]):
        error.add_note(f"end of the worker's output:\n{tail}")
    return error


def _rebuild(report: dict[str, str]) -> FerbenchError:
    """The worker's error, of its own type, with its text as it was."""
    kind = getattr(errors, report["type"], FerbenchError)
    error: FerbenchError = kind.__new__(kind, report["message"])
    error.what, error.got, error.expected, error.fix = report["message"], None, None, None
    return error
