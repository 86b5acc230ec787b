"""What was uploaded, told by its content: the first bytes say what a file is, its name says nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ferbench.realtime.web.problems import RequestError

if TYPE_CHECKING:
    from ferbench.faces import Image
    from ferbench.realtime.web.settings import Limits

__all__ = ["IMAGE_KINDS", "VIDEO_KINDS", "VideoFacts", "display_name", "kind_of", "probe_video", "read_upload"]

IMAGE_KINDS = ("bmp", "gif", "jpeg", "png", "tiff", "webp")
"""Images that are taken."""

VIDEO_KINDS = ("avi", "mkv", "mov", "mp4", "mpeg", "wmv")
"""Videos that are taken; WebM is a kind of mkv. Playlists, which name other files, are not among them."""

# The first 16 bytes; a dot is any byte.
_SIGNATURES = {
    "jpeg": rb"\xff\xd8\xff",
    "png": rb"\x89PNG\r\n\x1a\n",
    "gif": rb"GIF8[79]a",
    "bmp": rb"BM",
    "webp": rb"RIFF....WEBP",
    "tiff": rb"II\*\x00|MM\x00\*",
    "mov": rb"....(?:ftypqt  |moov|mdat|wide|free)",
    "mp4": rb"....ftyp",
    "mkv": rb"\x1aE\xdf\xa3",
    "avi": rb"RIFF....AVI ",
    "mpeg": rb"\x00\x00\x01[\xb3\xba]",
    "wmv": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
}
HEAD_BYTES = 16


@dataclass(frozen=True)
class VideoFacts:
    """What a video's header says: pixels, frames a second, and number of frames (None where it does not say)."""

    width: int
    height: int
    fps: float | None
    n_frames: int | None


def kind_of(head: bytes) -> str | None:
    """What the first 16 bytes of a file say that it is; None for everything that is not taken.

    Examples
    --------
    >>> kind_of(b"GIF89a"), kind_of(b"#EXTM3U")
    ('gif', None)
    """
    for kind, pattern in _SIGNATURES.items():
        if re.match(pattern, head[:HEAD_BYTES], re.DOTALL):
            return kind
    return None


def display_name(name: str | None, otherwise: str) -> str:
    """A client's file name as text for tables: its last part, letters and digits; never a place to write to.

    A leading sign that a spreadsheet would take for a formula goes too.

    Examples
    --------
    >>> display_name("../../etc/pass wd.mp4", "video"), display_name("=1+1", "video"), display_name(None, "video")
    ('pass wd.mp4', '1_1', 'video')
    """
    last = re.split(r"[/\\]", name or "")[-1]
    text = re.sub(r"[^\w .()-]", "_", last).strip(" ._-")[:80]
    return text or otherwise


def check_kind(head: bytes, expected: tuple[str, ...]) -> str:
    """The kind of an upload, which must be among those expected."""
    kind = kind_of(head)
    if kind in expected:
        return str(kind)
    wanted = ", ".join(name.upper() for name in expected)
    if not head:
        raise RequestError(422, "the upload is empty", got="0 bytes", expected=wanted)
    hint = None
    if kind is not None:
        hint = "post photographs to /api/v1/predict and videos to /api/v1/videos"
    raise RequestError(415, "this content is not taken here", got=kind or "something else", expected=wanted, fix=hint)


def read_upload(content: bytes, name: str, *, max_pixels: int, kinds: tuple[str, ...] = IMAGE_KINDS) -> Image:
    """Decode an uploaded photograph; its size is read in its header, and refused before anything is decoded.

    Raises
    ------
    RequestError
        If it is none of the kinds.
    ImageError
        If it is damaged or too large.
    """
    from ferbench.datasets.decode import read_image

    check_kind(content[:HEAD_BYTES], kinds)
    return read_image(content, name=name, max_pixels=max_pixels)


def probe_video(path: Path, name: str, limits: Limits) -> VideoFacts:
    """Read a video's header and refuse what is too large or too long.

    Raises
    ------
    RequestError
        If it cannot be opened, or goes beyond a limit.
    """
    import cv2

    from ferbench.realtime.capture import open_capture

    capture = open_capture(str(path))
    try:
        if not capture.isOpened():
            raise RequestError(422, f"{name} cannot be read", fix="check that it is complete and plays elsewhere")
        width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        fps, n_frames = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    finally:
        capture.release()
    facts = VideoFacts(width, height, fps if 0 < fps < 1000 else None, n_frames if n_frames > 0 else None)
    check_frame_size(width, height, name, limits)
    if facts.n_frames is not None:
        check_length(facts.n_frames, facts.n_frames / facts.fps if facts.fps else None, name, limits)
    return facts


def check_frame_size(width: int, height: int, name: str, limits: Limits) -> None:
    """Refuse frames that are too large."""
    if width * height > limits.video_pixels:
        raise RequestError(
            413,
            f"the frames of {name} are too large",
            got=f"{width}×{height}",
            expected=f"up to {limits.video_pixels / 1e6:.1f} million pixels",
        )


def check_length(n_frames: int, seconds: float | None, name: str, limits: Limits) -> None:
    """Refuse videos that are too long."""
    if n_frames > limits.video_frames or (seconds or 0) > limits.video_seconds:
        raise RequestError(
            413,
            f"{name} is too long",
            got=f"{n_frames} frames" + (f", {seconds:.0f} s" if seconds is not None else ""),
            expected=f"up to {limits.video_frames} frames and {limits.video_seconds} s",
            fix="upload a part of it, or use ferbench predict, which has no such limit",
        )
