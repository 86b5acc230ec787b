"""Where the faces of a stream are: a detector in some frames, the motion of the picture in the others.

The whole picture is searched every so many frames, when nobody is in sight, when a face was lost, and more often for a
while after that. In between, boxes are carried along with the picture, and the detector looks only where it is needed:
near a face that it has just found for the first time, that moved or grew, whose motion could not be followed, that
another overlaps, or that it missed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ferbench.checks import is_integer
from ferbench.errors import ParameterError
from ferbench.faces import Faces, Image
from ferbench.realtime.defaults import DETECT_EVERY
from ferbench.realtime.motion import MedianFlow
from ferbench.realtime.places import SAME_PLACE, detect_near, overlap_of_smaller
from ferbench.realtime.tracking import Boxes, Track, Tracker

if TYPE_CHECKING:
    from ferbench.realtime.protocols import LivePipeline

__all__ = ["FaceFinder", "Found", "check_detect_every"]

Matrix = npt.NDArray[np.float32]

# Detections that make sure of a face, and how many it takes for each one that missed it: a false alarm flickers.
_SURE, _SURE_PER_MISS = 3, 3
# Detections in a row that may miss a face which is followed well, before it is no longer shown: detectors miss single
# frames of faces that are there.
_HOLD = 2
# Frames between two searches while somebody is missing: among so many who are in sight somebody nearly always is, and
# one more matters less.
_DETECT_EVERY_RESTLESS, _DETECT_EVERY_AMONG_MANY, _MANY = 3, 5, 3
# For how many frames somebody who was sure, or who was only suspected, is missing. Suspicions are mostly false alarms,
# and each search can raise another.
_RESTLESS_SURE, _RESTLESS_YOUNG = 30, 9
# A detector that found so many faces in the whole picture, but not in their place, and none there, is asked for the
# whole picture wherever there is doubt: it may see faces of a certain size only.
_PLACES_FAIL = 2
# What a box may have moved, in sides, and grown since it was last detected.
_MOVED, _GROWN = 0.5, 1.2


def check_detect_every(detect_every: object) -> None:
    """Raise ParameterError unless it is a number of frames from one search of the whole picture to the next."""
    if not is_integer(detect_every) or detect_every < 1:
        raise ParameterError("detect_every is out of range", got=repr(detect_every), expected="1 or more frames")


@dataclass
class Found:
    """Faces of one frame.

    Attributes
    ----------
    tracks : list of int
        Identity of each face.
    faces : Faces
    probabilities : (n, C) float32
        Of the first ``n`` faces, which the search of the whole picture has classified already.
    times_ns : dict of str to int
        Nanoseconds of each stage so far.
    """

    tracks: list[int]
    faces: Faces
    probabilities: Matrix
    times_ns: dict[str, int]


class FaceFinder:
    """Finds the faces of one stream, frame by frame.

    Parameters
    ----------
    pipeline : LivePipeline
        Detects.
    tracker : Tracker
        Keeps identities.
    detect_every : int
        Frames from one search of the whole picture to the next; 1 searches each frame and follows nothing.
    """

    def __init__(self, pipeline: LivePipeline, tracker: Tracker, detect_every: int = DETECT_EVERY) -> None:
        check_detect_every(detect_every)
        self._pipeline, self._tracker, self._detect_every = pipeline, tracker, detect_every
        self._flow = MedianFlow()
        self._since_scan = 0
        self._scan_next = True
        self._restless = _RESTLESS_YOUNG
        self._shown: set[int] = set()
        self._adrift: set[int] = set()
        self._points: dict[int, Matrix] = {}
        self._places_work, self._places_failed = False, 0

    def find(self, image: Image) -> Found:
        """The faces of the next frame."""
        start = time.perf_counter_ns()
        self._tracker.step()
        if self._detect_every > 1:
            self._flow.see(image)
            self._carry()
        self._since_scan += 1
        self._restless -= 1
        every = self._detect_every
        if self._restless > 0:
            every = min(every, _DETECT_EVERY_RESTLESS if len(self._shown) < _MANY else _DETECT_EVERY_AMONG_MANY)
        followed = time.perf_counter_ns()
        found = self._scan(image) if self._scan_next or self._since_scan >= every else self._look_again(image)
        times = found.times_ns
        # All that is neither detection nor classification is tracking.
        spent = sum(times.values())
        times["track"] = followed - start + max(time.perf_counter_ns() - followed - spent, 0)
        return found

    def _carry(self) -> None:
        """Move the boxes of the faces in sight along with the picture; the others go on by their velocity."""
        tracks = [track for track in self._tracker.tracks if track.id in self._shown]
        boxes = np.array([track.box for track in tracks], np.float32).reshape(-1, 4)
        for track, box in zip(tracks, self._flow.carry(boxes), strict=True):
            if box is None:
                self._adrift.add(track.id)
            else:
                self._tracker.move(track, box)

    def _scan(self, image: Image) -> Found:
        """Search the whole picture."""
        self._since_scan = 0
        done = self._pipeline.process([image])
        ids = self._tracker.match(done.faces.xyxy, done.faces.score)
        self._remember(ids, done.faces, is_whole=True)
        times = {stage: int(ns) for stage, ns in done.times_ns.items() if stage != "total"}
        found = Found(ids, done.faces, done.probabilities, times)
        if self._detect_every > 1:
            # A picture that stands in for a missed face says nothing about the next frame.
            is_stand_in = bool(len(ids)) and not done.faces.score.any()
            self._add_followed(found, image, detected=set(ids))
            self._scan_next |= is_stand_in
        return found

    def _look_again(self, image: Image) -> Found:
        """Search where there is doubt, nowhere if there is none."""
        doubtful, covered = self._doubtful()
        if doubtful and self._places_failed == _PLACES_FAIL:
            return self._scan(image)
        before = time.perf_counter_ns()
        faces = detect_near(self._pipeline, image, _boxes(doubtful))
        spent = time.perf_counter_ns() - before if doubtful else 0
        self._places_work |= bool(len(faces))
        if doubtful and not self._places_work:
            found = self._scan(image)
            found.times_ns["detect"] += spent
            seen = found.tracks[: len(found.probabilities)]
            self._places_failed += any(track.id in seen for track in doubtful)
            return found
        ids = self._tracker.match(faces.xyxy, faces.score, searched={track.id for track in doubtful + covered})
        self._remember(ids, faces, is_whole=False)
        detected = set(ids)
        nobody = Faces.empty(1)
        found = Found([], nobody, np.zeros((0, len(self._pipeline.labels)), np.float32), {"detect": spent})
        self._add_followed(found, image, detected)
        if not found.tracks and getattr(self._pipeline, "on_no_face", "skip") != "skip":
            # The pipeline makes more of a picture without a face than an empty row, if it sees all of it.
            found = self._scan(image)
            found.times_ns["detect"] = found.times_ns.get("detect", 0) + spent
        return found

    def _doubtful(self) -> tuple[list[Track], list[Track]]:
        """Tracks that the detector should look for, and those that it cannot see: lost, and another in their place."""
        doubtful: list[Track] = []
        covered: list[Track] = []
        tracks = list(self._tracker.tracks)
        if not tracks:
            return doubtful, covered
        overlap = overlap_of_smaller(boxes := _boxes(tracks), boxes)
        np.fill_diagonal(overlap, 0)
        overlap[:, [track.missed > _HOLD for track in tracks]] = 0  # who is hidden hides nobody
        for track, is_overlapped in zip(tracks, overlap.max(axis=1) > SAME_PLACE, strict=True):
            if is_overlapped and track.missed > _HOLD:
                covered.append(track)
            elif is_overlapped or track.missed or not _is_sure(track) or track.id in self._adrift or _changed(track):
                doubtful.append(track)
        return doubtful, covered

    def _add_followed(self, found: Found, image: Image, detected: set[int]) -> None:
        """Add the faces that are shown without being classified yet; note what is lost."""
        for track in list(self._tracker.tracks):
            if track.hits < _SURE and track.missed > track.hits:
                self._tracker.end(track)
                self._restless = max(self._restless, _RESTLESS_YOUNG)
        shown = [track for track in self._tracker.tracks if self._is_shown(track, detected, image)]
        self._adrift &= {track.id for track in self._tracker.tracks}
        self._points = {track.id: self._points[track.id] for track in self._tracker.tracks if track.id in self._points}
        ids = {track.id for track in shown}
        self._scan_next = bool(self._shown - ids) or not ids
        if self._shown - ids:
            self._restless = _RESTLESS_SURE
        self._shown = ids
        known = set(found.tracks)
        more = [track for track in shown if track.id not in known]
        if more:
            found.tracks += [track.id for track in more]
            found.faces = _joined(found.faces, self._as_faces(more))

    def _is_shown(self, track: Track, detected: set[int], image: Image) -> bool:
        if track.id in detected:
            return True
        if track.id in self._adrift or not _is_sure(track) or track.missed > _HOLD:
            return False
        box = track.expected_box(track.age)
        x, y = (box[:2] + box[2:]) / 2
        if not (0 <= x < image.shape[1] and 0 <= y < image.shape[0]):
            return False
        if not track.missed:
            return True
        others = [other for other in self._tracker.tracks if other is not track and not other.missed]
        return not others or bool(overlap_of_smaller(track.box, _boxes(others)).max() < SAME_PLACE)

    def _as_faces(self, tracks: Sequence[Track]) -> Faces:
        boxes, score = _boxes(tracks), np.array([track.score for track in tracks], np.float32)
        points = None
        if self._points:
            like = np.full_like(next(iter(self._points.values())), np.nan)
            # A face's landmarks move with its box, so that it stays aligned between two detections.
            at = [
                box[:2] + self._points.get(t.id, like) * (box[2:] - box[:2])
                for t, box in zip(tracks, boxes, strict=True)
            ]
            points = np.array(at, np.float32)
        return Faces(boxes, score, np.zeros(len(boxes), np.int64), 1, points)

    def _remember(self, ids: Sequence[int], faces: Faces, *, is_whole: bool) -> None:
        """What only a detection tells: that the face is where its box is, and its landmarks in sides of the box.

        The whole picture's landmarks stay until it is searched again: places are reduced, and YuNet sees the tilt of
        large faces only.
        """
        self._adrift -= set(ids)
        if faces.landmarks is None or self._detect_every == 1:
            return
        origin, side = faces.xyxy[:, None, :2], faces.xyxy[:, None, 2:] - faces.xyxy[:, None, :2]
        points = dict(zip(ids, (faces.landmarks - origin) / side, strict=True))
        self._points = self._points | points if is_whole else points | self._points


def _boxes(tracks: Sequence[Track]) -> Boxes:
    return np.array([track.expected_box(track.age) for track in tracks], np.float32).reshape(-1, 4)


def _is_sure(track: Track) -> bool:
    """Whether a face need not be looked for in every frame."""
    return track.hits >= max(_SURE, _SURE_PER_MISS * track.misses)


def _changed(track: Track) -> bool:
    """Whether a box moved or grew since its face was detected so much that the detector should look."""
    then, now = track.detected, track.expected_box(track.age)
    side, side_now = max(then[2] - then[0], 1.0), max(now[2] - now[0], 1.0)
    moved = float(np.abs((now[:2] + now[2:]) - (then[:2] + then[2:])).max()) / 2
    return moved > _MOVED * side or not 1 / _GROWN < side_now / side < _GROWN


def _joined(a: Faces, b: Faces) -> Faces:
    points = None
    if a.landmarks is not None or b.landmarks is not None:
        k = (a if a.landmarks is not None else b).landmarks.shape[1]  # type: ignore[union-attr]
        both = [f.landmarks if f.landmarks is not None else np.full((len(f), k, 2), np.nan, np.float32) for f in (a, b)]
        points = np.concatenate(both)
    index = np.zeros(len(a) + len(b), np.int64)
    return Faces(np.concatenate([a.xyxy, b.xyxy]), np.concatenate([a.score, b.score]), index, 1, points)
