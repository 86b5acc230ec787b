"""YuNet: its adapter on a stand-in network with known answers, and the model that comes along on pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from ferbench.detectors import yunet
from ferbench.detectors.yunet import YuNetDetector
from ferbench.errors import ModelFileError, ParameterError
from ferbench.testing import check_detector


def picture(*cells: tuple[int, int], shape: tuple[int, int] = (224, 320), red: int = 255) -> np.ndarray:
    """Gray-green RGB with red cells of the 32 pixel grid, given as column and row."""
    image = np.full((*shape, 3), (0, 90, 60), np.uint8)
    for column, row in cells:
        image[32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = (red, 0, 0)
    return image


def test_the_contract_is_kept(blob_net: Path) -> None:
    check_detector(YuNetDetector(blob_net, score_threshold=0.4))


def test_boxes_scores_and_landmarks_are_where_the_network_says(blob_net: Path) -> None:
    found = YuNetDetector(blob_net).detect([picture(), picture((2, 3)), picture((1, 1), (7, 4), red=240)])
    assert found.image_index.tolist() == [1, 2, 2]
    np.testing.assert_allclose(found.xyxy[0], [48, 80, 112, 144], atol=1e-3)
    np.testing.assert_allclose(found.score, [1, 240 / 255, 240 / 255], atol=1e-3)
    assert found.landmarks is not None
    np.testing.assert_allclose(found.landmarks[0, :2], [[64, 104], [96, 120]], atol=1e-3)


def test_a_reduced_image_gives_boxes_and_landmarks_of_the_whole_one(blob_net: Path) -> None:
    large = cv2.resize(picture((2, 3)), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    found = YuNetDetector(blob_net, max_side=320).detect([large])
    np.testing.assert_allclose(found.xyxy, [[144, 240, 336, 432]], atol=1e-2)
    assert found.landmarks is not None
    np.testing.assert_allclose(found.landmarks[0, 0], [192, 312], atol=1e-2)


def test_colour_is_seen_as_colour(blob_net: Path) -> None:
    blue = picture((2, 3))[:, :, ::-1].copy()
    assert len(YuNetDetector(blob_net).detect([blue])) == 0
    assert len(YuNetDetector(blob_net).detect([np.full((64, 64), 255, np.uint8)])) > 0


def test_thresholds_decide_what_is_a_face(blob_net: Path) -> None:
    weak = picture((2, 3), (3, 3), red=200)
    assert len(YuNetDetector(blob_net).detect([picture((2, 3), red=145)])) == 0
    assert len(YuNetDetector(blob_net, score_threshold=0.8).detect([weak])) == 0
    # The boxes of neighbours overlap by a third.
    assert len(YuNetDetector(blob_net, score_threshold=0.7, nms_threshold=0.3).detect([weak])) == 1
    assert len(YuNetDetector(blob_net, score_threshold=0.7, nms_threshold=0.4).detect([weak])) == 2


def test_eyes_are_the_networks_own(blob_net: Path) -> None:
    detector, image = YuNetDetector(blob_net, align="eyes"), picture((2, 3))
    faces = detector.detect([image])
    np.testing.assert_allclose(detector.find_eyes([image], faces), [[[64, 104], [96, 120]]], atol=1e-3)
    assert np.isnan(detector.find_eyes([image], type(faces)(faces.xyxy, faces.score, faces.image_index, 1))).all()


def test_what_is_missing_or_wrong_is_said(tmp_path: Path, other_net: Path) -> None:
    image = [picture()]
    with pytest.raises(ModelFileError, match=r"absent\.onnx is no file"):
        YuNetDetector(tmp_path / "absent.onnx").detect(image)
    with pytest.raises(ParameterError, match="model: got 5, expected the path"):
        YuNetDetector(5).detect(image)  # type: ignore[arg-type]
    text = tmp_path / "text.onnx"
    text.write_text("no network")
    for file in (text, other_net):
        with pytest.raises(ModelFileError, match="no YuNet"):
            YuNetDetector(file).detect(image)
    for name in ("score_threshold", "nms_threshold"):
        with pytest.raises(ParameterError, match=name):
            YuNetDetector(other_net, **{name: 1.5}).detect(image)


@pytest.mark.parametrize(("turn", "shrink"), [(0, 1.0), (25, 1.0), (-25, 1.0), (0, 0.4)])
def test_the_model_that_comes_along_finds_a_photographed_face_turned_and_small(turn: float, shrink: float) -> None:
    matrix = cv2.getRotationMatrix2D((224, 118), turn, shrink)  # the tip of her nose stays where it is
    image = cv2.warpAffine(data.astronaut(), matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    found = YuNetDetector().detect([image, image[..., 1].copy()])
    assert found.image_index.tolist() == [0, 1]
    assert (found.xyxy[:, :2] < (224, 118)).all()
    assert (found.xyxy[:, 2:] > (224, 118)).all()
    assert (found.xyxy[:, 3] - found.xyxy[:, 1]).tolist() == pytest.approx([115 * shrink] * 2, rel=0.2)
    assert found.landmarks is not None
    left, right = found.landmarks[0, :2]
    assert left[0] < 224 < right[0]
    assert max(left[1], right[1]) < 118


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket", "coins", "brick", "page", "moon"])
def test_the_model_that_comes_along_sees_no_face_where_there_is_none(name: str) -> None:
    assert len(YuNetDetector().detect([getattr(data, name)()])) == 0


def test_what_is_found_in_a_small_picture_does_not_depend_on_what_memory_held() -> None:
    """OpenCV's network reads memory that it has not written where it works on 32 pixels."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in ((1, 1), (9, 9), (20, 400), (32, 32))]
    found = set()
    for _ in range(12):
        junk = [np.full(rng.integers(100, 2_000_000), rng.choice([np.nan, 1e30, 5]), np.float32) for _ in range(30)]
        del junk
        found.add(YuNetDetector(score_threshold=0.3).detect(pictures).xyxy.tobytes())
    assert len(found) == 1


