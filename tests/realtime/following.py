"""What following faces costs and finds, beside detecting in every frame: ``python tests/realtime/following.py``.

All ways see the same frames of generated streams, in turn, in one process; what they find is held against the truth.
With ``--velocity`` there is a third: faces go on by their last velocity alone, without optical flow.
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
from ferbench.realtime.finding import FaceFinder

STREAMS = {
    "one face": {"seed": 0},
    "one face, moving": {"seed": 5, "motion": 2.0},
    "one face, noise and flicker": {"seed": 1, "noise": 3.0, "flicker": 0.1},
    "three faces, moving": {"seed": 2, "n_faces": 3, "motion": 2.0, "noise": 4.0},
    "two faces that cross": {"seed": 1, "n_faces": 2, "crossing": True},
    "eight faces": {"seed": 0, "n_faces": 8},
    "one face, 8 frames a second": {"seed": 40, "motion": 2.0, "fps": 8.0},
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
    overlap: float = 0.0
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
                self.overlap += float(overlap[person].max())
                track = result.faces[int(overlap[person].argmax())].track
                self.switches += self.who.get(person, track) != track
                self.who[person] = track

    @property
    def recall(self) -> float:
        """Share of the true faces that were found."""
        return self.right / max(self.true, 1)

    @property
    def mean_overlap(self) -> float:
        """Intersection over union with the true box, of the faces that were found."""
        return self.overlap / max(self.right, 1)

    @property
    def precision(self) -> float:
        """Share of the boxes shown that are true."""
        return self.hits / max(self.shown, 1)

    @property
    def median_ms(self) -> float:
        """Milliseconds a frame."""
        return float(np.median(self.ms))


class ByVelocity(FaceFinder):
    """Moves boxes between two detections by the velocity that the detections had, and looks at no picture."""

    def _carry(self) -> None:
        pass


def following(pipeline: object, detect_every: int) -> FrameProcessor:
    """The processor under test."""
    return FrameProcessor(pipeline, detect_every=detect_every)  # type: ignore[arg-type]


def by_velocity(pipeline: object, detect_every: int) -> FrameProcessor:
    """The same with constant velocity in place of the flow."""
    processor = following(pipeline, detect_every)
    processor._finder = ByVelocity(pipeline, processor.tracker, detect_every)  # type: ignore[arg-type]
    return processor


def compare(frames: Iterable[StreamFrame], *ways: FrameProcessor) -> list[Score]:
    """Run all ways over the same frames, taking turns in who is first."""
    scores = [Score() for _ in ways]
    for truth in frames:
        every = list(zip(ways, scores, strict=True))
        for way, score in every if truth.index % 2 else reversed(every):
            start = time.perf_counter()
            result = way.process(Frame(truth.index, truth.t_ms, truth.image, "synthetic"))
            score.add(result, truth, (time.perf_counter() - start) * 1000)
    return scores


def main() -> int:
    """Print a line for each stream and way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipeline", default="tiny")
    parser.add_argument("--detector", help="in place of the pipeline's own")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each stream")
    parser.add_argument("--detect-every", type=int, default=DETECT_EVERY)
    parser.add_argument("--velocity", action="store_true", help="also follow by the last velocity alone")
    args = parser.parse_args()
    pipeline, n = load_pipeline(args.pipeline, detector=args.detector), args.detect_every
    makers = {"each frame": lambda: following(pipeline, 1), "follow": lambda: following(pipeline, n)}
    if args.velocity:
        makers["velocity"] = lambda: by_velocity(pipeline, n)
    # Libraries are imported at the first call; that is no frame's time.
    compare(synthetic_stream(seed=9, seconds=0.2), *(make() for make in makers.values()))
    print(f"{args.pipeline} behind {pipeline.parts.detector}, 640×480")
    print(f"whole picture searched every {n} frames (each frame: in all of them)")
    columns = "median ms", "of each", "mean ms", "recall", "overlap", "precision", "switches"
    print(f"{'':28} {'':10} " + " ".join(f"{column:>9}" for column in columns))
    for name, options in STREAMS.items():
        frames = synthetic_stream(seconds=args.seconds, **options)
        scores = compare(frames, *(make() for make in makers.values()))
        for way, score in zip(makers, scores, strict=True):
            share = score.median_ms / scores[0].median_ms
            print(
                f"{name:28} {way:10} {score.median_ms:9.2f} {share:9.1%} {np.mean(score.ms):9.2f} {score.recall:9.1%}"
                f" {score.mean_overlap:9.2f} {score.precision:9.1%} {score.switches:9}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
