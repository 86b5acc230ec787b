"""Where frames come from: a camera, a video file, a network address, a folder of images, or the built-in faces.

Of files every frame is given; of cameras the newest only (:mod:`ferbench.realtime.capture`). What cannot be read is a
:class:`~ferbench.errors.SourceError` at once; a frame that is damaged costs that frame, and is counted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ferbench.errors import DataError, ParameterError, SourceError, UnknownNameError, suggestion
from ferbench.realtime.capture import Capture, LiveCapture, as_rgb, open_capture
from ferbench.realtime.frames import Frame, Source
from ferbench.specs import parse_spec

if TYPE_CHECKING:
    from ferbench.datasets.synthetic import StreamFrame

__all__ = [
    "VIDEO_SUFFIXES",
    "ImageFiles",
    "SourceSpec",
    "SyntheticStream",
    "VideoFile",
    "missing_file",
    "natural_order",
    "open_source",
]

SourceSpec = int | str | os.PathLike[str]
"""Camera index, path, address, or ``"synthetic"``."""

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
"""File name endings that are taken for videos when a folder is searched."""

# A damaged stretch of a video gives a few failed reads before the decoder is in step again (a keyframe is usually
# at most ten seconds away); without a limit, a file cut short would be read for ever.
_FAILED_READS = 300


def open_source(spec: SourceSpec | Source) -> Source:
    """Open a source of frames.

    Parameters
    ----------
    spec : int, str or path
        A camera's index; a video file; an address (``rtsp://``, ``http://``…); an image or a folder of images; or
        ``synthetic``, with parameters if need be: ``synthetic(n_faces=2)``.

    Raises
    ------
    SourceError
        If it is missing or cannot be read.
    """
    if isinstance(spec, Source):
        return spec
    if isinstance(spec, bool) or not isinstance(spec, int | str | os.PathLike):
        raise ParameterError(
            "not a source",
            got=f"a value of type {type(spec).__name__}",
            expected="a camera index, a path or an address",
        )
    text = os.fspath(spec) if not isinstance(spec, int) else str(spec)
    if not text:
        raise SourceError("no source", got="an empty text", expected="a camera index, a path or an address")
    if isinstance(spec, os.PathLike) or (os.path.exists(text) and not text.isdigit()):
        return _open_path(Path(text))
    if re.fullmatch(r"-?[0-9]{1,4}", text):
        if int(text) < 0:
            raise SourceError("no such camera", got=text, expected="an index from 0")
        if not isinstance(spec, int) and os.path.exists(text):
            raise SourceError(f"{text} is a camera's index and a file", fix=f"write ./{text} for the file")
        return LiveCapture(f"camera {int(text)}", partial(open_capture, int(text)))
    if re.match(r"synthetic\s*(\(|$)", text):
        return SyntheticStream(text)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        return _open_address(text)
    return _open_path(Path(text))


def _open_path(path: Path) -> Source:
    if path.is_dir():
        return ImageFiles.of_folder(path)
    if not path.exists():
        raise missing_file(path)
    from ferbench.datasets.decode import IMAGE_SUFFIXES

    if path.suffix.lower() in IMAGE_SUFFIXES and path.suffix.lower() != ".gif":  # a GIF may well be an animation
        return ImageFiles([path], name=str(path))
    return VideoFile(path)


def missing_file(path: Path) -> SourceError:
    """The error for a path that is not there, with a hint at a file of nearly that name."""
    if path.parent.is_dir():
        hint = suggestion(path.name, [entry.name for entry in path.parent.iterdir()])
    else:
        hint = f"there is no folder {path.parent} either"
    return SourceError(f"no such file or folder: {path}", fix=hint)


def _open_address(address: str) -> Source:
    import cv2

    capture = open_capture(address)
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"cannot open {address}", fix="check the address and that the sender is running")
    # A sender of finite length (a clip on a web server) waits for its reader; a live one has no number of frames.
    if capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0:
        return VideoFile(address, capture)
    capture.release()
    return LiveCapture(address, partial(open_capture, address))


class VideoFile(Source):
    """Every frame of a video, with the container's times.

    Parameters
    ----------
    path : path or str
        The file, or its address.
    capture : Capture, optional
        The video, opened already.

    Raises
    ------
    SourceError
        If the file is empty, is not a video, or holds no frame that can be decoded.
    """

    def __init__(self, path: SourceSpec, capture: Capture | None = None) -> None:
        import cv2

        self.name = str(path)
        if capture is None:
            _refuse_other_files(Path(self.name))
            capture = open_capture(self.name)
        self._capture = capture
        self._declared = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(fps) if 0 < fps < 1000 else None
        self._position = 0
        self._last_t_ms = -1.0
        self._first = self._next()
        if self._first is None:
            self.close()
            raise SourceError(
                f"no frame of {self.name} can be decoded",
                expected="a video that FFmpeg reads (mp4, avi, mkv, webm, ...)",
                fix="check that it is complete and plays elsewhere",
            )

    def __iter__(self) -> Iterator[Frame]:
        """Give every frame that can be decoded."""
        frame, self._first = self._first, None
        read = 0
        while frame is not None:
            read += 1
            yield frame
            frame = self._next()
        # Where a decoder steps over damage in silence, only the container's count tells; one frame fewer than
        # declared is usual in containers that store a duration instead of a count.
        missing = self._declared - read
        self.unreadable = max(self.unreadable, missing if missing > 1 else 0)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _next(self) -> Frame | None:
        """The next frame that can be decoded, or None at the end."""
        import cv2

        for failed in range(_FAILED_READS):
            ok, bgr = self._capture.read()
            image = as_rgb(bgr) if ok else None
            if image is not None:
                self.unreadable += failed
                index = self._position + failed
                self._position = index + 1
                return Frame(index, self._time(self._capture.get(cv2.CAP_PROP_POS_MSEC)), image, self.name)
            if self._position + failed + 1 >= self._declared:
                return None
        return None

    def _time(self, t_ms: float) -> float | None:
        """The container's time where it advances; some have none, and OpenCV then says 0 for every frame."""
        if t_ms <= self._last_t_ms:
            return None
        self._last_t_ms = t_ms
        return float(t_ms)


