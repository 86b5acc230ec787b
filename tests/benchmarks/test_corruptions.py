"""Corruptions: known answers, reproducible, worse with each severity."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ferbench.benchmarks.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from ferbench.benchmarks.robustness import measure_robustness, parse_corruptions
from ferbench.datasets import load_dataset
from ferbench.errors import DataError, ParameterError, ShapeError, UnknownNameError
from ferbench.pipelines import make_pipeline

DATA = "synthetic(kind=crops, n_train=84, n_val=0, n_test=42)"
every = pytest.mark.parametrize("name", CORRUPTIONS)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return np.asarray(load_dataset(DATA, "test").images)


@every
@pytest.mark.parametrize("shape", [(3, 48, 48), (2, 64, 40), (1, 112, 112), (0, 48, 48), (2, 8, 8)])
def test_shape_and_type_stay_and_the_crops_are_left_alone(name: str, shape: tuple[int, int, int]) -> None:
    crops = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    before = crops.copy()
    for severity in SEVERITIES:
        spoilt = corrupt(crops, name, severity)
        assert spoilt.shape == shape
        assert spoilt.dtype == np.uint8
    np.testing.assert_array_equal(crops, before)


@every
def test_each_severity_is_farther_from_the_face_than_the_one_before(name: str, faces: np.ndarray) -> None:
    distance = [float(np.abs(corrupt(faces, name, s).astype(int) - faces).mean()) for s in SEVERITIES]
    assert distance[0] > 0.5
    assert distance == sorted(distance)
    assert len(set(distance)) == 5


@every
def test_faces_come_out_the_same_however_they_are_split(name: str, faces: np.ndarray) -> None:
    whole = corrupt(faces[:10], name, 3, seed=7)
    parts = [corrupt(faces[a:b], name, 3, seed=7, index=a) for a, b in ((0, 1), (1, 7), (7, 10))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(corrupt(faces[:10], name, 3, seed=7), whole)
    some = np.array([8, 2, 5])
    np.testing.assert_array_equal(corrupt(faces[some], name, 3, seed=7, index=some), whole[some])


@pytest.mark.parametrize("name", ["noise", "motion-blur", "low-light", "occlusion", "rotation", "misplaced-box"])
def test_the_seed_and_the_index_decide_what_is_random(name: str, faces: np.ndarray) -> None:
    same = np.repeat(faces[:1], 12, axis=0)
    drawn = corrupt(same, name, 4, seed=1)
    assert len(np.unique(drawn.reshape(12, -1), axis=0)) > 1
    assert not np.array_equal(drawn, corrupt(same, name, 4, seed=2))


def test_known_answers() -> None:
    gray = np.full((1, 48, 48), 100, np.uint8)
    half = np.zeros((1, 48, 48), np.uint8)
    half[:, :, 24:] = 200
    assert (corrupt(gray, "over-exposure", 3) == 200).all()
    assert (corrupt(gray, "over-exposure", 5) == 255).all()
    # About the mean of 100, half of the contrast is left.
    assert np.unique(corrupt(half, "contrast", 2)).tolist() == [50, 150]
    # What is uniform has nothing to blur, to turn or to lose in size.
    for name in ("motion-blur", "defocus-blur", "rotation", "down-scaling", "misplaced-box", "contrast"):
        assert (corrupt(gray, name, 5) == 100).all(), name
    many = np.repeat(gray, 50, axis=0)
    noisy = corrupt(many, "noise", 3).astype(float)
    assert noisy.std() == pytest.approx(0.10 * 255, rel=0.03)
    dark = corrupt(many, "low-light", 5).astype(float)
    assert dark.mean() == pytest.approx(10, rel=0.03)
    # Poisson: 100/255 of 400 photons, a tenth of them; variance in gray levels.
    assert dark.var() == pytest.approx(100 / 255 * 40 * (255 / 400) ** 2, rel=0.1)


def test_an_occlusion_covers_eyes_or_mouth_by_its_share() -> None:
    faces = np.random.default_rng(0).integers(0, 256, (60, 100, 100), dtype=np.uint8)
    spoilt = corrupt(faces, "occlusion", 3)
    middles = set()
    for before, after in zip(faces, spoilt, strict=True):
        rows, columns = np.nonzero(before != after)
        assert np.ptp(rows) + 1 == pytest.approx(22, abs=1)
        assert np.ptp(columns) + 1 == pytest.approx(80, abs=1)
        middles.add(round(float(rows.min() + rows.max() + 1) / 2))
    assert middles == {38, 76}


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name != "jpeg"])
def test_a_larger_face_is_spoilt_alike(name: str, faces: np.ndarray) -> None:
    """Enlarging a face, spoiling it and making it small again takes about as much from it as spoiling it small.

    Not so JPEG, whose blocks have 8 pixels whatever the size.
    """
    large = np.stack([cv2.resize(face, (144, 144), interpolation=cv2.INTER_CUBIC) for face in faces])
    spoilt = corrupt(large, name, 4).reshape(len(faces), 48, 3, 48, 3).mean(axis=(2, 4))
    damage = np.abs(spoilt - faces).mean()
    assert damage == pytest.approx(np.abs(corrupt(faces, name, 4).astype(float) - faces).mean(), rel=0.15)


PATTERN = np.add.outer(np.arange(48) * 3, np.arange(48) * 2).astype(np.uint8) ^ np.uint8(37)
NOTED = {
    "noise": (119.294, 106.643),
    "motion-blur": (118.228, 109.771),
    "defocus-blur": (118.207, 110.014),
    "low-light": (21.306, 20.0),
    "over-exposure": (214.797, 206.114),
    "contrast": (118.215, 116.429),
    "jpeg": (118.759, 110.986),
    "occlusion": (138.828, 130.429),
    "rotation": (113.086, 104.543),
    "down-scaling": (118.683, 110.8),
    "misplaced-box": (89.819, 84.443),
}
"""Mean of the whole pattern, and of some of its pixels."""


@every
def test_another_machine_draws_the_same(name: str) -> None:
    """Figures of a fixed pattern, noted once: a library that draws or rounds otherwise must not go unnoticed."""
    spoilt = corrupt(PATTERN[None], name, 4, seed=11).astype(float)
    assert (spoilt.mean(), spoilt[0, ::7, ::5].mean()) == pytest.approx(NOTED[name], abs=0.05)


def test_what_cannot_be_asked_is_said() -> None:
    crops = np.zeros((1, 48, 48), np.uint8)
    with pytest.raises(ParameterError, match="1 to 5"):
        corrupt(crops, "noise", 0)
    with pytest.raises(UnknownNameError, match="did you mean 'noise'"):
        corrupt(crops, "noice", 1)
    with pytest.raises(ShapeError):
        corrupt(crops[0], "noise", 1)
    with pytest.raises(ParameterError, match="no corruption"):
        parse_corruptions(",")
    assert parse_corruptions("jpeg, noise") == ("noise", "jpeg")
    assert parse_corruptions("all") == tuple(CORRUPTIONS)


def test_the_documentation_has_every_parameter() -> None:
    page = (Path(__file__).parents[2] / "docs" / "robustness.md").read_text(encoding="utf-8")
    for kind in CORRUPTIONS.values():
        values = " | ".join(f"{value:g}" for value in kind.values)
        assert f"| `{kind.name}`: {kind.title} | {kind.parameter} | {values} |" in page


def test_robustness_is_accuracy_on_spoilt_faces() -> None:
    train, test = load_dataset(DATA, "train"), load_dataset(DATA, "test")
    pipeline = make_pipeline("whole-image", "hog", "linear-svm").fit(train)
    done: list[int] = []
    found = measure_robustness(pipeline, test, ("noise", "contrast"), seed=4, on_progress=done.append)
    assert sum(done) == 42 * 11
    clean = np.asarray(pipeline.labels)[pipeline.classify(np.asarray(test.images)).argmax(axis=1)] == test.labels
    done.clear()
    assert (
        measure_robustness(pipeline, test, ("noise", "contrast"), seed=4, clean=clean, on_progress=done.append) == found
    )
    assert sum(done) == 42 * 10
    with pytest.raises(ParameterError, match="differ in number"):
        measure_robustness(pipeline, test, ("noise",), clean=clean[:-1])
    by_hand = []
    for name in ("noise", "contrast"):
        for severity in SEVERITIES:
            p = pipeline.classify(corrupt(np.asarray(test.images), name, severity, seed=4))
            by_hand.append(float((np.asarray(pipeline.labels)[p.argmax(axis=1)] == test.labels).mean()))
    assert [*found.accuracy["noise"], *found.accuracy["contrast"]] == pytest.approx(by_hand)
    assert found.mean.value == pytest.approx(np.mean(by_hand))
    assert found.relative.value == pytest.approx(found.mean.value / found.clean.value)
    assert found.mean.low is not None
    assert found.mean.high is not None
    assert found.mean.low < found.mean.value < found.mean.high
    assert found.interval_over == "subjects"


def test_a_pipeline_that_ignores_the_face_loses_nothing() -> None:
    pipeline = make_pipeline("majority").fit(load_dataset(DATA, "train"))
    found = measure_robustness(pipeline, load_dataset(DATA, "test"), ("jpeg",))
    assert (found.relative.value, found.relative.low, found.relative.high) == (1.0, 1.0, 1.0)


def test_photographs_are_refused() -> None:
    pipeline = make_pipeline("majority").fit(load_dataset(DATA, "train"))
    with pytest.raises(DataError, match="face crops"):
        measure_robustness(pipeline, load_dataset("synthetic(n_train=0, n_val=0, n_test=7)", "test"))
