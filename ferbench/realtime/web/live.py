"""The server's own camera (or file, or drawn faces): one run, which every page that wants to may watch.

It is switched on by a request that only the page itself can make, and off when nobody watches.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from ferbench.errors import FerbenchError, SourceError
from ferbench.faces import Image
from ferbench.realtime import FrameResult, LiveSummary, Source, draw_overlay, open_source
from ferbench.realtime.sources import SourceSpec
from ferbench.realtime.web.models import Model
from ferbench.realtime.web.problems import RequestError

__all__ = ["BOUNDARY", "LiveView"]

BOUNDARY = "frame"
_BORDER = f"--{BOUNDARY}\r\n".encode()
_JPEG_QUALITY = 80
_POLL_S = 0.25
_LONGEST_WAIT_S = 1.0  # in a file with long gaps, a stop is heard within this time


class LiveView:
    """A source, processed while it is watched.

    Parameters
    ----------
    spec : SourceSpec or None
        What to watch; None is nothing.
    smooth : str
        Smoothing over the frames.
    viewers : int
        How many may watch at a time.
    unwatched_s : float
        The source is freed when nobody has watched for so long.
    """

    def __init__(self, spec: SourceSpec | None, *, smooth: str, viewers: int, unwatched_s: float) -> None:
        self.spec, self._smooth = spec, smooth
        self._limit, self._unwatched_s = viewers, unwatched_s
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._source: Source | None = None
        self._stop = False
        self._closed = False
        self._starting = threading.Lock()
        self._model: Model | None = None
        self._viewers = 0
        self._watched = 0.0
        self._newest: tuple[int, bytes] = (0, b"")
        self._result: FrameResult | None = None
        self._summary = LiveSummary()
        self._error: str | None = None

    def start(self, model: Model) -> None:
        """Switch the source on, or change the pipeline of a run.

        Raises
        ------
        RequestError
            If the server has no source, or it cannot be opened.
        """
        spec = self._check_source()
        with self._starting:
            self._model = model
            if self._is_running() or self._closed:
                return
            if self._thread is not None:
                self._thread.join()
            try:
                source = open_source(spec)
            except SourceError as error:
                raise RequestError(503, str(error), retry_after_s=5) from error
            with self._news:
                self._stop, self._error, self._summary, self._source = False, None, LiveSummary(), source
                self._newest, self._result, self._watched = (0, b""), None, time.monotonic()
                self._thread = threading.Thread(target=self._run, args=(source,), name="live view", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Switch the source off."""
        with self._news:
            self._stop = True
            if self._source is not None:
                self._source.interrupt()
            self._news.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5)

    def interrupt(self) -> None:
        """Ask for the end; called from a signal handler, so it takes no lock and waits for nobody."""
        self._closed = self._stop = True
        if self._source is not None:
            self._source.interrupt()

    def close(self) -> None:
        """Switch the source off for good."""
        self._closed = True
        self.stop()

    def state(self) -> tuple[bool, str | None, LiveSummary, FrameResult | None, str | None]:
        """Whether it runs, with which pipeline, counts so far, the newest result, and why it ended."""
        with self._news:
            name = self._model.name if self._model is not None else None
            return self._is_running(), name, self._summary, self._result, self._error

    def watch(self, is_gone: Callable[[], bool]) -> Viewer:
        """The run as parts of a ``multipart/x-mixed-replace``.

        Parameters
        ----------
        is_gone : callable
            Tells whether the viewer has left.

        Raises
        ------
        RequestError
            404 where there is no source, 409 where nothing runs, 503 where too many watch.
        """
        self._check_source()
        with self._news:
            if not self._is_running():
                raise RequestError(409, "the camera is off", fix="switch it on: POST /api/v1/live")
            if self._viewers >= self._limit:
                raise RequestError(503, "too many pages watch the camera", got=self._limit, retry_after_s=10)
            self._viewers += 1
        return Viewer(self, is_gone)

    def _check_source(self) -> SourceSpec:
        """What the source is, of a server that has one."""
        if self.spec is None:
            raise RequestError(404, "this server has no camera", fix="start it with --source 0")
        return self.spec

    def wait_newer(self, seen: int) -> tuple[int, bytes, bool]:
        """Number and JPEG of the newest frame, after a wait for one newer than ``seen``; whether more may come."""
        with self._news:
            self._news.wait_for(lambda: self._newest[0] > seen or not self._is_running(), timeout=_POLL_S)
            return (*self._newest, self._is_running())

    def leave(self) -> None:
        """One viewer less."""
        with self._news:
            self._viewers -= 1
            self._watched = time.monotonic()

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive() and not self._stop

    def _run(self, source: Source) -> None:
        """Frame by frame, until the end, a stop, or nobody watches."""
        model, processor = None, None
        try:
            with source:
                for frame in source:
                    wanted = self._model
                    if wanted is None or self._stop:
                        break
                    if processor is None or wanted is not model:
                        model, processor = wanted, wanted.processor(self._smooth)
                    self._put(wanted.process(processor, frame), source)
                    if self._is_unwatched():
                        break
                    self._keep_time(source, frame.t_ms)
        except FerbenchError as error:
            with self._news:
                self._error = str(error)
        finally:
            with self._news:
                self._stop = True
                self._news.notify_all()

    def _put(self, result: FrameResult, source: Source) -> None:
        self._summary.add(result, source)
        jpeg = encode_jpeg(draw_overlay(result, fps=self._summary.recent_fps, bars=False))
        with self._news:
            self._newest, self._result = (self._newest[0] + 1, jpeg), result
            self._news.notify_all()

    def _is_unwatched(self) -> bool:
        with self._news:
            return self._viewers == 0 and time.monotonic() - self._watched > self._unwatched_s

    def _keep_time(self, source: Source, t_ms: float | None) -> None:
        """A film runs no faster than life."""
        if source.is_live or t_ms is None:
            return
        early = t_ms / 1000 - self._summary.seconds
        if early > 0:
            with self._news:
                self._news.wait_for(lambda: self._stop, timeout=min(early, _LONGEST_WAIT_S))


class Viewer:
    """One who watches: an iterator over parts. A slow one gets the newest frame, not the next.

    Not a generator, because one that was never begun would not be told that it is closed, and its place would be lost.
    """

    def __init__(self, view: LiveView, is_gone: Callable[[], bool]) -> None:
        self._view, self._is_gone = view, is_gone
        self._seen, self._has_begun, self._is_closed = 0, False, False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while not self._is_gone():
            number, jpeg, runs = self._view.wait_newer(self._seen)
            if number > self._seen:
                self._seen = number
                opening = b"" if self._has_begun else _BORDER
                self._has_begun = True
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                # The next border at once: browsers show a part when they see where it ends.
                return opening + head + jpeg + b"\r\n" + _BORDER
            if not runs:
                break
        raise StopIteration

    def close(self) -> None:
        """Leave; may be called more than once."""
        if not self._is_closed:
            self._is_closed = True
            self._view.leave()


def encode_jpeg(image: Image) -> bytes:
    """JPEG of an RGB (H, W, 3) uint8 image."""
    import cv2

    ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not ok:
        raise SourceError("a frame cannot be encoded", got=f"{image.shape[1]}×{image.shape[0]}")
    return bytes(data.tobytes())
