"""Where results go: tidy CSV, JSON lines, and a video with the overlay. Each is complete and closed at any stop."""

from __future__ import annotations

import csv
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from ferbench.errors import ParameterError, ShapeError, SourceError
from ferbench.faces import Image
from ferbench.native_output import output_held_back
from ferbench.realtime.results import FrameResult, tidy_columns, tidy_rows

__all__ = ["CsvSink", "JsonLinesSink", "Sink", "VideoSink", "open_tables"]


class Sink(Protocol):
    """Takes results, one frame after the other."""

    def write(self, result: FrameResult) -> None:
        """Write one frame."""
        ...

    def close(self) -> None:
        """Complete the file; may be called more than once."""
        ...


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(f"cannot make the folder of {path}", got=error.strerror) from error


class _TextSink(ABC):
    """A text file, or standard output for ``-``, that is written frame by frame."""

    def __init__(self, path: str | os.PathLike[str], labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self._is_stdout = os.fspath(path) == "-"
        self._file: IO[str]
        if self._is_stdout:
            self._file = sys.stdout
            return
        _make_parent(Path(path))
        try:
            self._file = Path(path).open("w", encoding="utf-8", newline="")  # noqa: SIM115  (closed by close)
        except OSError as error:
            raise SourceError(f"cannot write {os.fspath(path)}", got=error.strerror) from error

    @abstractmethod
    def write(self, result: FrameResult) -> None:
        """Write the rows of one frame."""

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if not self._is_stdout:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class CsvSink(_TextSink):
    """The tidy table as CSV: UTF-8, a header, one row a face a frame, empty cells where there is nothing to say.

    Parameters
    ----------
    path : path or str
        File to write, or ``-`` for standard output.
    labels : sequence of str
        The pipeline's expressions, for the columns ``p_<label>``.
    """

    def __init__(self, path: str | os.PathLike[str], labels: Sequence[str]) -> None:
        super().__init__(path, labels)
        self._writer = csv.DictWriter(self._file, tidy_columns(self.labels), lineterminator="\n")
        self._writer.writeheader()

    def write(self, result: FrameResult) -> None:
        """Write the rows of one frame, through to the file: who looks, or kills the process, finds whole frames."""
        self._writer.writerows(tidy_rows(result, self.labels))
        self._file.flush()


class JsonLinesSink(_TextSink):
    """The tidy table as JSON lines: the columns of the CSV as keys, ``null`` where there is nothing to say."""

    def write(self, result: FrameResult) -> None:
        """Write the rows of one frame, through to the file."""
        columns = tidy_columns(self.labels)
        for row in tidy_rows(result, self.labels):
            self._file.write(json.dumps({name: row.get(name) for name in columns}, ensure_ascii=False) + "\n")
        self._file.flush()


def open_tables(
    labels: Sequence[str], *, csv: str | os.PathLike[str] | None = None, jsonl: str | os.PathLike[str] | None = None
) -> list[CsvSink | JsonLinesSink]:
    """The tables that were asked for, each in its form."""
    tables: list[CsvSink | JsonLinesSink] = []
    if csv is not None:
        tables.append(CsvSink(csv, labels))
    if jsonl is not None:
        tables.append(JsonLinesSink(jsonl, labels))
    return tables


def _why_not(path: Path) -> str | None:
    """Why a file cannot be written, which OpenCV's writer does not tell; None where it can."""
    try:
        path.open("ab").close()
    except OSError as error:
        return error.strerror
    return None


def _is_tag_message(line: bytes) -> bool:
    """Whether OpenCV (4.14) says, past its own log, that WebM has no number for VP8; it writes VP8 all the same."""
    return b"OpenCV: FFMPEG: " in line


def _n_frames(path: Path) -> int:
    """How many frames a film has; 0 where it cannot be played."""
    import cv2

    from ferbench.realtime.capture import silent_opencv

    with silent_opencv():
        film = cv2.VideoCapture(str(path))
        n = film.get(cv2.CAP_PROP_FRAME_COUNT) if film.isOpened() else 0
        film.release()
    return max(int(n), 0)


class VideoSink:
    """A video file of RGB frames, no audio. It can be played once it is closed.

    Parameters
    ----------
    path : path or str
        File to write: ``.webm`` (VP8) plays in browsers; ``.mp4``, ``.mov``, ``.avi`` and ``.mkv`` (MPEG-4 part 2) in
        players, and are written many times faster.
    fps : float
        Frames a second of the file.
    keep_time : bool
        For live sources, whose frames come irregularly: repeat or leave out frames so that the film runs as fast as
        life. Off, each frame written is one frame of the film.
    """

    SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")
    # A camera that was lost for minutes should not fill the disk with the picture it last saw.
    _LONGEST_REPEAT_S = 10.0

    def __init__(self, path: str | os.PathLike[str], fps: float, *, keep_time: bool = False) -> None:
        self._path, self._fps, self._keep_time = Path(path), fps, keep_time
        if self._path.suffix.lower() not in self.SUFFIXES:
            raise ParameterError(
                "cannot tell the form of the video from its name",
                got=str(path) or "''",
                expected=", ".join(self.SUFFIXES),
            )
        if not 0 < fps <= 1000:
            raise ParameterError("frames a second of a video are out of range", got=fps, expected="above 0, up to 1000")
        _make_parent(self._path)
        self._writer: Any = None
        self._size = (0, 0)
        self._start_ms: float | None = None
        self.n_frames = 0

    def write(self, image: Image, t_ms: float | None = None) -> None:
        """Write one frame.

        Parameters
        ----------
        image : (H, W, 3) uint8
            RGB. The first frame decides the size; others are fitted into it, with black borders.
        t_ms : float, optional
            Its time, for ``keep_time``.
        """
        if image.ndim != 3:
            raise ShapeError("a video frame has the wrong shape", got=image.shape, expected="(H, W, 3) RGB")
        if self._writer is None:
            self._open(image)
        frame = self._fitted(image)
        for _ in range(self._repeats(t_ms)):
            self._writer.write(frame)
            self.n_frames += 1

    def close(self) -> None:
        """Complete the file: before, players find no index in it.

        Raises
        ------
        SourceError
            If frames are missing from it, as on a full disk: OpenCV's writer fails without a word.
        """
        if self._writer is None:
            return
        self._writer.release()
        n_there = _n_frames(self._path)
        if n_there < self.n_frames - self.n_frames // 100:  # WebM and Matroska tell a duration, not a number
            raise SourceError(
                f"{self._path} is not complete",
                got=f"{n_there} of {self.n_frames} frames",
                fix="see whether the disk is full",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._writer is not None:
            self._writer.release()  # what went wrong first is what to say

    def _open(self, image: Image) -> None:
        import cv2

        from ferbench.realtime.capture import silent_opencv

        # MPEG-4 has even sides only, and OpenCV's writer cuts odd ones without a word; a border row is added instead.
        height, width = (side + side % 2 for side in image.shape[:2])
        self._size = (width, height)
        is_webm = self._path.suffix.lower() == ".webm"
        # H.264 and AV1 play in browsers too, but OpenCV's wheels (4.14) bring no encoder of theirs; VP9 takes longer.
        codec = cv2.VideoWriter.fourcc(*("VP80" if is_webm else "mp4v"))
        with silent_opencv(), output_held_back(2, is_noise=_is_tag_message) if is_webm else nullcontext():
            self._writer = cv2.VideoWriter(str(self._path), cv2.CAP_FFMPEG, codec, self._fps, self._size)
        if not self._writer.isOpened():
            raise SourceError(
                f"cannot write {self._path}",
                got=_why_not(self._path) or f"a frame of {width}×{height}, which the encoder does not take",
                fix="check that the folder can be written to" + (", or write .mp4" if is_webm else ""),
            )

    def _fitted(self, image: Image) -> npt.NDArray[np.uint8]:
        """(H, W, 3) BGR of the film's size."""
        import cv2

        width, height = self._size
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        extra_x, extra_y = width - bgr.shape[1], height - bgr.shape[0]
        if 0 <= extra_x <= 1 and 0 <= extra_y <= 1:
            if extra_x or extra_y:
                bgr = cv2.copyMakeBorder(bgr, 0, extra_y, 0, extra_x, cv2.BORDER_REPLICATE)
            return np.asarray(bgr, dtype=np.uint8)
        scale = min(width / bgr.shape[1], height / bgr.shape[0])
        inner = max(1, round(bgr.shape[1] * scale)), max(1, round(bgr.shape[0] * scale))
        canvas = np.zeros((height, width, 3), dtype=np.uint8)
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(bgr, inner, interpolation=cv2.INTER_AREA)
        return canvas

    def _repeats(self, t_ms: float | None) -> int:
        """How often a frame of this time is written, so that the film's clock follows."""
        if not self._keep_time or t_ms is None:
            return 1
        if self._start_ms is None:
            self._start_ms = t_ms
        due = int((t_ms - self._start_ms) / 1000 * self._fps) + 1
        limit = int(self._LONGEST_REPEAT_S * self._fps)
        missing = due - self.n_frames
        if missing > limit:
            # The gap is cut out of the film, and its clock starts anew behind it.
            self._start_ms = t_ms - (self.n_frames + limit - 1) / self._fps * 1000
            return limit
        return max(missing, 0)
