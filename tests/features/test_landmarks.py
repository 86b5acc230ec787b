"""Geometry of the 68 points: alignment equals scipy's, and place, size and tilt of the face do not matter."""

from __future__ import annotations

import pickle
from importlib.util import find_spec

import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.distance import pdist

from ferbench.errors import DataError, MissingDependencyError, ParameterError, ShapeError
from ferbench.features.landmarks import Landmarks, align_shapes, contour_angles, pair_distances

RNG = np.random.default_rng(0)
REFERENCE = RNG.normal(size=(68, 2)).astype(np.float32)
SHAPES = (REFERENCE + 0.2 * RNG.normal(size=(5, 68, 2))).astype(np.float32)

needs_model = pytest.mark.skipif(
    find_spec("dlib") is None or find_spec("face_recognition_models") is None, reason="needs the landmarks extra"
)


def moved(shapes: np.ndarray) -> np.ndarray:
    """The shapes turned by 25 degrees, three times as large, and elsewhere."""
    c, s = np.cos(np.deg2rad(25)), np.sin(np.deg2rad(25))
    return (3 * shapes @ np.array([[c, s], [-s, c]]) + [7, -2]).astype(np.float32)


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    from ferbench.datasets.synthetic import SyntheticFaces

    return np.asarray(SyntheticFaces(kind="crops", n_train=12).split("train").images)


def test_alignment_is_scipys_procrustes_analysis() -> None:
    for ours, shape in zip(align_shapes(SHAPES, REFERENCE), SHAPES, strict=True):
        theirs = procrustes(REFERENCE, shape)[1]
        np.testing.assert_allclose(ours, theirs / np.linalg.norm(theirs), atol=1e-5)


def test_place_size_and_tilt_do_not_matter() -> None:
    np.testing.assert_allclose(align_shapes(moved(SHAPES), REFERENCE), align_shapes(SHAPES, REFERENCE), atol=1e-5)
    np.testing.assert_allclose(pair_distances(moved(SHAPES)), pair_distances(SHAPES), atol=1e-5)
    np.testing.assert_allclose(contour_angles(moved(SHAPES)), contour_angles(SHAPES), atol=1e-5)


def test_distances_are_those_between_all_pairs_in_units_of_the_size() -> None:
    for ours, shape in zip(pair_distances(SHAPES), SHAPES, strict=True):
        np.testing.assert_allclose(ours, pdist(shape) / np.linalg.norm(shape - shape.mean(axis=0)), rtol=1e-4)


def test_a_line_turns_by_its_angles() -> None:
    shape = np.zeros((1, 68, 2), np.float32)
    shape[0, :17, 0] = np.arange(17)  # a straight jaw
    clockwise = 2 * np.pi * np.arange(6) / 6
    shape[0, 36:42] = np.stack([np.cos(clockwise), np.sin(clockwise)], axis=1)  # y points down: clockwise as seen
    shape[0, 42:48] = shape[0, 41:35:-1]  # and back
    turns = contour_angles(shape)[0]
    assert turns.shape == (58,)
    np.testing.assert_allclose(turns[:15], 0, atol=1e-6)
    eyes = 15 + 3 + 3 + 2 + 3
    np.testing.assert_allclose(turns[eyes : eyes + 6], 1 / 3, atol=1e-6)
    np.testing.assert_allclose(turns[eyes + 6 : eyes + 12], -1 / 3, atol=1e-6)


def test_coinciding_points_stay_finite() -> None:
    flat = np.ones((2, 68, 2), np.float32)
    for rows in (align_shapes(flat, REFERENCE), pair_distances(flat), contour_angles(flat)):
        assert np.isfinite(rows).all()


@pytest.mark.parametrize("parts", [[], "points", ["distances", "areas"]])
def test_unknown_parts_are_named(parts: object) -> None:
    with pytest.raises(ParameterError, match="coordinates"):
        Landmarks(parts=parts).fit(np.zeros((3, 48, 48), np.uint8))


def test_a_missing_model_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferbench.detectors.dlib_models.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"ferbench\[landmarks\]"):
        Landmarks().fit(np.zeros((3, 48, 48), np.uint8))


@needs_model
class TestWithDlib:
    """What needs dlib's predictor."""

    def test_it_keeps_the_contract(self) -> None:
        from ferbench.testing import check_features

        check_features("landmarks(parts=[angles, coordinates])")

    def test_parts_stand_side_by_side(self, crops: np.ndarray) -> None:
        features = Landmarks().fit(crops)
        rows = features.transform(crops)
        assert rows.shape == (len(crops), 136 + 2278 + 58)
        np.testing.assert_array_equal(rows[:, 136:-58], pair_distances(features.points(crops)))
        np.testing.assert_allclose(features.reference_.mean(axis=0), 0, atol=1e-6)
        assert np.linalg.norm(features.reference_) == pytest.approx(1, abs=1e-5)

    def test_eyes_are_above_the_mouth_and_left_of_each_other(self, crops: np.ndarray) -> None:
        points = Landmarks().points(crops)
        assert ((points > -0.2) & (points < 1.2)).all()
        eyes, mouth = points[:, 36:48].mean(axis=1), points[:, 48:].mean(axis=1)
        assert (eyes[:, 1] < mouth[:, 1]).all()
        assert (points[:, 36:42, 0].mean(axis=1) < points[:, 42:48, 0].mean(axis=1)).all()

    def test_the_native_handle_is_not_pickled(self, crops: np.ndarray) -> None:
        fitted = Landmarks("coordinates").fit(crops)
        loaded = pickle.loads(pickle.dumps(fitted))
        assert not hasattr(loaded, "_predictor")
        np.testing.assert_array_equal(loaded.transform(crops[:2]), fitted.transform(crops[:2]))

    def test_it_survives_saving_without_pickle(self, crops: np.ndarray) -> None:
        import skops.io

        from ferbench.classifiers.sklearn import TRUSTED_TYPES

        fitted = Landmarks("coordinates").fit(crops)
        loaded = skops.io.loads(skops.io.dumps(fitted), trusted=list(TRUSTED_TYPES))
        np.testing.assert_array_equal(loaded.transform(crops[:2]), fitted.transform(crops[:2]))

    def test_tiny_crops_and_no_crops_are_refused(self, crops: np.ndarray) -> None:
        with pytest.raises(ShapeError, match="at least 16"):
            Landmarks().fit(crops[:, :9, :9])
        with pytest.raises(DataError, match="mean shape"):
            Landmarks().fit(crops[:0])
