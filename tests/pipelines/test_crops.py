import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferbench.faces import Faces
from ferbench.pipelines import crop_faces
from ferbench.pipelines.crops import resize_crops


def faces(*boxes: tuple[float, float, float, float]) -> Faces:
    return Faces.from_lists([np.array(boxes, np.float32)])


def test_a_square_box_of_the_crop_size_is_cut_out_unchanged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (100, 120), np.uint8)
    crop = crop_faces([image], faces((30, 20, 78, 68)), size=48)
    np.testing.assert_array_equal(crop[0], image[20:68, 30:78])


def test_scale_widens_and_shift_moves_down() -> None:
    image = np.zeros((200, 200), np.uint8)
    image[100:] = 255
    box = (80, 60, 120, 100)  # all above the edge
    assert crop_faces([image], faces(box), size=40)[0].max() == 0
    wider = crop_faces([image], faces(box), size=60, scale=1.5)[0]
    assert wider[:50].max() == 0
    assert wider[50:].min() == 255
    assert crop_faces([image], faces(box), size=40, shift=1.0)[0].min() == 255


def test_beyond_the_border_the_border_is_repeated() -> None:
    image = np.full((50, 50), 7, np.uint8)
    image[:, -1] = 200
    crop = crop_faces([image], faces((40, 10, 60, 30)), size=20)[0]
    assert (crop[:, 9:] == 200).all()
    assert (crop[:, :9] == 7).all()


def test_colour_becomes_gray_with_the_weights_of_rgb_not_bgr() -> None:
    image = np.zeros((48, 48, 3), np.uint8)
    image[..., 0] = 255  # red
    assert crop_faces([image], faces((0, 0, 48, 48)))[0][0, 0] == round(0.299 * 255)


@given(
    box=st.tuples(*[st.floats(-500, 500) for _ in range(4)]),
    scale=st.floats(0.1, 4),
    shift=st.floats(-1, 1),
    shape=st.tuples(st.integers(1, 80), st.integers(1, 80)),
)
def test_any_box_gives_a_crop(box, scale, shift, shape) -> None:
    image = np.full(shape, 9, np.uint8)
    crop = crop_faces([image], faces(box), size=24, scale=scale, shift=shift)
    assert crop.shape == (1, 24, 24)
    assert (crop == 9).all()


def eyes(*points: tuple[float, float]) -> np.ndarray:
    return np.array([points], np.float32)


def test_level_eyes_change_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    box, level = faces((30, 20, 78, 68)), eyes((40, 30), (60, 30))
    for scale, shift in ((1.0, 0.0), (1.5, -0.25)):
        upright = crop_faces([image], box, scale=scale, shift=shift)
        np.testing.assert_array_equal(crop_faces([image], box, scale=scale, shift=shift, eyes=level), upright)


@pytest.mark.parametrize("degrees", [-70, -20, 15, 90, 180])
def test_a_turned_face_gives_the_crop_of_the_upright_one(degrees: float) -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (201, 201), np.uint8), (0, 0), 5)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    turn = cv2.getRotationMatrix2D((100, 100), degrees, 1.0)
    turned = cv2.warpAffine(image, turn, (201, 201), borderMode=cv2.BORDER_REPLICATE)
    level = eyes((85, 90), (115, 90))
    moved = (level[0] @ turn[:, :2].T + turn[:, 2])[None].astype(np.float32)
    # The middle of pixel 100 lies at 100.5 in the coordinates of boxes.
    box, options = faces((64.5, 64.5, 136.5, 136.5)), {"size": 48, "scale": 0.9, "shift": -0.1}
    upright = crop_faces([image], box, **options, eyes=level)[0].astype(int)
    aligned = crop_faces([turned], box, **options, eyes=moved)[0]
    assert np.abs(aligned - upright).mean() < 4
    assert np.abs(crop_faces([turned], box, **options)[0] - upright).mean() > 15


def test_unknown_eyes_leave_a_face_upright() -> None:
    image = np.random.default_rng(0).integers(0, 256, (100, 120), np.uint8)
    boxes = faces((10, 10, 58, 58), (40, 30, 88, 78))
    some = np.array([[[np.nan] * 2] * 2, [(50, 40), (70, 60)]], np.float32)
    crops, upright = crop_faces([image], boxes, eyes=some), crop_faces([image], boxes)
    np.testing.assert_array_equal(crops[0], upright[0])
    assert (crops[1] != upright[1]).any()


@settings(deadline=None)
@given(
    box=st.tuples(*[st.floats(-500, 500) for _ in range(4)]),
    points=st.tuples(*[st.floats(-500, 500) for _ in range(4)]),
    shape=st.tuples(st.integers(1, 80), st.integers(1, 80)),
)
def test_any_box_and_eyes_give_a_crop(box, points, shape) -> None:
    image = np.full(shape, 9, np.uint8)
    crop = crop_faces([image], faces(box), size=24, scale=1.3, shift=-0.1, eyes=eyes(points[:2], points[2:]))
    assert crop.shape == (1, 24, 24)
    assert (crop == 9).all()


@pytest.mark.parametrize("size", [24, 48, 64])
def test_resize_crops_to_any_size(size: int) -> None:
    assert resize_crops(np.zeros((3, 48, 48), np.uint8), size).shape == (3, size, size)
    assert resize_crops(np.zeros((0, 48, 48), np.uint8), size).shape == (0, size, size)
