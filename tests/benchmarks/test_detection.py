"""The detector benchmark: which box is which face, and what the counts say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferbench.benchmarks.detection import match_boxes, measure_detector
from ferbench.benchmarks.detection_sets import DetectionSet
from ferbench.datasets import load_dataset
from ferbench.errors import DataError, ParameterError
from ferbench.faces import Faces, Image, box_iou


class Scripted:
    """Answers with the boxes it was given, by the value of the image's first pixel."""

    crop_scale, crop_shift = 1.0, 0.0

    def __init__(self, answers: list[list[list[float]]]) -> None:
        self.answers = answers

    def detect(self, images: list[Image]) -> Faces:
        return Faces.from_lists([np.array(self.answers[image[0, 0]], np.float32).reshape(-1, 4) for image in images])


def pictures(boxes: list[list[list[float]]] | None, labels: list[tuple[str, ...]]) -> DetectionSet:
    images = [np.full((100, 200), i, np.uint8) for i in range(len(labels))]
    true = None if boxes is None else [np.array(b, np.float32).reshape(-1, 4) for b in boxes]
    return DetectionSet(images, true, labels, "made", "r1", "all")


def test_recall_false_alarms_and_overlap_are_counted_by_hand() -> None:
    true = [[[0, 0, 10, 10], [50, 0, 60, 10]], [[0, 0, 10, 10]], []]
    answers = [
        [[0, 0, 10, 10], [50, 0, 60, 8], [100, 50, 110, 60]],  # both, one of them with IoU 0.8, and a false alarm
        [[4, 0, 14, 10]],  # IoU 3/7: a miss and a false alarm
        [[0, 0, 5, 5]],
    ]
    result = measure_detector(
        Scripted(answers), pictures(true, [("happy", "sad"), ("sad",), ()]), spec="scripted", min_iou=0.5
    )
    assert (result.n_images, result.n_faces, result.n_found) == (3, 3, 2)
    assert result.recall.value == pytest.approx(2 / 3)
    assert result.false_alarms.value == pytest.approx(1.0)
    assert result.mean_iou is not None
    assert result.mean_iou.value == pytest.approx(0.9)
    assert {name: (c.n, c.found) for name, c in result.per_class.items()} == {"happy": (1, 1), "sad": (2, 1)}
    assert result.ms_per_image > 0
    # Wilson's interval of 2 of 3, as statistics books give it.
    assert (result.recall.low, result.recall.high) == pytest.approx((0.2077, 0.9385), abs=1e-4)


def test_two_boxes_on_one_face_are_one_found_face_and_one_false_alarm() -> None:
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10]]
    result = measure_detector(Scripted([boxes]), pictures([[[0, 0, 10, 10]]], [("happy",)]), spec="scripted")
    assert result.n_found == 1
    assert result.false_alarms.value == 1
    assert result.mean_iou is not None
    assert result.mean_iou.value == 1


def test_no_false_alarm_in_few_pictures_does_not_prove_that_there_are_none() -> None:
    result = measure_detector(Scripted([[]] * 10), pictures([[[0, 0, 9, 9]]] * 10, [("sad",)] * 10), spec="scripted")
    assert (result.false_alarms.value, result.false_alarms.low) == (0, 0)
    assert result.false_alarms.high == pytest.approx(0.3689, abs=1e-4)  # Garwood's table: 3.689 for a count of 0
    assert (result.recall.value, result.mean_iou) == (0, None)


def test_without_true_boxes_a_face_is_found_by_the_box_that_holds_the_middle() -> None:
    answers = [[[80, 30, 120, 70], [0, 0, 20, 20]], [[0, 0, 99, 100]], []]
    result = measure_detector(Scripted(answers), pictures(None, [("happy",)] * 3), spec="scripted")
    assert result.n_found == 1
    assert result.false_alarms.value == pytest.approx(2 / 3)
    assert result.mean_iou is None


def test_one_face_more_is_worth_more_than_a_better_overlap() -> None:
    # Alone, the second box would fit the first face best; then the second face would get none.
    true = [[0, 0, 10, 10], [4, 0, 14, 10]]
    found = [[-3, 0, 7, 10], [1, 0, 11, 10]]
    match, iou = match_boxes(found, true, min_iou=0.5)
    assert match.tolist() == [0, 1]
    assert (iou >= 0.5).all()


boxes = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 15), st.integers(1, 15)).map(
        lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
    ),
    max_size=3,
)


@settings(deadline=None)
@given(found=boxes, true=boxes, min_iou=st.sampled_from([0.1, 0.3, 0.5]))
def test_the_assignment_is_the_best_of_all(found, true, min_iou) -> None:
    match, iou = match_boxes(found, true, min_iou=min_iou)
    taken = match[match >= 0].tolist()
    assert len(set(taken)) == len(taken)
    overlap = box_iou(true, found)
    assert [overlap[i, j] for i, j in enumerate(match) if j >= 0] == pytest.approx(iou[match >= 0].tolist())
    assert (iou[match >= 0] >= min_iou).all()
    assert (iou[match < 0] == 0).all()
    best = 0
    for order in itertools.permutations([*range(len(found)), *[-1] * len(true)], len(true)):
        best = max(best, sum(j >= 0 and overlap[i, j] >= min_iou for i, j in enumerate(order)))
    assert len(taken) == best


def test_scenes_are_drawn_with_the_boxes_that_they_claim() -> None:
    scenes = DetectionSet.of_scenes(6)
    assert scenes.boxes is not None
    assert [len(b) for b in scenes.boxes] == [0, 1, 2, 3, 4, 0]
    assert [len(row) for row in scenes.labels] == [0, 1, 2, 3, 4, 0]
    assert scenes.images[1].shape == (480, 640, 3)
    np.testing.assert_array_equal(scenes.images[1], DetectionSet.of_scenes(2).images[1])
    assert (scenes.images[1] != DetectionSet.of_scenes(2, seed=1).images[1]).any()
    with pytest.raises(ParameterError, match="parameter n: got"):
        DetectionSet.of_scenes(0)


def test_photographs_of_a_dataset_bring_their_boxes_and_crops_are_refused() -> None:
    photos = DetectionSet.of_samples(load_dataset("synthetic(n_test=7, cache=False)", split="test"))
    assert photos.boxes is not None
    assert len(photos.images) == len(photos.boxes) == len(photos.labels) == 7
    crops = load_dataset("synthetic(n_test=7, kind=crops, cache=False)", split="test")
    with pytest.raises(DataError, match="nothing to detect faces in"):
        DetectionSet.of_samples(crops)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ParameterError, match="least overlap"):
        measure_detector(Scripted([[]]), pictures([[]], [("happy",)]), spec="scripted", min_iou=0)
    with pytest.raises(DataError, match="no face to find"):
        measure_detector(Scripted([[]]), pictures([[]], [()]), spec="scripted")
