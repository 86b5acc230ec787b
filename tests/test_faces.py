"""Faces and images: what is valid, what a bad value's message says, and the ways to take faces apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferbench.errors import ImageError, ShapeError
from ferbench.faces import Faces, as_gray, check_image

coordinates = st.floats(-1e4, 1e4, width=32)
boxes_of_an_image = st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates), max_size=4)


@given(st.lists(boxes_of_an_image, max_size=5))
def test_faces_joined_from_lists_come_apart_into_the_same_lists(boxes):
    faces = Faces.from_lists(boxes)
    assert faces.n_images == len(boxes)
    assert len(faces) == sum(map(len, boxes))
    parts = list(faces.per_image())
    assert [part.xyxy.tolist() for part in parts] == [[list(map(float, np.float32(b))) for b in bs] for bs in boxes]
    assert all(part.n_images == 1 for part in parts)


def test_an_image_without_a_face_keeps_its_place():
    faces = Faces.from_lists([[(0, 0, 4, 4)], [], [(1, 1, 2, 2), (0, 0, 9, 9)]])
    assert faces.image_index.tolist() == [0, 2, 2]
    assert len(faces.of_image(1)) == 0
    assert len(Faces.empty(3)) == 0
    assert Faces.empty(3).n_images == 3


def test_the_largest_face_of_each_image_is_kept():
    faces = Faces.from_lists([[(0, 0, 2, 2), (0, 0, 5, 5)], [], [(1, 1, 2, 2)]], scores=[[0.9, 0.1], [], [0.5]])
    largest = faces.largest_per_image()
    assert largest.xyxy.tolist() == [[0, 0, 5, 5], [1, 1, 2, 2]]
    assert largest.score.tolist() == pytest.approx([0.1, 0.5])
    assert largest.n_images == 3


def test_landmarks_follow_their_faces():
    points = [np.full((1, 5, 2), 1.0), np.full((2, 5, 2), 2.0)]
    faces = Faces.from_lists([[(0, 0, 1, 1)], [(0, 0, 1, 1), (0, 0, 2, 2)]], landmarks=points)
    assert faces.of_image(1).landmarks.tolist() == points[1].tolist()
    assert faces[[0]].landmarks.tolist() == points[0].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xyxy": np.zeros((2, 3), np.float32)}, r"Faces\.xyxy.*got \(2, 3\), expected \(2, 4\)"),
        ({"score": np.zeros(3, np.float32)}, r"Faces\.score.*got \(3,\), expected \(2,\)"),
        ({"image_index": np.array([1, 0])}, "must ascend"),
        ({"image_index": np.array([0, 2])}, r"values in 0\.\.1"),
        ({"landmarks": np.zeros((2, 5, 3), np.float32)}, r"expected \(2, K, 2\)"),
        ({"xyxy": np.array([[0, 0, np.nan, 1], [0, 0, 1, 1]], np.float32)}, "not finite"),
    ],
)
def test_inconsistent_arrays_are_refused_with_both_shapes(change, message):
    valid = {
        "xyxy": np.zeros((2, 4), np.float32),
        "score": np.ones(2, np.float32),
        "image_index": np.array([0, 1]),
        "n_images": 2,
    }
    Faces(**valid)
    with pytest.raises(ShapeError, match=message):
        Faces(**{**valid, **change})


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1)])
def test_gray_and_rgb_bytes_are_images(shape):
    image = np.zeros(shape, np.uint8)
    assert check_image(image) is image


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 2]], "got list"),
        (np.zeros((4, 4), np.float32), "float32"),
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\)"),
        (np.zeros((0, 4), np.uint8), "4×0"),
        (np.broadcast_to(np.uint8(0), (20_000, 20_000)), "20000×20000"),
    ],
)
def test_anything_else_is_refused_and_the_message_names_the_argument(value, message):
    with pytest.raises(ImageError, match=message) as error:
        check_image(value, name="photo.png")
    assert "photo.png" in str(error.value)


def test_gray_uses_the_weights_of_bt601():
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    assert as_gray(rgb).tolist() == [[76, 150, 29, 255]]
    gray = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert as_gray(gray) is gray
