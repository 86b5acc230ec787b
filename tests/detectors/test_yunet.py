"""YuNet's adapter, on a stand-in network with known answers."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

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
    assert len(YuNetDetector(blob_net).detect([weak])) == 0
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
    with pytest.raises(ParameterError, match=r"yunet\(model="):
        YuNetDetector().detect(image)
    with pytest.raises(ModelFileError, match=r"absent\.onnx does not exist"):
        YuNetDetector(tmp_path / "absent.onnx").detect(image)
    text = tmp_path / "text.onnx"
    text.write_text("no network")
    for file in (text, other_net):
        with pytest.raises(ModelFileError, match="no YuNet"):
            YuNetDetector(file).detect(image)
    for name in ("score_threshold", "nms_threshold"):
        with pytest.raises(ParameterError, match=name):
            YuNetDetector(other_net, **{name: 1.5}).detect(image)
