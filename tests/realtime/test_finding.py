"""Following faces between detections: as many found as by detecting in every frame, for a fraction of the time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ferbench.datasets.synthetic import synthetic_stream
from ferbench.detectors.haar import HaarDetector
from ferbench.errors import NoFaceError
from ferbench.faces import Faces, Image, box_iou
from ferbench.realtime import Frame, FrameProcessor
from ferbench.realtime.motion import MedianFlow
from tests.realtime.following import by_velocity, compare, following

pytestmark = pytest.mark.alone


class FindsOnly:
    """Haar's boxes, every face neutral: what is tested is where faces are."""

    labels = ("neutral",)

    def __init__(self) -> None:
        self.detector = HaarDetector()
        self.whole, self.parts = 0, 0

    def detect(self, images: list[Image]) -> Faces:
        self.parts += len(images)
        return self.detector.detect(images)

    def process(self, images: list[Image]) -> Any:
        self.whole += 1
        faces = self.detector.detect(images)
        return SimpleNamespace(faces=faces, probabilities=self.classify(np.zeros((len(faces), 1, 1), np.uint8)),
                               times_ns={"detect": 1})  # fmt: skip

    def crop(self, images: list[Image], faces: Faces) -> npt.NDArray[np.uint8]:
        return np.zeros((len(faces), 1, 1), np.uint8)

    def classify(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.ones((len(crops), 1), np.float32)


def run(processor: FrameProcessor, images: list[Image]) -> list[Any]:
    return [processor.process(Frame(i, i * 33.0, image, "test")) for i, image in enumerate(images)]


@pytest.fixture(scope="module")
def portrait() -> Image:
    """A generated face, 640×480, that Haar finds."""
    return next(iter(synthetic_stream(seed=0, seconds=1))).image


def test_following_finds_as_many_faces_in_a_quarter_of_the_time():
    """The pace is a ratio of times taken in turn, so that a busy machine slows both."""
    frames = list(synthetic_stream(seed=5, seconds=1.5, motion=2.0))
    each, follow = compare(frames, following(FindsOnly(), 1), following(FindsOnly(), 10))
    assert follow.recall >= each.recall - 0.01
    assert follow.median_ms <= each.median_ms / 4
    assert follow.precision >= each.precision - 0.02
    assert follow.switches == 0


def test_boxes_follow_the_picture_to_a_pixel(portrait: Image):
    flow = MedianFlow()
    box = np.array([[220, 120, 420, 320]], np.float32)
    flow.see(portrait)
    assert flow.carry(box) == [None], "there is no frame before the first"
    middle = (320, 220)
    matrix = cv2.getRotationMatrix2D(middle, 0, 1.04) + np.array([[0, 0, 7], [0, 0, -5]])
    flow.see(np.asarray(cv2.warpAffine(portrait, matrix, (640, 480), borderMode=cv2.BORDER_REPLICATE), np.uint8))
    (moved,) = flow.carry(box)
    expected = [320 - 104 + 7, 220 - 104 - 5, 320 + 104 + 7, 220 + 104 - 5]
    assert moved is not None
    np.testing.assert_allclose(moved, expected, atol=1.5)


def test_a_face_that_turns_back_between_two_detections_is_followed(portrait: Image):
    """Which its last velocity alone cannot do."""
    offsets = [0, 6, 12, 18, 24, 30, 24, 18, 12, 6, 0, -6]
    images = [np.roll(portrait, offset, axis=1) for offset in offsets]
    errors = []
    for make in (following, by_velocity):
        boxes = np.array([result.faces[0].box for result in run(make(FindsOnly(), 100), images)])
        errors.append(np.abs(boxes[:, ::2].mean(axis=1) - boxes[0, ::2].mean() - offsets).max())
    followed, by_velocity_alone = errors
    assert followed < 5
    assert by_velocity_alone > 30


def test_motion_that_cannot_be_followed_is_said(portrait: Image):
    flow = MedianFlow()
    flow.see(portrait)
    flow.see(np.random.default_rng(0).integers(0, 255, portrait.shape, dtype=np.uint8))
    assert flow.carry(np.array([[220, 120, 420, 320]], np.float32)) == [None]
    flow.see(portrait[:100, :100])
    assert flow.carry(np.array([[20, 20, 60, 60]], np.float32)) == [None], "another size is another picture"


def test_a_face_in_sight_needs_no_detector_between_two_searches(portrait: Image):
    pipeline = FindsOnly()
    shifted = [np.roll(portrait, 2 * i, axis=1) for i in range(20)]
    results = run(FrameProcessor(pipeline, detect_every=10), shifted)
    assert pipeline.whole == 4, "three in the first frames, then every tenth"
    assert pipeline.parts <= 2, "until the face is sure"
    assert {face.track for result in results for face in result.faces} == {1}
    first, last = results[8].faces[0].box, results[15].faces[0].box
    np.testing.assert_allclose(last, np.add(first, (14, 0, 14, 0)), atol=2)


def test_a_detector_that_sees_large_faces_only_loses_none(portrait: Image):
    """A face's place is searched reduced, where such a detector finds nothing."""
    pipeline = FindsOnly()
    pipeline.detector = HaarDetector(min_size=150)
    results = run(FrameProcessor(pipeline, detect_every=10), [portrait] * 20)
    assert {tuple(face.track for face in result.faces) for result in results} == {(1,)}
    assert pipeline.parts == 2, "after which its places are not searched"
    assert pipeline.whole <= 8


def test_a_face_that_jumps_is_found_again_in_the_next_frame(portrait: Image):
    pipeline = FindsOnly()
    small = np.full_like(portrait, 90)
    face = cv2.resize(portrait[60:400, 150:490], (170, 170), interpolation=cv2.INTER_AREA)

    def at(x: int, y: int) -> Image:
        image = small.copy()
        image[y : y + 170, x : x + 170] = face
        return image

    images = [at(30, 30)] * 4 + [at(430, 280)] * 4
    results = run(FrameProcessor(pipeline, detect_every=100), images)
    found = [bool(result.faces) for result in results]
    assert found.count(False) <= 1
    assert found[-1]
    assert results[-1].faces[0].box[0] > 400


def test_black_frames_hide_and_do_not_confuse(portrait: Image):
    black = np.zeros_like(portrait)
    results = run(FrameProcessor(FindsOnly(), detect_every=10), [portrait] * 4 + [black] * 5 + [portrait] * 3)
    assert [len(result.faces) for result in results] == [1] * 4 + [0] * 5 + [1] * 3
    assert {face.track for result in results for face in result.faces} == {1}


def test_fifty_faces_and_faces_at_the_border(portrait: Image):
    face = cv2.resize(portrait[60:400, 150:490], (100, 100), interpolation=cv2.INTER_AREA)
    crowd = np.tile(face, (5, 10, 1))
    detector = HaarDetector(max_side=None)
    pipeline = FindsOnly()
    pipeline.detector = detector
    crowded = run(FrameProcessor(pipeline, detect_every=4), [np.roll(crowd, i, axis=1) for i in range(8)])
    assert min(len(result.faces) for result in crowded) >= 45
    leaving = [np.roll(portrait, -30 * i, axis=1)[:, : 640 - 30 * i] for i in range(6)]
    leaving = [cv2.copyMakeBorder(image, 0, 0, 0, 640 - image.shape[1], cv2.BORDER_REPLICATE) for image in leaving]
    for result in run(FrameProcessor(FindsOnly(), detect_every=4), leaving):
        for each in result.faces:
            left, _, right, _ = each.box
            assert 0 <= (left + right) / 2 < 640


def test_frames_of_changing_and_odd_sizes(portrait: Image):
    images = [portrait, portrait[:479, :633], portrait[:3, :5], portrait[:1, :1], portrait[:, :, 0].copy(), portrait]
    results = run(FrameProcessor(FindsOnly(), detect_every=10), images)
    assert [len(result.faces) for result in results] == [1, 1, 0, 0, 1, 1]


def test_landmarks_move_with_a_face_that_is_followed(portrait: Image):
    class WithEyes(FindsOnly):
        def process(self, images: list[Image]) -> Any:
            done = super().process(images)
            done.faces = self.marked(done.faces)
            return done

        def detect(self, images: list[Image]) -> Faces:
            return self.marked(super().detect(images))

        @staticmethod
        def marked(faces: Faces) -> Faces:
            side = faces.xyxy[:, 2:] - faces.xyxy[:, :2]
            eyes = faces.xyxy[:, None, :2] + np.array([[0.3, 0.4], [0.7, 0.4]], np.float32) * side[:, None]
            return Faces(faces.xyxy, faces.score, faces.image_index, faces.n_images, eyes.astype(np.float32))

        def crop(self, images: list[Image], faces: Faces) -> npt.NDArray[np.uint8]:
            side = faces.xyxy[:, 2:] - faces.xyxy[:, :2]
            at = (faces.landmarks - faces.xyxy[:, None, :2]) / side[:, None]  # type: ignore[operator]
            np.testing.assert_allclose(at, np.broadcast_to([[0.3, 0.4], [0.7, 0.4]], at.shape), atol=1e-4)
            self.cropped = True
            return super().crop(images, faces)

    pipeline = WithEyes()
    run(FrameProcessor(pipeline, detect_every=10), [np.roll(portrait, 3 * i, axis=1) for i in range(6)])
    assert pipeline.cropped


class TakesTheWhole(FindsOnly):
    """Takes a picture without a face whole, as a pipeline with ``on_no_face="whole"`` does."""

    on_no_face = "whole"

    def process(self, images: list[Image]) -> Any:
        done = super().process(images)
        if not len(done.faces):
            height, width = images[0].shape[:2]
            done.faces = Faces.from_lists([[[0, 0, width, height]]], [[0.0]])
            done.probabilities = np.ones((1, 1), np.float32)
        return done


def test_a_picture_that_stands_in_for_a_missed_face_is_not_followed(portrait: Image):
    black = np.zeros_like(portrait)
    results = run(FrameProcessor(TakesTheWhole(), detect_every=10), [black] * 3 + [portrait] * 2)
    assert [result.faces[0].box for result in results[:3]] == [(0, 0, 640, 480)] * 3
    assert box_iou([results[3].faces[0].box], [results[4].faces[0].box])[0, 0] > 0.8
    assert results[3].faces[0].detection_score > 0


def test_what_no_face_means_holds_in_the_frame_that_loses_one(portrait: Image):
    black = np.zeros_like(portrait)
    images = [portrait] * 5 + [black] * 2 + [portrait] * 5 + [black]
    results = run(FrameProcessor(TakesTheWhole(), detect_every=10), images)
    boxes = [result.faces[0].box for result in results]
    assert [box == (0, 0, 640, 480) for box in boxes] == [image is black for image in images]

    class Raises(FindsOnly):
        on_no_face = "raise"

        def process(self, images: list[Image]) -> Any:
            done = super().process(images)
            if not len(done.faces):
                raise NoFaceError("no face")
            return done

    processor = FrameProcessor(Raises(), detect_every=10)
    run(processor, images[:5])
    with pytest.raises(NoFaceError):
        run(processor, [black])
