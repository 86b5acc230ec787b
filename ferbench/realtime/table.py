"""Results as text for people: a table of 80 columns on standard output."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from ferbench.realtime.results import FrameResult

__all__ = ["TextTable"]

_NAME_WIDTH = 38


class TextTable:
    """The results as a table of 80 columns: a line for each face of a photograph, and for each stretch of a clip in
    which a face keeps its label.
    """

    _FORMAT = "{:<38} {:>19} {:>4} {:<9} {:>4}"

    def __init__(self) -> None:
        self._has_header = False
        self._open: dict[tuple[str, int], _Stretch] = {}
        self._source, self._is_faceless_clip = "", False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, result: FrameResult) -> None:
        """Take one frame; print what it ends."""
        if result.source != self._source:
            self._end_source()
            self._source, self._is_faceless_clip = result.source, result.t_ms is not None
        self._is_faceless_clip &= not result.faces
        if result.t_ms is None:
            for face in result.faces:
                self._print(result.source, _box_text(face.box), face.track, face.label, face.probability)
            if not result.faces:
                self._print(result.source, "no face", None, "", None)
            return
        seen = {(result.source, face.track): face for face in result.faces}
        for key, stretch in list(self._open.items()):
            now = seen.get(key)
            if now is None or now.label != stretch.label:
                self._end(key)
        for key, face in seen.items():
            stretch = self._open.setdefault(key, _Stretch(face.label, result.t_ms))
            stretch.add(result.t_ms, face.probability)

    def close(self) -> None:
        """Print what is still open."""
        self._end_source()
        sys.stdout.flush()

    def _end_source(self) -> None:
        for key in list(self._open):
            self._end(key)
        if self._is_faceless_clip:
            self._print(self._source, "no face", None, "", None)
            self._is_faceless_clip = False

    def _end(self, key: tuple[str, int]) -> None:
        stretch = self._open.pop(key)
        source, track = key
        times = f"{stretch.start_ms / 1000:.1f}-{stretch.end_ms / 1000:.1f} s"
        self._print(source, times, track, stretch.label, stretch.mean_probability)

    def _print(self, source: str, where: str, track: int | None, label: str, probability: float | None) -> None:
        if not self._has_header:
            self._has_header = True
            print(self._FORMAT.format("file", "box or time", "face", "label", "p").rstrip())
        name = source if len(source) <= _NAME_WIDTH else "…" + source[1 - _NAME_WIDTH :]
        sure = "" if probability is None else f"{probability:.2f}"
        face = "" if track is None else str(track)
        print(self._FORMAT.format(name, where, face, label, sure).rstrip())


class _Stretch:
    """Consecutive frames in which a face keeps its label."""

    def __init__(self, label: str, start_ms: float) -> None:
        self.label, self.start_ms, self.end_ms = label, start_ms, start_ms
        self._total, self._n = 0.0, 0

    def add(self, t_ms: float, probability: float) -> None:
        """One more frame."""
        self.end_ms = t_ms
        self._total += probability
        self._n += 1

    @property
    def mean_probability(self) -> float:
        """Mean probability of the label over the stretch."""
        return self._total / self._n


def _box_text(box: tuple[float, float, float, float]) -> str:
    left, top, right, bottom = (round(v) for v in box)
    return f"{right - left}x{bottom - top}+{left}+{top}"