def test_pictures_of_many_sizes_do_not_disturb_each_other() -> None:
    astronaut, detector = data.astronaut(), YuNetDetector()
    sizes = [(512 - 8 * k, 512 - 24 * (k % 5)) for k in range(12)]
    expected = [YuNetDetector().detect([astronaut[:h, :w]]).xyxy for h, w in sizes]
    assert all(len(boxes) == 1 for boxes in expected)
    for i in np.random.default_rng(0).permutation(np.repeat(np.arange(12), 4)):
        h, w = sizes[i]
        np.testing.assert_array_equal(detector.detect([astronaut[:h, :w]]).xyxy, expected[i])


def test_sizes_seen_last_have_a_network_ready_and_large_ones_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(yunet, "_open", lambda *parameters, made=yunet._open: opened.append(0) or made(*parameters))
    detector = YuNetDetector(max_side=None)

    def networks_for(*shapes: tuple[int, int]) -> int:
        before = len(opened)
        for shape in shapes:
            detector.detect([np.zeros(shape, np.uint8)])
        return len(opened) - before

    assert networks_for((480, 640), (160, 160)) == 3  # one of them, of 64×64, to try the file
    assert networks_for(*[(480, 640), (150, 159)] * 5) == 0
    assert networks_for((1100, 1400)) == 1
    assert networks_for((480, 640), (150, 159)) == 0  # there was room for all
    assert len(detector._native._by_size) == 4
    assert networks_for((1000, 1500)) == 0  # takes the network of the oldest that there is no room for any more
    assert networks_for((480, 640), (150, 159), (1000, 1500)) == 0
    assert len(detector._native._by_size) == 3
    assert networks_for((1600, 1600)) == 0
    assert len(detector._native._by_size) == 1  # has no room beside any other
    assert networks_for((480, 640), (150, 159)) == 1


def test_threads_that_share_a_detector_find_what_one_finds() -> None:
    astronaut, detector = data.astronaut(), YuNetDetector()
    pictures = [np.ascontiguousarray(astronaut[: 512 - 40 * k, : 512 - 24 * k]) for k in range(4)]
    expected = [detector.detect([picture]).xyxy for picture in pictures]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda i: detector.detect([pictures[i % 4]]).xyxy, range(40)))
    for i, boxes in enumerate(found):
        np.testing.assert_array_equal(boxes, expected[i % 4])


def test_a_damaged_copy_of_what_comes_along_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "face_detection_yunet_2023mar.onnx"
    damaged.write_bytes(yunet._MODEL.read_bytes()[:-1])
    monkeypatch.setattr(yunet, "_MODEL", damaged)
    with pytest.raises(ModelFileError, match=r"exchanged or damaged.*expected 8f2383e4dd3c.*install ferbench again"):
        YuNetDetector().detect([picture()])
    damaged.unlink()
    with pytest.raises(ModelFileError, match=r"yunet_2023mar\.onnx is missing; install ferbench again"):
        YuNetDetector().detect([picture()])
