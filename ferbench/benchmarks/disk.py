"""Files that are there whole or not at all, folders that one process holds, and what a disk can do wrong."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ferbench.errors import RunError, StorageError

__all__ = ["check_disk", "held", "sweep", "utc_now", "write_atomically"]

_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_FIX = "make room or mend permissions, then repeat the command: what was done is kept"


def check_disk(error: BaseException) -> None:
    """Raise :class:`StorageError` if an error of some component is the disk's: a run must stop at it.

    Every cell that follows would fail of the same, and the failures could not be stored.
    """
    if isinstance(error, StorageError):
        raise error
    if isinstance(error, OSError) and error.errno in _TROUBLE:
        where = f"cannot write {error.filename}" if error.filename else "cannot write to the disk"
        raise StorageError(where, got=error.strerror, fix=_FIX) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, whenever the process is killed.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written.
    """
    # The name carries the process: two processes may write the same cell, each with its own temporary file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)  # half a file on a full disk would take the room that is left
            raise
    except OSError as error:
        raise StorageError(f"cannot write {path}", got=error.strerror, fix=_FIX) from error


@contextmanager
def held(
    folder: Path, what: str = "run", fix: str = "wait for it, stop it, or start apart with --new"
) -> Iterator[None]:
    """Hold a folder for this process alone; the system lets go of it when the process ends, however it ends.

    Parameters
    ----------
    folder : Path
        It exists.
    what : str
        What is kept there, for the message.
    fix : str
        What to do when another process holds it.

    Raises
    ------
    RunError
        If another process holds it; the message names that one.
    StorageError
        If the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    owner, lock = folder / ".owner", FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        holder = owner.read_text() if owner.is_file() else "another process"
        raise RunError(f"the {what} {folder} is in use", got=holder, fix=fix) from None
    except OSError as error:
        raise StorageError(f"cannot write to {folder}", got=error.strerror, fix=_FIX) from error
    try:
        write_atomically(owner, f"process {os.getpid()} on {platform.node()} since {utc_now()}".encode())
        yield
    finally:
        lock.release()


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written in a folder and one level below; only for who holds it."""
    for left in (*folder.glob(".*.tmp"), *folder.glob("*/.*.tmp")):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def utc_now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
