"""The pipelines that a server offers, loaded once; one frame at a time goes through each."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ferbench.errors import ParameterError, UnknownNameError
from ferbench.realtime import Frame, FrameProcessor, FrameResult
from ferbench.realtime.loop import LivePipeline, PipelineSpec, load_live_pipeline
from ferbench.realtime.web.problems import RequestError

__all__ = ["Model", "Models"]


@dataclass(frozen=True)
class Model:
    """A pipeline and its name. Detectors and runtimes keep state in native memory, so that only one thread may be
    inside; between two frames the lock is free, and a long video holds up nobody's camera.
    """

    name: str
    pipeline: LivePipeline
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def labels(self) -> tuple[str, ...]:
        """Its expressions, in their order."""
        return tuple(self.pipeline.labels)

    @property
    def device(self) -> str:
        """Where its runtime runs it, and why; empty for one that does not tell."""
        return str(getattr(self.pipeline, "device", ""))

    def processor(self, smooth: str) -> FrameProcessor:
        """A fresh memory of faces for one stream."""
        return FrameProcessor(self.pipeline, smooth=smooth)

    def process(self, processor: FrameProcessor, frame: Frame) -> FrameResult:
        """The next frame of a stream, when it is its turn."""
        with self.lock:
            return processor.process(frame)


class Models:
    """The pipelines of a server, and who waits for them.

    Parameters
    ----------
    specs : mapping of str to PipelineSpec
        The pipelines by name; the first is the default.
    detector : str or None
        The detector of all of them; None leaves each its own.
    device : "auto", "cpu" or "gpu"
        Where they run.
    waiting : int
        Requests at work or waiting, all together.

    Raises
    ------
    ParameterError, ModelFileError, DeviceError
        If there is none, or one cannot be loaded: at the start, not at a user's first request.
    """

    def __init__(
        self, specs: Mapping[str, PipelineSpec], *, detector: str | None = None, device: str = "auto", waiting: int = 8
    ) -> None:
        if not specs:
            raise ParameterError("no pipeline to serve", expected="at least one")
        self._models = {
            name: Model(name, load_live_pipeline(spec, detector=detector, device=device))
            for name, spec in specs.items()
        }
        self._places = threading.BoundedSemaphore(waiting)
        self._waiting = waiting

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def __getitem__(self, name: str | None) -> Model:
        """The model of a name; the default for None."""
        if name is None:
            return next(iter(self))
        if name not in self._models:
            raise UnknownNameError("pipeline", name, self._models)
        return self._models[name]

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue; 503 where it is full, so that a crowd costs its own time and not the server's threads.

        Raises
        ------
        RequestError
            If as many requests as may are at work or waiting.
        """
        if not self._places.acquire(blocking=False):
            raise RequestError(
                503, "the server is busy", got=f"{self._waiting} requests at work", fix="try again", retry_after_s=1
            )
        try:
            yield
        finally:
            self._places.release()
