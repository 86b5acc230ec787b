"""What the page's server is told when it starts, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ferbench.errors import ParameterError
from ferbench.realtime.defaults import DEFAULT_SMOOTHING, PAGE_PIPELINES
from ferbench.realtime.loop import PipelineSpec
from ferbench.realtime.sources import SourceSpec

__all__ = ["Limits", "Settings", "named_pipelines"]

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What one request, and all of them together, may cost. Seconds, bytes and pixels.

    Attributes
    ----------
    image_bytes, image_pixels : int
        Largest photograph; the pixels are read in the header, before anything is decoded.
    frame_bytes, frame_pixels : int
        Largest frame of a browser's camera.
    video_bytes, video_pixels, video_seconds, video_frames : int
        Largest video: file, frame, and length.
    waiting : int
        Photographs and camera frames at work or waiting for a pipeline; more are told to come again.
    sessions, session_idle_s : int
        Browser cameras at a time, and how long one may be silent before its place is given away.
    jobs, job_kept_s : int
        Videos that the server holds, finished ones included, and how long a finished one is kept.
    viewers, unwatched_s : int
        Pages that watch the server's camera, and how long it stays on when none does.
    """

    image_bytes: int = 20 * MIB
    image_pixels: int = 40_000_000
    frame_bytes: int = 2 * MIB
    frame_pixels: int = 1920 * 1080
    video_bytes: int = 200 * MIB
    video_pixels: int = 4096 * 2160
    video_seconds: int = 300
    video_frames: int = 18_000
    waiting: int = 8
    sessions: int = 8
    session_idle_s: int = 30
    jobs: int = 8
    job_kept_s: int = 900
    viewers: int = 4
    unwatched_s: int = 5


@dataclass(frozen=True)
class Settings:
    """What a server offers.

    Attributes
    ----------
    pipelines : mapping of str to PipelineSpec
        The pipelines to choose from, by the name that a client gives; the first is the default. A client never names
        a path.
    source : SourceSpec or None
        The server's own camera, file, address or ``synthetic``; None offers none.
    smooth : str
        Smoothing of streams, see :func:`ferbench.realtime.parse_smoothing`.
    detector : str or None
        The detector of all of them; None leaves each its own.
    device : "auto", "cpu" or "gpu"
        Where the classifiers run.
    is_local : bool
        Whether only this machine can reach the server: then only names of this machine are answered to.
    hosts : tuple of str
        Further names by which the server may be called.
    limits : Limits
    """

    pipelines: Mapping[str, PipelineSpec] = field(default_factory=lambda: {name: name for name in PAGE_PIPELINES})
    source: SourceSpec | None = 0
    smooth: str = DEFAULT_SMOOTHING
    detector: str | None = None
    device: str = "auto"
    is_local: bool = True
    hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)


def named_pipelines(specs: Sequence[str]) -> dict[str, str]:
    """Shipped names and folders of saved pipelines, by the name that a client gives: of a folder, its last part.

    Raises
    ------
    ParameterError
        Where two have the same name.

    Examples
    --------
    >>> named_pipelines(["tiny", "models/lbp"])
    {'tiny': 'tiny', 'lbp': 'models/lbp'}
    """
    named: dict[str, str] = {}
    for spec in specs:
        name = Path(spec).resolve().name if Path(spec).is_dir() else Path(spec).name
        if name in named:
            raise ParameterError(f"two pipelines are called {name}", got=spec, fix="rename one of the folders")
        named[name] = spec
    return named
