"""What native code prints past Python, held back from the terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from ferbench.errors import FerbenchError

__all__ = ["import_quietly", "output_held_back"]

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
    import tempfile

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


def import_quietly(name: str, *, is_noise: Callable[[bytes], bool]) -> None:
    """Once a module is imported, by whomever, keep noise that native code writes to stderr meanwhile from the terminal.

    Of a process that native code ends meanwhile, what it wrote is lost.

    Parameters
    ----------
    name : str
        A module that is not imported yet; nothing is done for one that is.
    is_noise : callable
        As of :func:`output_held_back`.
    """
    is_known = any(isinstance(one, _QuietFinder) and one.name == name for one in sys.meta_path)
    if name not in sys.modules and not is_known:
        sys.meta_path.insert(0, _QuietFinder(name, is_noise))


class _QuietFinder:
    """Finds one module as the other finders do, and has it run with its output held back."""

    def __init__(self, name: str, is_noise: Callable[[bytes], bool]) -> None:
        self.name, self._is_noise = name, is_noise
        self._is_looking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name or self._is_looking:
            return None
        self._is_looking = True
        try:
            spec = find_spec(fullname)
        finally:
            self._is_looking = False
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_quietly(module: ModuleType) -> None:
                sys.meta_path.remove(self)
                with output_held_back(2, is_noise=self._is_noise):
                    run(module)

            spec.loader.exec_module = run_quietly  # type: ignore[method-assign]
        return spec
