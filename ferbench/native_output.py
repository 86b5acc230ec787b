"""What native code prints past Python, held back from the terminal."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ferbench.errors import FerbenchError

__all__ = ["output_held_back"]

# File descriptors belong to the whole process: who restored them while another thread still held them would restore
# that thread's file.
_lock = threading.RLock()


@contextmanager
def output_held_back(*numbers: int, is_noise: Callable[[bytes], bool]) -> Iterator[None]:
    """Keep lines that native code writes from the terminal; the others come out on stderr at the end.

    The file descriptors themselves move, since native code does not ask Python. All lines come out where the block
    fails, unless its error says in one line what is wrong. One thread at a time; what others write meanwhile is held
    back like the rest.

    Parameters
    ----------
    *numbers : int
        File descriptors: 1 for stdout, 2 for stderr. If one of them is closed, nothing is held back.
    is_noise : callable
        Whether a line (bytes, with its end) is to be kept back.
    """
    with _lock:
        kept: list[tuple[int, int]] = []
        try:
            kept.extend((number, os.dup(number)) for number in numbers)
        except OSError:
            for _, copy in kept:
                os.close(copy)
            yield
            return
        with tempfile.TemporaryFile() as held:
            for number, _ in kept:
                os.dup2(held.fileno(), number)
            is_shown = False
            try:
                yield
            except FerbenchError:
                raise
            except BaseException:
                is_shown = True
                raise
            finally:
                for number, copy in kept:
                    os.dup2(copy, number)
                    os.close(copy)
                held.seek(0)
                for line in held:
                    if is_shown or not is_noise(line):
                        os.write(2, line)
