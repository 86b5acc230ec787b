"""Pipelines of known behaviour for the latency worker, which loads them by ``worker_pipelines:<function>``.

They stand in for saved pipelines only: worker, process, clock and files are the real ones.
"""

from __future__ import annotations

import gc
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ferbench.errors import ModelFileError


class Fake:
    """Calls ``work(images)`` and reports it as the classify stage, one face a frame."""

    def __init__(self, work: Callable[[Any], None], *, faces: int = 1) -> None:
        self.work, self.faces = work, faces

    def process(self, images: Any, *, detector_bypassed: bool = False) -> Any:
        start = time.perf_counter_ns()
        self.work(images)
        times = {"classify": time.perf_counter_ns() - start}
        return SimpleNamespace(faces=range(self.faces * len(images)), probabilities=None, times_ns=times)


def spend(milliseconds: float) -> None:
    """Take exactly that long: sleep for most of it, since sleeping overshoots by the kernel's timer slack."""
    end = time.perf_counter_ns() + int(milliseconds * 1e6)
    while (left := end - time.perf_counter_ns()) > 0:
        if left > 1_000_000:
            time.sleep((left - 800_000) / 1e9)


def five_ms(path: str, **_: Any) -> Fake:
    return Fake(lambda images: spend(5 * len(images)))


def instant(path: str, **_: Any) -> Fake:
    return Fake(lambda images: None)


def slow_start(path: str, **_: Any) -> Fake:
    """100 ms for each of the first ten calls."""
    calls = []

    def work(images: Any) -> None:
        calls.append(1)
        spend(100 if len(calls) <= 10 else 0.2)

    return Fake(work)


def remembers(path: str, **_: Any) -> Fake:
    """4 ms for a frame not seen before, nothing for one that it remembers."""
    seen: set[bytes] = set()

    def work(images: Any) -> None:
        for image in images:
            if image.tobytes() not in seen:
                spend(4)
                seen.add(image.tobytes())

    return Fake(work)


def hashes_in_threads(path: str, **_: Any) -> Fake:
    """Keeps eight threads at work outside the interpreter's lock, each call anew."""
    data = bytes(2**22)

    def work(images: Any) -> None:
        threads = [threading.Thread(target=hashlib.sha256, args=(data,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return Fake(work)


def leaves_threads(path: str, **_: Any) -> Fake:
    """Starts a thread in every twentieth call, which sleeps and never ends."""
    calls = count()

    def work(images: Any) -> None:
        if next(calls) % 20 == 19:
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()

    return Fake(work)


def wants_bypass(path: str, **_: Any) -> Fake:
    """Finds a face only where the detector is bypassed; always says that it took its time to detect."""

    class Detecting(Fake):
        def process(self, images: Any, *, detector_bypassed: bool = False) -> Any:
            self.faces = int(detector_bypassed)
            result = super().process(images)
            result.times_ns["detect"] = 1000
            return result

    return Detecting(lambda images: None)


def wants_no_collection(path: str, **_: Any) -> Fake:
    """Takes 3 ms a call while the garbage collector is on."""
    return Fake(lambda images: spend(3 if gc.isenabled() else 0.1))


def slow_import(path: str, **_: Any) -> Fake:
    """0.4 s of importing inside 0.2 s of other loading, and 0.3 s of importing in the first call."""
    import slow_module  # written by the test

    time.sleep(0.2)

    def work(images: Any) -> None:
        import slow_module_of_first_call

        assert slow_module_of_first_call

    assert slow_module
    return Fake(work)


def uses_blas(path: str, **_: Any) -> Fake:
    import cv2
    import numpy as np

    assert cv2

    return Fake(lambda images: np.dot(np.ones((8, 8)), np.ones((8, 8))))


def takes_memory(path: str, **_: Any) -> Fake:
    """Holds 200 MiB of its own."""
    import numpy as np

    block = np.ones(200 * 2**20, np.uint8)
    return Fake(lambda images: block[:1].sum())


def hangs(path: str, **_: Any) -> Fake:
    """Starts a child, whose process id it writes down, and never returns."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(path, "child.pid").write_text(str(child.pid))
    time.sleep(600)
    raise AssertionError


def waits(path: str, **_: Any) -> Fake:
    """Writes its process id down, and never returns."""
    Path(path, "worker.pid").write_text(str(os.getpid()))
    time.sleep(600)
    raise AssertionError


def crashes(path: str, **_: Any) -> Fake:
    def work(images: Any) -> None:
        raise ZeroDivisionError("nobody expects this")

    return Fake(work)


def segfaults(path: str, **_: Any) -> Fake:
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def damaged(path: str, **_: Any) -> Fake:
    raise ModelFileError("model.skops is damaged", got="another sha256", fix="export it again")
