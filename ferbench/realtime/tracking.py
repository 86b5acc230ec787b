"""Identity of faces over time: overlap of boxes, and the best assignment of detections to tracks.

Each track's box is carried forward by its own velocity and matched with the new detections by the Hungarian method
(scipy) on their intersection over union. The velocity matters where faces cross: at that moment overlap with the
*previous* boxes would exchange the two.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ferbench.errors import ParameterError, ShapeError
from ferbench.faces import box_iou

__all__ = ["Track", "Tracker", "box_iou"]

Boxes = npt.NDArray[np.float32]


@dataclass
class Track:
    """One face over time.

    Attributes
    ----------
    id : int
        Identity, from 1, never used twice.
    box : (4,) float32
        Its newest box, xyxy in pixels: detected, or moved along with the picture.
    score : float
        The detector's confidence when the face was last detected.
    velocity : (2,) float32
        Pixels a frame, of the box's centre.
    age : int
        Frames since its box was last measured.
    missed : int
        Detections in a row that did not find the face; 0 while it is in sight.
    hits, misses : int
        Detections that found it, and those that missed it not long after one that did.
    detected : (4,) float32
        Its box when it was last detected.
    """

    id: int
    box: Boxes
    score: float
    velocity: Boxes = field(default_factory=lambda: np.zeros(2, np.float32))
    age: int = 0
    missed: int = 0
    hits: int = 0
    misses: int = 0
    detected: Boxes = field(init=False)

    def __post_init__(self) -> None:
        self.detected = self.box

    def expected_box(self, frames: int) -> Boxes:
        """(4,) float32: the box carried forward over ``frames`` frames."""
        if not frames:  # most often: a face in sight, which is where it was measured
            return self.box.copy()
        moved: Boxes = (self.box + np.tile(self.velocity, 2) * np.float32(frames)).astype(np.float32)
        return moved


class Tracker:
    """Gives each detected face a stable identity.

    Parameters
    ----------
    min_iou : float
        Least overlap with the expected box for a detection to be the same face.
    max_gap : int
        Detections in a row that may miss a face before its track ends.
    """

    # Of a new displacement against the velocity known: half and half follows a walking person within a few frames
    # and halves the jitter of a sliding-window detector's boxes.
    _VELOCITY_WEIGHT = 0.5
    # A face that is out of sight is expected to slow down, or its box would leave the picture during a gap.
    _GAP_DAMPING = 0.8
    # What is longer is no flicker of the detector: the face was hidden, or has left.
    _SHORT_GAP = 2
    # The longer a face is out of sight, the smaller its claim: one that passes in front must not become the hidden one.
    _CLAIM_IN_GAP = 0.95

    def __init__(self, *, min_iou: float = 0.2, max_gap: int = 10) -> None:
        if not 0 < min_iou <= 1:
            raise ParameterError("min_iou is out of range", got=min_iou, expected="above 0, up to 1")
        if max_gap < 0:
            raise ParameterError("max_gap is out of range", got=max_gap, expected="0 or more")
        self.min_iou, self.max_gap = min_iou, max_gap
        self._tracks: list[Track] = []
        self._next_id = 1

    @property
    def tracks(self) -> Sequence[Track]:
        """All tracks, those out of sight included."""
        return self._tracks

    def end(self, track: Track) -> None:
        """Forget a track."""
        self._tracks.remove(track)

    @property
    def alive(self) -> set[int]:
        """Identities that may still be found again."""
        return {track.id for track in self._tracks}

    def update(self, xyxy: npt.ArrayLike, score: npt.ArrayLike | None = None) -> list[int]:
        """Take the detections of the next frame.

        Parameters
        ----------
        xyxy : (N, 4)
            Boxes in pixels.
        score : (N,), optional
            The detector's confidence.

        Returns
        -------
        list of N int
            Identity of each box.
        """
        self.step()
        return self.match(xyxy, score)

    def step(self) -> None:
        """One frame passes."""
        for track in self._tracks:
            track.age += 1
            if track.missed:
                track.velocity *= self._GAP_DAMPING

    def move(self, track: Track, box: Boxes) -> None:
        """Take a (4,) box that was measured without a detection, in the frame of the last :meth:`step`."""
        self._measure(track, box)

    def match(
        self, xyxy: npt.ArrayLike, score: npt.ArrayLike | None = None, *, searched: Collection[int] | None = None
    ) -> list[int]:
        """Assign detections in the frame of the last :meth:`step`.

        Parameters
        ----------
        xyxy : (N, 4)
            Boxes in pixels.
        score : (N,), optional
            The detector's confidence.
        searched : collection of int, optional
            Identities near whose places was searched: only they can have been missed, and no new face begins. By
            default the whole picture was searched.

        Returns
        -------
        list of N int
            Identity of each box; 0 for one that belongs to none, where only places were searched.
        """
        boxes = np.asarray(xyxy, np.float32)
        if boxes.size == 0:
            boxes = boxes.reshape(0, 4)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ShapeError("boxes have the wrong shape", got=boxes.shape, expected="(N, 4)")
        scores = np.ones(len(boxes), np.float32) if score is None else np.asarray(score, np.float32)
        owner = self._match(boxes)
        ids = []
        for j, box in enumerate(boxes):
            track = owner.get(j)
            if track is None and searched is None:
                track = self._begin(box)
            if track is not None:
                self._see(track, box, float(scores[j]))
            ids.append(0 if track is None else track.id)
        seen = set(ids)
        for track in self._tracks:
            if track.id not in seen and (searched is None or track.id in searched):
                track.missed += 1
                track.misses += track.missed <= self._SHORT_GAP
        self._tracks = [track for track in self._tracks if track.missed <= self.max_gap]
        return ids

    def coast(self) -> tuple[list[int], Boxes, npt.NDArray[np.float32]]:
        """Go on one frame without detections.

        Returns
        -------
        ids : list of N int
            The faces that the last detection saw.
        boxes : (N, 4) float32
            Where they are expected to be now.
        scores : (N,) float32
            The detector's confidence when it last saw them.
        """
        self.step()
        seen = [track for track in self._tracks if track.missed == 0]
        boxes = np.array([track.expected_box(track.age) for track in seen], np.float32).reshape(-1, 4)
        return [track.id for track in seen], boxes, np.array([track.score for track in seen], np.float32)

    def _match(self, boxes: Boxes) -> dict[int, Track]:
        """Which detection continues which track: the assignment of largest total overlap, none below ``min_iou``."""
        if not self._tracks or not len(boxes):
            return {}
        from scipy.optimize import linear_sum_assignment

        expected = np.array([track.expected_box(track.age) for track in self._tracks])
        overlap = box_iou(expected, boxes)
        overlap[overlap < self.min_iou] = 0  # a forbidden pair must not outbid an allowed one
        missed = np.array([track.missed for track in self._tracks])
        claim = overlap * self._CLAIM_IN_GAP ** missed[:, None]
        rows, columns = linear_sum_assignment(claim, maximize=True)
        return {int(j): self._tracks[i] for i, j in zip(rows, columns, strict=True) if overlap[i, j] > 0}

    def _begin(self, box: Boxes) -> Track:
        track = Track(self._next_id, box.copy(), 0.0)
        self._next_id += 1
        self._tracks.append(track)
        return track

    def _see(self, track: Track, box: Boxes, score: float) -> None:
        self._measure(track, box)
        track.score, track.missed = score, 0
        track.hits, track.detected = track.hits + 1, track.box

    def _measure(self, track: Track, box: Boxes) -> None:
        if track.age:
            moved = ((box[:2] + box[2:]) - (track.box[:2] + track.box[2:])) / (2 * track.age)
            weight = np.float32(self._VELOCITY_WEIGHT)
            track.velocity = (weight * moved + (1 - weight) * track.velocity).astype(np.float32)
        track.box, track.age = box.copy(), 0
