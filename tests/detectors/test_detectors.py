"""What holds for every registered detector, and what each finds."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferbench.detectors.haar import HaarDetector
from ferbench.detectors.reduction import reduce_image
from ferbench.detectors.whole_image import WholeImage
from ferbench.errors import MissingDependencyError, ModelFileError, ParameterError, UnknownNameError
from ferbench.faces import Faces, box_iou
from ferbench.registry import create
from ferbench.testing import ConformanceError, check_detector

SPECS = [
    "whole-image",
    "haar",
    "haar(max_side=64, min_size=20)",
    "haar(cascade=profile, min_size=20)",
    "haar(align=eyes)",
    "lbp-cascade",
    "dlib-hog",
    "dlib-hog(upsample=1, max_side=200)",
    "dlib-cnn(max_side=120)",
]


@pytest.mark.parametrize("spec", SPECS)
def test_registered_detectors_keep_the_contract(spec: str) -> None:
    check_detector(spec)


def test_the_whole_image_is_the_face() -> None:
    faces = WholeImage().detect([np.zeros((48, 40), np.uint8), np.zeros((3, 2, 3), np.uint8)])
    assert faces.xyxy.tolist() == [[0, 0, 40, 48], [0, 0, 2, 3]]
    assert faces.score.tolist() == [1, 1]


@pytest.mark.parametrize("spec", ["haar", "haar(cascade=alt2)", "lbp-cascade", "dlib-hog"])
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


@pytest.mark.parametrize("spec", ["haar", "lbp-cascade", "dlib-hog", "dlib-cnn(max_side=320)"])
def test_gray_and_colour_give_the_same_faces(spec: str, face: np.ndarray) -> None:
    detector = create("detectors", spec)
    gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    found = detector.detect([face, gray])
    assert found.image_index.tolist() == sorted([*found.image_index.tolist()])
    assert len(found.of_image(0)) > 0
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


@settings(deadline=None)
@given(
    width=st.integers(1, 900),
    height=st.integers(1, 900),
    max_side=st.integers(32, 700),
    box=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_boxes_of_a_reduced_image_come_back_to_their_place(width, height, max_side, box) -> None:
    reduced, factor = reduce_image(np.zeros((height, width), np.uint8), max_side)
    assert max(reduced.shape) == min(max_side, max(width, height))
    # The same place in both images, in shares of the sides; a side cannot be reduced to less than a pixel.
    shares = np.array(box)
    back = shares * np.tile(reduced.shape[::-1], 2) * factor
    slack = factor / 2 if min(reduced.shape) > 1 else factor
    assert np.abs(back - shares * np.tile([width, height], 2)).max() <= slack + 1e-6


@pytest.mark.parametrize("spec", ["haar(min_size=20)", "lbp-cascade(min_size=20)", "dlib-hog(upsample=1)"])
def test_a_large_image_gives_the_boxes_of_the_reduced_one(spec: str, face: np.ndarray) -> None:
    reduced, factor = reduce_image(face, 300)
    small = create("detectors", spec, max_side=None).detect([reduced])
    large = create("detectors", spec, max_side=300).detect([face])
    assert len(small) > 0
    if "min_size" in spec:  # which is in pixels of the image given: 20 of the whole one are below the window
        assert len(large) >= len(small)
    best = large.largest_per_image().xyxy
    np.testing.assert_allclose(best, small.largest_per_image().xyxy * factor, rtol=1e-5)


def test_profiles_are_found_whichever_way_they_look(profile: np.ndarray) -> None:
    detector = HaarDetector("profile", min_neighbors=1)
    mirrored = np.ascontiguousarray(profile[:, ::-1])
    found = [detector.detect([image]) for image in (profile, mirrored)]
    assert len(found[0]) == len(found[1]) > 0
    left, top, right, bottom = found[0].xyxy[0]
    width = profile.shape[1]
    np.testing.assert_allclose(found[1].xyxy[0], [width - right, top, width - left, bottom], atol=2)


def test_a_cascade_brings_its_own_crop() -> None:
    assert HaarDetector().crop_scale == 1.03
    assert len({(HaarDetector(name).crop_scale, HaarDetector(name).crop_shift) for name in ("default", "profile")}) == 2


def test_the_cascade_of_binary_patterns_agrees_with_scikit_image(face: np.ndarray) -> None:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    (theirs, *_) = Cascade(lbp_frontal_face_cascade_filename()).detect_multi_scale(
        img=gray, scale_factor=1.1, step_ratio=1, min_size=(120, 120), max_size=(400, 400)
    )
    mine = create("detectors", "lbp-cascade").detect([gray]).largest_per_image().xyxy
    x, y, w, h = (theirs[name] for name in ("c", "r", "width", "height"))
    assert box_iou(mine, [[x, y, x + w, y + h]])[0, 0] > 0.7


def test_images_of_one_size_are_detected_together_as_they_are_alone(face: np.ndarray) -> None:
    small = cv2.resize(face, (280, 210), interpolation=cv2.INTER_AREA)
    other = cv2.resize(face, (240, 180), interpolation=cv2.INTER_AREA)
    images = [small, other, np.zeros((8, 8), np.uint8), np.ascontiguousarray(small[:, ::-1])]
    detector = create("detectors", "dlib-cnn")
    together = detector.detect(images)
    assert set(together.image_index.tolist()) == {0, 1, 3}
    for i in (1, 3):
        np.testing.assert_array_equal(together.of_image(i).xyxy, detector.detect([images[i]]).xyxy)


@pytest.mark.parametrize("spec", ["dlib-cnn", "haar(align=eyes)"])
def test_a_missing_model_file_is_named_with_its_extra(
    spec: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ferbench.detectors.dlib_models.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"ferbench\[landmarks\]"):
        create("detectors", spec).detect([])
    empty = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr("ferbench.detectors.dlib_models.find_spec", lambda name: empty)
    with pytest.raises(ModelFileError, match=r"\.dat is missing"):
        create("detectors", spec).detect([])


def test_dlib_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(MissingDependencyError, match="dlib, which is not installed"):
        create("detectors", "dlib-cnn").detect([])


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
        ("dlib-hog(align=nose)", "align"),
        ("haar(cascade=3)", "cascade"),
        ("lbp-cascade(scale_factor=True)", "scale_factor"),
        ("dlib-cnn(upsample=4)", "upsample"),
    ],
)
def test_bad_parameters_are_named_when_the_detector_is_used(spec: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        create("detectors", spec).detect([np.zeros((50, 50), np.uint8)])


def test_an_unknown_cascade_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'profile'"):
        create("detectors", "haar(cascade=profil)").detect([])


def test_the_conformance_check_catches_a_detector_that_loses_images() -> None:
    class Losing(WholeImage):
        def detect(self, images: list[np.ndarray]) -> Faces:
            return super().detect(images[1:])

    with pytest.raises(ConformanceError, match="n_images"):
        check_detector(Losing())


@pytest.mark.realdata
@pytest.mark.parametrize(("spec", "least"), [("haar", 0.9), ("lbp-cascade", 0.7), ("dlib-hog", 0.9)])
def test_faces_in_the_wild_are_found(spec: str, least: float, real_data: Path) -> None:
    with zipfile.ZipFile(real_data / "lfw-emotions.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".jpg"))[::10]
        images = [cv2.imdecode(np.frombuffer(archive.read(n), np.uint8), cv2.IMREAD_GRAYSCALE) for n in names]
    faces = create("detectors", spec).detect(images).largest_per_image()
    centres = (faces.xyxy[:, :2] + faces.xyxy[:, 2:]) / 2
    is_central = np.abs(centres - 175).max(axis=1) < 70
    assert is_central.sum() / len(images) >= least
