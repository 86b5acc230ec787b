"""What holds for every registered detector, and what each finds."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferbench.detectors.haar import HaarDetector
from ferbench.detectors.reduction import reduce_image
from ferbench.detectors.whole_image import WholeImage
from ferbench.errors import ParameterError
from ferbench.faces import Faces
from ferbench.registry import create
from ferbench.testing import ConformanceError, check_detector

SPECS = ["whole-image", "haar", "haar(max_side=64, min_size=20)", "dlib-hog", "dlib-hog(upsample=1, max_side=200)"]


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """(480, 640, 3) drawn face that both detectors find; its box is about (230, 150) to (410, 350)."""
    rng = np.random.default_rng(0)
    image = np.full((480, 640, 3), 90, np.uint8)
    cv2.ellipse(image, (320, 245), (95, 125), 0, 0, 360, (205, 170, 150), -1)
    cv2.ellipse(image, (320, 165), (98, 60), 0, 180, 360, (60, 45, 40), -1)
    for x in (282, 358):
        cv2.ellipse(image, (x, 218), (21, 9), 0, 0, 360, (245, 245, 245), -1)
        cv2.circle(image, (x, 218), 9, (40, 30, 30), -1)
        cv2.ellipse(image, (x, 202), (26, 9), 0, 190, 350, (70, 50, 45), 6)
        cv2.ellipse(image, (x, 224), (26, 16), 0, 200, 340, (150, 115, 100), 3)
    cv2.line(image, (320, 222), (314, 268), (165, 130, 115), 5)
    cv2.ellipse(image, (320, 272), (20, 8), 0, 10, 170, (140, 100, 90), 4)
    cv2.ellipse(image, (320, 308), (36, 12), 0, 0, 360, (150, 70, 75), -1)
    cv2.line(image, (286, 308), (354, 308), (90, 40, 45), 3)
    image = cv2.GaussianBlur(image, (0, 0), 3)
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("spec", SPECS)
def test_registered_detectors_keep_the_contract(spec: str) -> None:
    check_detector(spec)


def test_the_whole_image_is_the_face() -> None:
    faces = WholeImage().detect([np.zeros((48, 40), np.uint8), np.zeros((3, 2, 3), np.uint8)])
    assert faces.xyxy.tolist() == [[0, 0, 40, 48], [0, 0, 2, 3]]
    assert faces.score.tolist() == [1, 1]


@pytest.mark.parametrize("spec", ["haar", "dlib-hog"])
@pytest.mark.parametrize("max_side", [None, 320])
def test_a_face_is_found_where_it_is_whatever_the_reduction(spec: str, max_side: int | None, face: np.ndarray) -> None:
    detector = create("detectors", spec, max_side=max_side)
    large = cv2.resize(face, None, fx=2, fy=2)
    for image, factor in ((face, 1), (large, 2)):
        found = detector.detect([image]).largest_per_image()
        left, top, right, bottom = found.xyxy[0] / factor
        assert 180 < left < 260
        assert 90 < top < 220
        assert 380 < right < 460
        assert 300 < bottom < 400
        assert found.score[0] > 0


@pytest.mark.parametrize("spec", ["haar", "dlib-hog"])
def test_gray_and_colour_give_the_same_faces(spec: str, face: np.ndarray) -> None:
    detector = create("detectors", spec)
    gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    found = detector.detect([face, gray])
    assert found.image_index.tolist() == sorted([*found.image_index.tolist()])
    np.testing.assert_allclose(found.of_image(0).xyxy, found.of_image(1).xyxy)


@pytest.mark.parametrize("spec", ["haar", "dlib-hog"])
def test_images_without_a_face_keep_their_place_in_the_batch(spec: str, face: np.ndarray) -> None:
    found = create("detectors", spec).detect([np.zeros((99, 99), np.uint8), face, np.zeros((1, 1), np.uint8)])
    assert found.n_images == 3
    assert set(found.image_index.tolist()) == {1}


def test_haar_does_not_look_for_faces_below_the_smallest_size(face: np.ndarray) -> None:
    assert len(HaarDetector(min_size=100).detect([face])) >= 1
    assert len(HaarDetector(min_size=400).detect([face])) == 0


def test_reduction_keeps_the_aspect_and_returns_the_factor() -> None:
    reduced, factor = reduce_image(np.zeros((480, 640, 3), np.uint8), 320)
    assert reduced.shape == (240, 320, 3)
    assert factor == 2
    sliver, _ = reduce_image(np.zeros((1, 5000), np.uint8), 100)
    assert sliver.shape == (1, 100)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("haar(scale_factor=1)", "scale_factor"),
        ("haar(min_neighbors=0)", "min_neighbors"),
        ("haar(min_size=2.5)", "min_size"),
        ("haar(max_side=3)", "max_side"),
        ("dlib-hog(upsample=9)", "upsample"),
        ("dlib-hog(threshold=high)", "threshold"),
        ("dlib-hog(max_side=big)", "max_side"),
    ],
)
def test_bad_parameters_are_named_when_the_detector_is_used(spec: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        create("detectors", spec).detect([np.zeros((50, 50), np.uint8)])


def test_the_conformance_check_catches_a_detector_that_loses_images() -> None:
    class Losing(WholeImage):
        def detect(self, images: list[np.ndarray]) -> Faces:
            return super().detect(images[1:])

    with pytest.raises(ConformanceError, match="n_images"):
        check_detector(Losing())


@pytest.mark.realdata
@pytest.mark.parametrize(("spec", "least"), [("haar", 0.9), ("dlib-hog", 0.9)])
def test_faces_in_the_wild_are_found(spec: str, least: float, real_data: Path) -> None:
    with zipfile.ZipFile(real_data / "lfw-emotions.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".jpg"))[::10]
        images = [cv2.imdecode(np.frombuffer(archive.read(n), np.uint8), cv2.IMREAD_GRAYSCALE) for n in names]
    faces = create("detectors", spec).detect(images).largest_per_image()
    centres = (faces.xyxy[:, :2] + faces.xyxy[:, 2:]) / 2
    is_central = np.abs(centres - 175).max(axis=1) < 70
    assert is_central.sum() / len(images) >= least
