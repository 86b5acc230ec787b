"""Overlay: the frame untouched, colours by name, everything inside the picture at any size."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ferbench.errors import ImageError
from ferbench.labels import LABEL_SPACES
from ferbench.realtime import FaceResult, FrameResult, draw_overlay, label_colour


def face(
    box: tuple[float, float, float, float], label: str = "happy", labels: tuple[str, ...] = ("happy", "sad")
) -> FaceResult:
    probabilities = {name: 0.9 if name == label else 0.1 / (len(labels) - 1) for name in labels}
    return FaceResult(1, box, 1.0, label, 0.9, probabilities, probabilities)


def result(image: npt.NDArray[np.uint8], *faces: FaceResult) -> FrameResult:
    return FrameResult("test", 0, 0.0, image, faces, {"total": 12.5})


def gray(width: int, height: int) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), 128, np.uint8)


def has_colour(image: npt.NDArray[np.uint8], label: str) -> bool:
    return bool((image == np.array(label_colour(label), np.uint8)).all(axis=2).any())


def test_the_frame_itself_is_not_touched():
    image = gray(320, 240)
    drawn = draw_overlay(result(image, face((50, 50, 150, 150))), fps=25.0)
    assert (image == 128).all()
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert not np.array_equal(drawn, image)


def test_every_label_of_every_space_has_a_colour_of_its_own_by_name():
    names = {label for space in LABEL_SPACES.values() for label in space.labels}
    colours = {name: label_colour(name) for name in names}
    assert len(set(colours.values())) == len(names)
    distances = [
        np.abs(np.subtract(a, b)).sum() for a, b in itertools.combinations([np.array(c) for c in colours.values()], 2)
    ]
    assert min(distances) > 60


def test_the_colour_of_a_label_does_not_depend_on_the_order_of_labels():
    image = gray(640, 480)
    orders = (("happy", "sad", "angry"), ("angry", "happy", "sad"))
    one, two = (draw_overlay(result(image, face((50, 100, 250, 300), labels=order)), bars=False) for order in orders)
    np.testing.assert_array_equal(one, two)
    assert has_colour(one, "happy")
    assert not has_colour(one, "sad")


def test_the_box_is_drawn_where_the_face_is():
    image = gray(640, 480)
    changed = np.argwhere((draw_overlay(result(image, face((200, 150, 400, 350))), bars=False) != image).any(axis=2))
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    assert 110 < top < 150  # the label stands above the box
    assert 195 <= left <= 200
    assert 350 <= bottom <= 355
    assert 400 <= right <= 405


@pytest.mark.parametrize("width", [320, 640, 1280, 1920])
def test_bars_of_all_expressions_stand_beside_the_face_where_there_is_room(width: int):
    image = gray(width, width * 3 // 4)
    box = (width * 0.4, width * 0.2, width * 0.6, width * 0.4)
    labels = ("happy", "sad", "fear")
    certain = FaceResult(1, box, 1.0, "sad", 0.5, dict.fromkeys(labels, 1 / 3), dict.fromkeys(labels, 1 / 3))
    drawn = draw_overlay(result(image, certain))
    beside = drawn[:, int(box[2]) + width // 60 :]
    assert all(has_colour(beside, label) for label in labels)
    assert not any(has_colour(draw_overlay(result(image, certain), bars=False), label) for label in ("happy", "fear"))


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (33, 700), (1920, 1080)])
@pytest.mark.parametrize(
    "box", [(-50, -50, 20, 20), (0, 0, 1, 1), (5, 5, 5, 5), (-1e9, -1e9, 1e9, 1e9), (3000, 3000, 3100, 3100)]
)
def test_odd_sizes_and_boxes_outside_are_drawn_without_error(
    size: tuple[int, int], box: tuple[float, float, float, float]
):
    assert draw_overlay(result(gray(*size), face(box)), fps=25.0).shape == (size[1], size[0], 3)


def test_gray_frames_become_rgb():
    assert draw_overlay(result(np.full((240, 320), 90, np.uint8), face((50, 50, 150, 150)))).shape == (240, 320, 3)


def test_a_frame_without_a_face_says_so():
    image = gray(320, 240)
    changed = (draw_overlay(result(image)) != image).any(axis=2)
    assert changed.any()
    assert not changed[:180].any()


def test_what_is_no_image_is_refused():
    with pytest.raises(ImageError):
        draw_overlay(result(np.zeros((10, 10, 4), np.uint8)))


def area(image: npt.NDArray[np.uint8], label: str) -> int:
    """Pixels of a label's ground: its colour, without the thin lines of the box."""
    mask = (image == np.array(label_colour(label), np.uint8)).all(axis=2).astype(np.uint8)
    return int(cv2.erode(mask, np.ones((4, 4), np.uint8)).sum())


@pytest.mark.parametrize(
    "other", [(260, 135, 420, 295), (200, 120, 360, 280), (190, 90, 370, 270)], ids=["beside", "same", "around"]
)
def test_labels_of_faces_that_cross_do_not_cover_each_other(other: tuple[float, float, float, float]):
    one, two = face((200, 120, 360, 280), "happy"), face(other, "sad")
    alone = draw_overlay(result(gray(640, 480), one), bars=False)
    both = draw_overlay(result(gray(640, 480), one, two), bars=False)
    # A line that touches the ground narrows it by less than a third; a label over a label leaves a sixth.
    assert area(both, "happy") > area(alone, "happy") * 0.7 > 0
    assert area(both, "sad") > 0


@pytest.mark.parametrize("size", [(640, 480), (320, 240)])
def test_the_pace_in_the_corner_covers_no_label(size: tuple[int, int]):
    image = gray(*size)
    low = result(image, face((2, size[1] - 10, size[0] // 3, size[1] + 60)))
    without, with_pace = draw_overlay(low, bars=False), draw_overlay(low, fps=25.0, bars=False)
    assert area(without, "happy") == area(with_pace, "happy") > 0
    assert not np.array_equal(without, with_pace)