def _refuse_other_files(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise SourceError(f"cannot open {path}", got=error.strerror) from error
    if not head:
        raise SourceError(f"{path} is empty", got="0 bytes", expected="a video")
    # FFmpeg renders a text file as a film of a terminal, and follows the addresses in playlists; every container of
    # video has zero bytes in its header.
    if b"\0" not in head:
        raise SourceError(f"{path} is not a video", expected="mp4, avi, mkv, webm, ...")


class ImageFiles(Source):
    """Photographs as frames, without times.

    Parameters
    ----------
    paths : sequence of path
        Image files.
    name : str
        What the user called them.
    on_unreadable : callable, optional
        Called with the error of each image that cannot be read; they are counted in any case.

    Raises
    ------
    SourceError
        While iterating: if none of them can be read.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        name: str,
        on_unreadable: Callable[[DataError | SourceError], None] | None = None,
    ) -> None:
        self.name, self._paths, self._on_unreadable = name, list(paths), on_unreadable

    @classmethod
    def of_folder(cls, folder: Path) -> ImageFiles:
        """The images of a folder and its subfolders, ``frame9`` before ``frame10``."""
        from ferbench.datasets.decode import is_image_name

        found = [path for path in folder.rglob("*") if is_image_name(path.name) and path.is_file()]
        if not found:
            raise SourceError(f"no image in {folder}", expected="files such as .jpg or .png, in any depth")
        return cls(sorted(found, key=natural_order), name=str(folder))

    def __iter__(self) -> Iterator[Frame]:
        """Give every image that can be read."""
        from ferbench.datasets.decode import read_image

        last: DataError | SourceError | None = None
        for index, path in enumerate(self._paths):
            try:
                image = read_image(path)
            except (DataError, SourceError) as error:
                self.unreadable += 1
                last = error
                if self._on_unreadable is not None:
                    self._on_unreadable(error)
                continue
            yield Frame(index, None, image, str(path))
        if last is not None and self.unreadable == len(self._paths):
            if len(self._paths) == 1:
                raise last
            raise SourceError(f"none of the {len(self._paths)} images of {self.name} can be read", got=last)


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """Sort key under which ``frame9.png`` comes before ``frame10.png``."""
    parts = re.split(r"([0-9]+)", str(path).lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


class SyntheticStream(Source):
    """The built-in generator's faces as a video.

    Parameters
    ----------
    name : str
        What the user called it: ``synthetic`` or ``synthetic(n_faces=2, seconds=30)``, with any parameter of
        :func:`ferbench.datasets.synthetic.synthetic_stream`.

    Raises
    ------
    UnknownNameError, ParameterError
        For a parameter that the generator does not have, or a value that it cannot take.
    """

    def __init__(self, name: str) -> None:
        import inspect

        from ferbench.datasets.synthetic import synthetic_stream

        self.name = name
        params = dict(parse_spec(name).params)
        known = inspect.signature(synthetic_stream).parameters
        for key, value in params.items():
            if key not in known:
                raise UnknownNameError("parameter of source 'synthetic':", key, known)
            kind = type(known[key].default)
            if not isinstance(value, (int, float) if kind is float else kind):
                raise ParameterError(f"{key} of a synthetic stream", got=repr(value), expected=kind.__name__)
        self.fps = float(params.get("fps", known["fps"].default))
        self._frames: Iterator[StreamFrame] = synthetic_stream(**params)

    def __iter__(self) -> Iterator[Frame]:
        """Give the frames as they are generated."""
        for frame in self._frames:
            yield Frame(frame.index, frame.t_ms, frame.image, self.name)
