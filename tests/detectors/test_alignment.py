"""Eyes that are level: found on any detector's boxes, kept by saved pipelines and between two detections."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from ferbench.detectors.eyes import EyeFinder
from ferbench.faces import Faces
from ferbench.pipelines import Pipeline, load_pipeline, make_pipeline
from ferbench.realtime.frames import Frame
from ferbench.realtime.loop import FrameProcessor
from ferbench.registry import create

EYES = np.array([[282, 218], [358, 218]])
"""Where the drawn face has them."""


def fitted(detector: str, classifier: str = "majority", **options: str) -> Pipeline:
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (12, 48, 48), np.uint8)
    return make_pipeline(detector, "pixels", classifier, **options).fit(crops, ["happy", "sad", "neutral"] * 4)


@pytest.mark.parametrize("spec", ["haar", "haar(cascade=alt2)", "lbp-cascade", "dlib-hog"])
def test_eyes_are_found_whoever_drew_the_box(spec: str, face: np.ndarray) -> None:
    gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    detector = create("detectors", spec, align="eyes")
    faces = detector.detect([np.zeros((60, 60), np.uint8), gray, face]).largest_per_image()
    eyes = detector.find_eyes([np.zeros((60, 60), np.uint8), gray, face], faces)
    assert eyes.shape == (2, 2, 2)
    assert eyes.dtype == np.float32
    np.testing.assert_allclose(eyes[0], eyes[1])
    assert np.abs(eyes[0] - EYES).max() < 12


def test_boxes_at_and_beyond_the_border_have_eyes_somewhere(face: np.ndarray) -> None:
    boxes = [[-900, -900, -800, -800], [600, 440, 700, 540], [-50, -50, 5000, 5000], [3, 3, 3.5, 3.5]]
    faces = Faces.from_lists([np.array(boxes, np.float32)])
    assert np.isfinite(create("detectors", "haar").find_eyes([face], faces)).all()


@pytest.mark.parametrize("degrees", [-15, 15])
def test_a_tilted_head_is_cut_as_if_it_were_upright(degrees: float, face: np.ndarray) -> None:
    turn = cv2.getRotationMatrix2D((320, 240), degrees, 1.0)
    tilted = cv2.warpAffine(face, turn, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    level, plain = fitted("dlib-hog(align=eyes)"), fitted("dlib-hog")
    tilts = []
    for pipeline in (level, plain):
        faces = pipeline.detect([tilted]).largest_per_image()
        crop = pipeline.crop([tilted], faces)[0]
        whole = Faces.from_lists([[[0, 0, 480, 480]]])
        large = cv2.resize(crop, (480, 480), interpolation=cv2.INTER_CUBIC)
        points = EyeFinder().find([large], whole, scale=1.0, shift=0.0)[0]
        tilts.append(abs(np.degrees(np.arctan2(*(points[1] - points[0])[::-1]))))
    assert tilts[0] < 4
    assert tilts[1] > 10


def test_the_eyes_cost_time_of_the_align_stage(monkeypatch: pytest.MonkeyPatch, face: np.ndarray) -> None:
    def slow(self: EyeFinder, images: list[np.ndarray], faces: Faces, **geometry: float) -> np.ndarray:
        time.sleep(0.2)
        return np.tile(EYES.astype(np.float32), (len(faces), 1, 1))

    monkeypatch.setattr(EyeFinder, "find", slow)
    times = fitted("haar(align=eyes, min_size=150)").process([face]).times_ns
    assert times["align"] > 0.2e9
    assert times["total"] - times["detect"] > 0.2e9


def test_a_saved_pipeline_keeps_its_alignment(face: np.ndarray, tmp_path: Path) -> None:
    pipeline = fitted("haar(align=eyes)")
    again = load_pipeline(pipeline.save(tmp_path / "level"))
    assert again.id == pipeline.id == "haar(align=eyes)/pixels/majority@sklearn"
    tilted = np.ascontiguousarray(cv2.warpAffine(face, cv2.getRotationMatrix2D((320, 240), 10, 1.0), (640, 480)))
    faces = again.detect([tilted])
    assert len(faces) > 0
    np.testing.assert_array_equal(again.crop([tilted], faces), pipeline.crop([tilted], faces))
    assert (again.crop([tilted], faces) != fitted("haar").crop([tilted], faces)).any()


def blobs() -> np.ndarray:
    """A face as the stand-in for YuNet knows them, its surroundings of many grays."""
    rng = np.random.default_rng(0)
    image = np.repeat(rng.integers(0, 200, (224, 320, 1), np.uint8), 3, axis=2)
    image[..., 0] = 0
    image[96:128, 64:96] = (255, 0, 0)
    return image


@pytest.mark.parametrize("detector", ["yunet", "haar"])
def test_faces_stay_level_between_two_detections(detector: str, blob_net: Path, face: np.ndarray) -> None:
    image = blobs() if detector == "yunet" else face
    # Near a face, cells of the stand-in may hold half a blob: the high threshold leaves the whole ones.
    spec = f"yunet(model='{blob_net}', score_threshold=0.9" if detector == "yunet" else "haar(min_size=150"
    pipeline = fitted(f"{spec}, align=eyes)", "logistic-regression")
    processor = FrameProcessor(pipeline, smooth="none", detect_every=10)
    first, *others = (processor.process(Frame(i, None, image, "still")) for i in range(9))
    assert len(first.faces) == 1
    # A new face is looked for in each frame until it is sure; then it is followed without detection.
    assert sum(one.times_ms["detect"] == 0 for one in others) >= 4
    expected = first.faces[0].raw_probabilities
    upright = fitted(f"{spec})", "logistic-regression").predict(image)[0].probabilities
    for one in others:
        assert one.faces[0].raw_probabilities == pytest.approx(expected, abs=1e-3)
    assert upright != pytest.approx(expected, abs=1e-3)


def test_a_large_face_that_is_looked_for_in_its_place_stays_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a place, which is reduced, YuNet finds the face and not its tilt."""
    large = cv2.resize(data.astronaut()[40:210, 140:310], (480, 480), interpolation=cv2.INTER_CUBIC)
    turned = cv2.warpAffine(large, cv2.getRotationMatrix2D((240, 240), 25, 1.0), (480, 480), borderMode=1)
    pipeline, tilts = fitted("yunet(align=eyes)", "logistic-regression"), []

    def crop(images: list[np.ndarray], faces: Faces, made: Callable[..., np.ndarray] = pipeline.crop) -> np.ndarray:
        assert faces.landmarks is not None
        tilts.extend(np.degrees(np.arctan2(*(right - left)[::-1])) for left, right in faces.landmarks[:, :2])
        return made(images, faces)

    monkeypatch.setattr(pipeline, "crop", crop)
    processor = FrameProcessor(pipeline, smooth="none", detect_every=10)
    results = [processor.process(Frame(i, None, turned, "still")) for i in range(9)]
    assert [len(one.faces) for one in results] == [1] * 9
    assert any(one.times_ms["detect"] > 0 for one in results[1:])
    assert len(tilts) >= 8
    assert max(tilts) < -10


def test_a_missed_face_among_aligned_ones_is_the_whole_image(blob_net: Path) -> None:
    pipeline = fitted(f"yunet(model='{blob_net}', align=eyes)", on_no_face="whole")
    nothing = np.zeros((60, 60, 3), np.uint8)
    faces = pipeline.process([nothing, blobs(), nothing]).faces
    assert faces.image_index.tolist() == [0, 1, 2]
    assert faces.xyxy[2].tolist() == [0, 0, 60, 60]
    assert faces.landmarks is not None
    assert np.isnan(faces.landmarks).any(axis=(1, 2)).tolist() == [True, False, True]
    assert len(pipeline.process([nothing]).faces) == 1
