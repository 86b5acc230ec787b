"""Tracking: identities through movement, crossing, gaps and jitter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferbench.errors import ParameterError, ShapeError
from ferbench.realtime.tracking import Tracker, box_iou


def box(x: float, y: float = 50, side: float = 60) -> list[float]:
    return [x, y, x + side, y + side]


def test_iou_has_its_textbook_values():
    a = [[0, 0, 10, 10]]
    b = [[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 5, 5], [3, 3, 3, 9]]
    np.testing.assert_allclose(box_iou(a, b), [[1, 1 / 3, 0, 0.25, 0]])


@given(st.lists(st.tuples(*[st.floats(-100, 100)] * 4), max_size=5))
def test_iou_lies_between_0_and_1_and_is_symmetric(boxes: list[tuple[float, ...]]):
    iou = box_iou(boxes, boxes)
    assert iou.shape == (len(boxes), len(boxes))
    assert ((iou >= 0) & (iou <= 1 + 1e-9)).all()
    np.testing.assert_allclose(iou, iou.T)


def test_a_moving_face_keeps_its_identity():
    tracker = Tracker()
    assert {tuple(tracker.update([box(x)])) for x in range(0, 300, 12)} == {(1,)}


def test_faces_that_cross_keep_their_identities():
    tracker = Tracker()
    for step in range(41):
        x = 5 * step
        # Given in the order of their position, as a detector would: the order tells nothing about who is who.
        faces = sorted([("right", box(x)), ("left", box(200 - x))], key=lambda face: face[1][0])
        ids = dict(zip([name for name, _ in faces], tracker.update([b for _, b in faces]), strict=True))
        if step == 0:
            first = ids
        assert ids == first, f"step {step}"


def test_the_best_assignment_wins_and_not_the_first_come():
    tracker = Tracker()
    tracker.update([box(0), box(40)])
    # The box at 20 overlaps both tracks equally; greedy matching could leave the one at 45 without its track.
    assert tracker.update([box(20), box(45)]) == [1, 2]


def test_a_short_gap_keeps_the_identity_and_a_long_one_ends_it():
    tracker = Tracker(max_gap=3)
    tracker.update([box(10)])
    for _ in range(3):
        tracker.update([])
    assert tracker.update([box(12)]) == [1]
    for _ in range(4):
        tracker.update([])
    assert tracker.alive == set()
    assert tracker.update([box(12)]) == [2]


def test_a_face_elsewhere_is_another_face():
    tracker = Tracker()
    assert tracker.update([box(0)]) == [1]
    assert tracker.update([box(300)]) == [2]
    assert tracker.alive == {1, 2}


def test_jitter_of_a_detector_does_not_cost_the_identity():
    rng = np.random.default_rng(0)
    tracker = Tracker()
    ids = [tracker.update([np.array(box(100)) + rng.normal(0, 5, 4)])[0] for _ in range(300)]
    assert set(ids) == {1}


def test_a_face_hidden_while_another_passes_comes_back_as_itself():
    tracker = Tracker(max_gap=10)
    for step in range(30):
        walker, hidden = box(8 * step), 90 <= 8 * step <= 150
        ids = tracker.update([walker] if hidden else [walker, box(120)])
        assert ids == ([1] if hidden else [1, 2]), step


def test_coasting_carries_boxes_forward_by_their_velocity():
    tracker = Tracker()
    for x in range(0, 100, 10):
        tracker.update([box(x)], [0.5])
    for ahead in (1, 2):
        ids, boxes, scores = tracker.coast()
        assert ids == [1]
        np.testing.assert_allclose(boxes[0], box(90 + 10 * ahead), atol=0.5)
        assert scores.tolist() == [0.5]
    assert tracker.update([box(120)]) == [1]


def test_coasting_leaves_out_faces_that_the_last_detection_missed():
    tracker = Tracker()
    tracker.update([box(0), box(200)])
    tracker.update([box(0)])
    assert tracker.coast()[0] == [1]


def test_memory_does_not_grow_with_the_faces_seen():
    tracker = Tracker(max_gap=2)
    for i in range(500):
        tracker.update([box(100 * (i % 7))])
    assert len(tracker.alive) <= 7
    assert tracker.update([]) == []


@pytest.mark.parametrize(("kwargs", "name"), [({"min_iou": 0}, "min_iou"), ({"max_gap": -1}, "max_gap")])
def test_parameters_out_of_range_are_named(kwargs: dict[str, float], name: str):
    with pytest.raises(ParameterError, match=name):
        Tracker(**kwargs)


def test_boxes_of_a_wrong_shape_are_refused():
    with pytest.raises(ShapeError, match=r"\(2, 3\)"):
        Tracker().update(np.zeros((2, 3)))
