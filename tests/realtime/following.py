"""What following faces costs and finds, beside detecting in every frame: ``python tests/realtime/following.py``.

Both ways see the same frames of generated streams, in turn, in one process; what they find is held against the truth.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ferbench.datasets.synthetic import StreamFrame, synthetic_stream
from ferbench.faces import box_iou
from ferbench.pipelines import load_pipeline
from ferbench.realtime import Frame, FrameProcessor, FrameResult
from ferbench.realtime.defaults import DETECT_EVERY

STREAMS = {
    "one face": {"seed": 0},
    "one face, moving": {"seed": 5, "motion": 2.0},
    "one face, noise and flicker": {"seed": 1, "noise": 3.0, "flicker": 0.1},
    "three faces, moving": {"seed": 2, "n_faces": 3, "motion": 2.0, "noise": 4.0},
    "two faces that cross": {"seed": 1, "n_faces": 2, "crossing": True},
    "eight faces": {"seed": 0, "n_faces": 8},
}
FOUND, IN_SIGHT = 0.5, 0.5


@dataclass
class Score:
    """What one way of finding faces took and found."""

    ms: list[float] = field(default_factory=list)
    true: int = 0
    right: int = 0
    shown: int = 0
    hits: int = 0
    switches: int = 0
    who: dict[int, int] = field(default_factory=dict)

    def add(self, result: FrameResult, truth: StreamFrame, ms: float) -> None:
        """Count one frame: true faces of which half is in sight, found with half the box in common."""
        self.ms.append(ms)
        boxes = np.array([face.box for face in result.faces], np.float32).reshape(-1, 4)
        overlap = box_iou(truth.boxes, boxes)
        self.shown += len(boxes)
        if len(boxes):
            self.hits += int((overlap.max(axis=0, initial=0.0) >= FOUND).sum())
        for person in np.flatnonzero(truth.visible >= IN_SIGHT):
            self.true += 1
            if len(boxes) and overlap[person].max() >= FOUND:
                self.right += 1
                track = result.faces[int(overlap[person].argmax())].track
                self.switches += self.who.get(person, track) != track
                self.who[person] = track

    @property
    def recall(self) -> float:
        """Share of the true faces that were found."""
        return self.right / max(self.true, 1)

    @property
    def precision(self) -> float:
        """Share of the boxes shown that are true."""
        return self.hits / max(self.shown, 1)

    @property
    def median_ms(self) -> float:
        """Milliseconds a frame."""
        return float(np.median(self.ms))


def compare(frames: Iterable[StreamFrame], pipeline: object, detect_every: int) -> tuple[Score, Score]:
    """Run both ways over the same frames, taking turns in who is first: detection in every frame, and following."""
    ways = [FrameProcessor(pipeline, detect_every=every) for every in (1, detect_every)]  # type: ignore[arg-type]
    scores = Score(), Score()
    for truth in frames:
        both = list(zip(ways, scores, strict=True))
        for way, score in both if truth.index % 2 else reversed(both):
            start = time.perf_counter()
            result = way.process(Frame(truth.index, truth.t_ms, truth.image, "synthetic"))
            score.add(result, truth, (time.perf_counter() - start) * 1000)
    return scores


def main() -> int:
    """Print a line for each stream."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipeline", default="tiny")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each stream, 30 frames a second")
    parser.add_argument("--detect-every", type=int, default=DETECT_EVERY)
    args = parser.parse_args()
    pipeline = load_pipeline(args.pipeline)
    # Libraries are imported at the first call; that is no frame's time.
    compare(synthetic_stream(seed=9, seconds=0.2), pipeline, args.detect_every)
    print(f"{args.pipeline}, 640×480, whole picture searched every {args.detect_every} frames (each: in every frame)")
    print(f"{'':28} {'median ms':>15} {'mean ms':>13} {'p95 ms':>13} {'recall':>13} {'precision':>13} {'switches':>9}")
    print(f"{'':28} {'each follow  x':>15}" + f" {'each follow':>13}" * 4 + f" {'':>9}")
    for name, options in STREAMS.items():
        each, follow = compare(synthetic_stream(seconds=args.seconds, **options), pipeline, args.detect_every)
        print(
            f"{name:28} {each.median_ms:5.1f} {follow.median_ms:5.2f} {each.median_ms / follow.median_ms:3.0f}"
            f" {np.mean(each.ms):6.1f} {np.mean(follow.ms):6.2f}"
            f" {np.quantile(each.ms, 0.95):6.1f} {np.quantile(follow.ms, 0.95):6.1f}"
            f" {each.recall:6.1%} {follow.recall:6.1%} {each.precision:6.1%} {follow.precision:6.1%}"
            f" {each.switches:4} {follow.switches:4}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
