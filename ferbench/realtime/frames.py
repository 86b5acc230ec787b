"""The values that sources give: a :class:`Frame`, and the :class:`Source` that frames come from."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from ferbench.faces import Image

__all__ = ["Frame", "Source"]


@dataclass(frozen=True)
class Frame:
    """One frame of a stream.

    Attributes
    ----------
    index : int
        Position in the source, from 0; frames that were dropped or unreadable leave a gap.
    t_ms : float or None
        Milliseconds from the start: of the container for files, of the clock for cameras; None for photographs.
    image : (H, W, 3) or (H, W) uint8
        RGB or gray.
    source : str
        The file, address or camera it comes from.
    captured_s : float
        When it came from the device or the decoder, by ``time.perf_counter``; now by default.
    """

    index: int
    t_ms: float | None
    image: Image = field(repr=False)
    source: str
    captured_s: float = field(default_factory=time.perf_counter, compare=False)


class Source(ABC):
    """Frames, one after the other. Iterate it once, inside ``with``: the device is free again afterwards.

    Attributes
    ----------
    name : str
        What the user called it.
    fps : float or None
        Frames a second, where known.
    is_live : bool
        True for cameras and other senders that do not wait: of them only the newest frame is given.
    unreadable : int
        Frames (or photographs of a folder) that could not be decoded so far.
    dropped : int
        Frames of a live source that were replaced by a newer one before anybody took them.
    trouble : str
        Why no frame comes at the moment; empty while all is well.
    """

    name: str
    fps: float | None = None
    is_live = False
    unreadable = 0
    dropped = 0
    trouble = ""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Give the frames in order."""

    def close(self) -> None:  # noqa: B027  (sources without a device have nothing to free)
        """Free the device or file; may be called more than once."""

    def interrupt(self) -> None:  # noqa: B027  (only sources that wait have anything to end)
        """End an iteration that waits for a frame. Called from signal handlers: it sets a flag and takes no lock."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
