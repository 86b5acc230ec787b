"""Cameras of browsers: a memory of faces for each, one frame in flight at a time."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ferbench.faces import Image
from ferbench.realtime import Frame, FrameProcessor, FrameResult
from ferbench.realtime.web.models import Model
from ferbench.realtime.web.problems import RequestError

__all__ = ["Session", "Sessions"]


@dataclass
class Session:
    """One camera: its model, its tracks, and when it was last heard of."""

    id: str
    model: Model
    processor: FrameProcessor
    started: float
    heard: float
    n_frames: int = 0
    busy: threading.Lock = field(default_factory=threading.Lock, repr=False)


class Sessions:
    """The cameras at work.

    Parameters
    ----------
    limit : int
        At most so many.
    idle_s : float
        A camera that was silent for so long gives its place away.
    clock : callable
        Seconds, ascending.
    """

    def __init__(self, limit: int, idle_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._idle_s, self._clock = limit, idle_s, clock
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def open(self, model: Model, smooth: str) -> Session:
        """Start a session.

        Raises
        ------
        ParameterError
            For an unknown smoothing.
        RequestError
            503 if there are as many as may be.
        """
        processor = model.processor(smooth)
        now = self._clock()
        with self._lock:
            for silent in [s for s in self._sessions.values() if now - s.heard > self._idle_s]:
                del self._sessions[silent.id]
            if len(self._sessions) >= self._limit:
                raise RequestError(
                    503,
                    "all places for cameras are taken",
                    got=self._limit,
                    fix="close another page",
                    retry_after_s=int(self._idle_s),
                )
            session = Session(secrets.token_urlsafe(16), model, processor, now, now)
            self._sessions[session.id] = session
        return session

    def close(self, session_id: str) -> None:
        """End a session."""
        with self._lock:
            if self._sessions.pop(session_id, None) is None:
                raise _unknown()

    def process(self, session_id: str, read: Callable[[], Image]) -> FrameResult:
        """Name the expressions in the next frame of a session.

        Parameters
        ----------
        session_id : str
            Which camera.
        read : callable
            Gives the frame, (H, W, 3) uint8 RGB; called once it is known that the frame will be used.

        Raises
        ------
        RequestError
            404 for a session that is not there, 429 where the frame before is still at work.
        """
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None:
                raise _unknown()
            if not session.busy.acquire(blocking=False):
                raise RequestError(
                    429, "the frame before is still at work", fix="send one frame at a time", retry_after_s=1
                )
            session.heard = self._clock()
        try:
            frame = Frame(session.n_frames, (session.heard - session.started) * 1000, read(), "camera")
            result = session.model.process(session.processor, frame)
            session.n_frames += 1
            return result
        finally:
            session.heard = self._clock()
            session.busy.release()


def _unknown() -> RequestError:
    return RequestError(404, "there is no such session", fix="start a new one: POST /api/v1/sessions")
