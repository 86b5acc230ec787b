"""Cameras and network streams: a thread that always holds the newest frame, so that what is shown is never stale.

OpenCV's ``VideoCapture`` queues frames: whoever is slower than the camera sees the past, later and later. Here a
thread empties that queue into a mailbox with one slot, and a newer frame replaces one that nobody took.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ferbench.errors import SourceError
from ferbench.faces import Image
from ferbench.realtime.frames import Frame, Source

__all__ = ["Capture", "LiveCapture", "as_rgb", "open_capture", "silent_opencv"]

_OPEN_TIMEOUT_MS = 10_000
_RETRIES = 4
_RETRY_PAUSE_S = 0.5
# After so many failed reads in a row the camera is taken for gone; a single bad frame is not worth a new connection.
_BAD_READS = 10
_POLL_S = 0.1


class Capture(Protocol):
    """What is used of ``cv2.VideoCapture``."""

    def isOpened(self) -> bool:  # noqa: N802
        """Whether frames can be read."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Whether there was a frame, and the frame, BGR."""
        ...

    def get(self, prop: int) -> float:
        """A property by OpenCV's number."""
        ...

    def release(self) -> None:
        """Free the device."""
        ...


def open_capture(target: int | str) -> Capture:
    """``cv2.VideoCapture`` of a camera index, or of a file or address; OpenCV and FFmpeg stay silent.

    Their own messages go past Python to the terminal and say less than the error that the caller raises.
    """
    import cv2

    with silent_opencv():
        if isinstance(target, int):
            camera: Capture = cv2.VideoCapture(target)
            return camera
        # A file takes no timeout: with one, FFmpeg asks the clock at every packet.
        options: list[int] = []
        if "://" in target:
            options = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC]
            options.append(_OPEN_TIMEOUT_MS)
        # Only FFmpeg: the image-sequence backend would read digits in the name of any file as a pattern.
        stream: Capture = cv2.VideoCapture(target, cv2.CAP_FFMPEG, options)
        return stream


@contextmanager
def silent_opencv() -> Iterator[None]:
    """Keep OpenCV and its FFmpeg from writing to the terminal past Python."""
    # Read by OpenCV when its FFmpeg backend starts; -8 is FFmpeg's AV_LOG_QUIET. A user's own setting wins.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def as_rgb(bgr: npt.NDArray[Any] | None) -> Image | None:
    """(H, W, 3) RGB of a frame as OpenCV gives it, or None where it holds no picture."""
    import cv2

    if bgr is None or bgr.size == 0 or bgr.dtype != np.uint8 or bgr.ndim != 3 or bgr.shape[2] != 3:
        return None
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


class _News(NamedTuple):
    """The newest frame: its number, its time, the picture, BGR, and when it came."""

    number: int
    t_ms: float
    bgr: npt.NDArray[np.uint8]
    captured_s: float


class LiveCapture(Source):
    """A camera or network stream, newest frame first and only.

    Parameters
    ----------
    name : str
        What the user called it.
    open_device : callable
        Opens the device; called again when it was lost.
    retries : int
        Attempts to open a lost device again before it is reported.
    retry_pause_s : float
        Seconds before the first attempt; before each further one twice as long.

    Raises
    ------
    SourceError
        At once if the device cannot be opened, and later, while iterating, if it was lost for good.
    """

    is_live = True

    def __init__(
        self,
        name: str,
        open_device: Callable[[], Capture],
        *,
        retries: int = _RETRIES,
        retry_pause_s: float = _RETRY_PAUSE_S,
    ) -> None:
        self.name = name
        self._open_device, self._retries, self._pause = open_device, retries, retry_pause_s
        self._capture = open_device()
        if not self._capture.isOpened():
            self._capture.release()
            raise SourceError(f"cannot open {name}", fix="check that it is there, and that no other program uses it")
        import cv2

        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(fps) if 0 < fps < 1000 else None
        self._news = threading.Condition()
        self._slot: _News | None = None
        self._lost = False
        self._stop = threading.Event()
        self._interrupted = False
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[Frame]:
        """Give the newest frame each time; wait where there is none yet."""
        if self._thread is None and not self._stop.is_set():
            self._thread = threading.Thread(target=self._pump, name=f"capture {self.name}", daemon=True)
            self._thread.start()
        while (taken := self._take()) is not None:
            image = as_rgb(taken.bgr)
            if image is None:
                self.unreadable += 1
                continue
            yield Frame(taken.number, taken.t_ms, image, self.name, taken.captured_s)
        if self._lost and not self._stop.is_set() and not self._interrupted:
            raise SourceError(
                f"{self.name} was lost, and {self._retries} attempts to open it again failed",
                fix="check its cable or network, then start again",
            )

    def close(self) -> None:
        """Stop the thread, which frees the device."""
        self._stop.set()
        if self._thread is None:
            self._capture.release()
        elif self._thread is not threading.current_thread():
            # A hung driver must not hang the user; the thread is a daemon and frees the device when it comes back.
            self._thread.join(timeout=3.0)

    def interrupt(self) -> None:
        """End the iteration within a tenth of a second."""
        self._interrupted = True

    def _take(self) -> _News | None:
        """The newest frame, or None when the source was closed or lost. Wakes up often, so that Ctrl-C is heard."""
        with self._news:
            while self._slot is None:
                if self._stop.is_set() or self._lost or self._interrupted:
                    return None
                self._news.wait(_POLL_S)
            taken, self._slot = self._slot, None
            return taken

    def _pump(self) -> None:
        """Read the device until told to stop or it is lost; the newest frame is in the slot."""
        index, bad, start = 0, 0, time.perf_counter()
        try:
            while not self._stop.is_set():
                ok, bgr = self._read()
                if ok and bgr is not None:
                    now = time.perf_counter()
                    self._put(_News(index, (now - start) * 1000, bgr, now))
                    index, bad = index + 1, 0
                    continue
                bad += 1
                if bad < _BAD_READS:
                    self._stop.wait(0.01)
                elif self._reopen():
                    bad = 0
                else:
                    break
        finally:
            self._capture.release()
            with self._news:
                self._lost = True
                self._news.notify_all()

    def _read(self) -> tuple[bool, Any]:
        """A frame of the device; an error of OpenCV's is a read that failed, as a driver's loss may be one."""
        import cv2

        try:
            return self._capture.read()
        except cv2.error:
            return False, None

    def _put(self, news: _News) -> None:
        with self._news:
            self.dropped += self._slot is not None
            self._slot = news
            self._news.notify()

    def _reopen(self) -> bool:
        self._capture.release()
        for attempt in range(self._retries):
            pause = self._pause * 2**attempt
            self.trouble = f"lost: attempt {attempt + 1} of {self._retries} to open it again in {pause:g} s"
            if self._interrupted or self._stop.wait(pause):
                return False
            self._capture = self._open_device()
            if self._capture.isOpened():
                self.trouble = ""
                return True
            self._capture.release()
        return False
