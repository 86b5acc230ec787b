"""The generated faces: same everywhere, true to their labels, found by detectors, neither trivial nor hopeless."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ferbench.contracts import Dataset
from ferbench.datasets.synthetic import ACTION_UNITS, PROTOTYPES, SyntheticFaces, scene
from ferbench.datasets.synthetic.geometry import face_shape
from ferbench.datasets.synthetic.identity import make_identity
from ferbench.datasets.synthetic.units import activate
from ferbench.errors import DataError, FerbenchError, UnknownNameError
from ferbench.labels import FER7

SMALL = {"n_train": 28, "n_val": 14, "n_test": 14}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERBENCH_CACHE", str(tmp_path / "cache"))


def overlap(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Intersection over union of two xyxy boxes."""
    p, q = np.asarray(a, float), np.asarray(b, float)
    w, h = np.maximum(np.minimum(p[2:], q[2:]) - np.maximum(p[:2], q[:2]), 0)
    areas = [float(np.prod(r[2:] - r[:2])) for r in (p, q)]
    return float(w * h / (sum(areas) - w * h))


# -- action units --------------------------------------------------------------------------------------------------


def test_every_expression_has_a_prototype_of_known_units() -> None:
    assert set(PROTOTYPES) == set(FER7)
    for prototype in PROTOTYPES.values():
        assert set(prototype.core) | set(prototype.optional) <= set(ACTION_UNITS)
        assert all(0 < strength <= 1 for strength in prototype.core.values())


@pytest.mark.parametrize(
    ("expression", "units"),
    [
        ("happy", {6, 12}),
        ("surprise", {1, 2, 5, 26}),
        ("sad", {1, 4, 15}),
        ("fear", {1, 2, 4, 5, 20}),
        ("angry", {4, 5, 7, 23}),
        ("disgust", {9, 15, 16}),
        ("neutral", set()),
    ],
)
def test_prototypes_hold_the_units_of_emfacs(expression: str, units: set[int]) -> None:
    assert units <= set(PROTOTYPES[expression].core)


def test_the_facs_table_names_its_units() -> None:
    wanted = {1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 20, 23, 24, 25, 26}
    assert wanted <= set(ACTION_UNITS)
    assert ACTION_UNITS[12].name == "lip corner puller"
    assert all(unit.number == number and unit.name and unit.effect for number, unit in ACTION_UNITS.items())


@pytest.mark.parametrize("number", sorted(ACTION_UNITS))
def test_every_unit_moves_the_face(number: int) -> None:
    from ferbench.datasets.synthetic.portrait import Portrait, draw_portrait
    from ferbench.datasets.synthetic.pose import Pose

    who = make_identity(0, 5)
    pictures = []
    for units in ({}, {number: 1.0}):
        # Lips must be apart for teeth to show and closed to be pressed: 16 and others act on their own all the same.
        pictures.append(np.full((160, 160, 3), 128, np.uint8))
        draw_portrait(pictures[-1], Portrait(who, units, Pose(80, 80, 48)))
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() > 20


def test_units_move_what_facs_says() -> None:
    who = make_identity(0, 3)
    rest = face_shape(who, {})
    assert face_shape(who, {1: 1.0}).brows[0][0, 1] < rest.brows[0][0, 1]
    assert face_shape(who, {2: 1.0}).brows[0][-1, 1] < rest.brows[0][-1, 1]
    assert face_shape(who, {4: 1.0}).brows[1][0, 0] < rest.brows[1][0, 0]
    assert (
        face_shape(who, {5: 1.0}).eyes[0].openness > rest.eyes[0].openness > face_shape(who, {7: 1.0}).eyes[0].openness
    )
    assert face_shape(who, {12: 1.0}).mouth.corners[0, 1] < rest.mouth.corners[0, 1]
    assert face_shape(who, {15: 1.0}).mouth.corners[0, 1] > rest.mouth.corners[0, 1]
    assert np.ptp(face_shape(who, {20: 1.0}).mouth.corners[:, 0]) > np.ptp(rest.mouth.corners[:, 0])
    assert face_shape(who, {26: 1.0}).mouth.gap > face_shape(who, {25: 1.0}).mouth.gap > rest.mouth.gap == 0
    assert face_shape(who, {26: 1.0}).chin > rest.chin


def test_activation_follows_intensity_and_stays_in_range() -> None:
    strong = [activate("happy", 1.0, np.random.default_rng(i))[12] for i in range(40)]
    weak = [activate("happy", 0.3, np.random.default_rng(i))[12] for i in range(40)]
    assert np.mean(strong) > 2 * np.mean(weak)
    assert min(weak) >= 0
    assert max(strong) <= 1


def test_an_unknown_expression_is_named() -> None:
    with pytest.raises(UnknownNameError, match="'happyy'; did you mean 'happy'"):
        activate("happyy", 1.0, np.random.default_rng(0))


# -- dataset -------------------------------------------------------------------------------------------------------


def test_it_is_a_dataset_and_says_that_it_is_synthetic() -> None:
    faces = SyntheticFaces(**SMALL)
    assert isinstance(faces, Dataset)
    assert faces.info.is_synthetic
    assert faces.info.label_space is FER7
    assert "generated" in faces.info.licence
    assert "synthetic" in faces.info.title.lower()


def test_the_same_seed_gives_the_same_pixels_in_any_order() -> None:
    one = SyntheticFaces(**SMALL, cache=False).split("test").images
    other = SyntheticFaces(**SMALL, cache=False).split("test").images
    backwards = {i: other[i] for i in reversed(range(0, 14, 3))}
    for i, image in backwards.items():
        np.testing.assert_array_equal(one[i], image)
    assert one[0].shape == (240, 320, 3)
    assert one[0].dtype == np.uint8


def test_the_cache_changes_nothing(tmp_path: Path) -> None:
    drawn = SyntheticFaces(**SMALL, cache=False).split("val").images[3]
    cached = SyntheticFaces(**SMALL)
    np.testing.assert_array_equal(cached.split("val").images[3], drawn)
    np.testing.assert_array_equal(cached.split("val").images[3], drawn)
    assert len(list(tmp_path.rglob("val-000003.jpg"))) == 1


def test_a_smaller_dataset_is_the_beginning_of_a_larger_one() -> None:
    small, large = (SyntheticFaces(n_train=n, n_val=0, n_test=0, cache=False).split("train") for n in (5, 20))
    np.testing.assert_array_equal(small.images[4], large.images[4])
    np.testing.assert_array_equal(small.boxes, large.boxes[:5])


def test_another_seed_gives_other_pictures_and_another_revision() -> None:
    one, other = SyntheticFaces(**SMALL, cache=False), SyntheticFaces(**SMALL, seed=1, cache=False)
    assert one.revision != other.revision
    assert (one.split("val").images[0] != other.split("val").images[0]).any()
    assert one.revision == SyntheticFaces(**SMALL, cache=False).revision


def test_splits_share_no_subject_and_labels_are_balanced() -> None:
    faces = SyntheticFaces(n_train=140, n_val=35, n_test=70, cache=False)
    splits = {name: faces.split(name) for name in ("train", "val", "test")}
    people = [set(samples.subjects) for samples in splits.values()]
    assert not people[0] & people[1]
    assert not people[0] & people[2]
    assert not people[1] & people[2]
    for name, samples in splits.items():
        labels, counts = np.unique(samples.labels, return_counts=True)
        assert dict(zip(labels.tolist(), counts.tolist(), strict=True)) == faces.info.official_counts[name]
        assert counts.max() == counts.min()
    one = splits["train"].subjects == splits["train"].subjects[0]
    assert set(splits["train"].labels[one]) == set(FER7)


def test_all_joins_the_splits_with_ids_of_their_own() -> None:
    faces = SyntheticFaces(**SMALL, cache=False)
    everything = faces.split("all")
    assert len(everything) == 56 == len(set(everything.ids))
    np.testing.assert_array_equal(everything.images[28 + 14 + 2], faces.split("test").images[2])
    np.testing.assert_array_equal(everything.images[-1], faces.split("test").images[13])
    assert len(everything.subset([0, 55]).images[1]) == 240


def test_true_boxes_lie_inside_the_picture_around_a_face() -> None:
    samples = SyntheticFaces(n_train=210, n_val=0, n_test=0, cache=False).split("train")
    assert samples.boxes is not None
    x0, y0, x1, y1 = samples.boxes.T
    assert (x0 >= 0).all()
    assert (y0 >= 0).all()
    assert (x1 <= 320).all()
    assert (y1 <= 240).all()
    height, width = y1 - y0, x1 - x0
    assert (height > 0.35 * 240).all()
    assert ((width / height) > 0.7).all()
    assert ((width / height) < 1.2).all()


def test_crops_are_one_gray_array() -> None:
    faces = SyntheticFaces(**SMALL, kind="crops")
    samples = faces.split("train")
    assert isinstance(samples.images, np.ndarray)
    assert samples.images.shape == (28, 48, 48)
    assert samples.images.dtype == np.uint8
    assert samples.images.std(axis=(1, 2)).min() > 8
    np.testing.assert_array_equal(faces.split("train").images, samples.images)
    assert faces.revision != SyntheticFaces(**SMALL).revision


def test_crops_of_all_splits_join() -> None:
    assert len(SyntheticFaces(**SMALL, kind="crops", cache=False).split("all").images) == 56


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_train": -1}, "n_train"),
        ({"n_test": 2.5}, "n_test"),
        ({"kind": "video"}, "'photos' or 'crops'"),
        ({"size": (20, 240)}, "size of generated pictures"),
        ({"size": 320}, "size of generated pictures"),
        ({"intensity": (0.9, 0.2)}, "intensity"),
        ({"intensity": 0.5}, "intensity"),
        ({"occlusion": "often"}, "occlusion"),
        ({"occlusion": 3}, "occlusion"),
        ({"images_per_subject": 0}, "images_per_subject"),
    ],
)
def test_a_wrong_parameter_is_one_clear_line(params: dict[str, object], message: str) -> None:
    with pytest.raises(FerbenchError, match=message) as caught:
        SyntheticFaces(**params)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_split_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'test'"):
        SyntheticFaces(**SMALL).split("tset")


def test_a_damaged_cache_is_reported(tmp_path: Path) -> None:
    faces = SyntheticFaces(**SMALL)
    faces.split("val").images[0]
    next(tmp_path.rglob("val-000000.jpg")).write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"damaged.*val-000000\.jpg"):
        faces.split("val").images[0]


# -- scenes --------------------------------------------------------------------------------------------------------


def test_a_scene_of_several_people_knows_them_all() -> None:
    image, boxes, labels, subjects = scene(3, (960, 480), 3, labels=["happy", "sad", "fear"], subjects=[1, 2, 3])
    assert image.shape == (480, 960, 3)
    assert labels == ("happy", "sad", "fear")
    assert len(set(subjects)) == 3
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert max(overlap(boxes[i], boxes[j]) for i in range(3) for j in range(i)) < 0.1


def test_a_scene_without_people_is_only_background() -> None:
    image, boxes, labels, _ = scene(4, n_faces=0)
    assert image.shape == (480, 640, 3)
    assert boxes.shape == (0, 4)
    assert labels == ()


def test_a_person_looks_alike_in_two_scenes_and_unlike_another() -> None:
    assert make_identity(0, 9) == make_identity(0, 9)
    assert make_identity(0, 9) != make_identity(0, 10)
    assert make_identity(0, 9) != make_identity(1, 9)


@pytest.mark.parametrize("arguments", [{"labels": ["happy", "sad"]}, {"n_faces": 1000}, {"labels": ["joy"]}])
def test_an_impossible_scene_is_an_error(arguments: dict[str, object]) -> None:
    with pytest.raises(FerbenchError):
        scene(0, **arguments)  # type: ignore[arg-type]


@pytest.mark.slow
def test_haar_finds_the_faces() -> None:
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    found = 0
    for seed in range(64):
        image, boxes, _, _ = scene(10_000 + seed)
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        hits = cascade.detectMultiScale(gray, 1.1, 5, minSize=(60, 60))
        found += any(overlap((x, y, x + w, y + h), boxes[0]) >= 0.4 for x, y, w, h in hits)
    assert found >= 0.95 * 64


@pytest.mark.slow
def test_dlib_finds_the_faces() -> None:
    dlib = pytest.importorskip("dlib", reason="dlib is not installed: pip install 'ferbench[dlib]'")
    detector = dlib.get_frontal_face_detector()
    found = 0
    for seed in range(64):
        image, boxes, _, _ = scene(10_000 + seed)
        hits = [(r.left(), r.top(), r.right(), r.bottom()) for r in detector(image, 0)]
        found += any(overlap(hit, boxes[0]) >= 0.4 for hit in hits)
    assert found >= 0.95 * 64


@pytest.mark.slow
def test_a_plain_classifier_is_far_above_chance_and_below_perfect() -> None:
    from sklearn.linear_model import RidgeClassifier

    faces = SyntheticFaces(n_train=840, n_val=0, n_test=350, kind="crops", cache=False)
    hog = cv2.HOGDescriptor((48, 48), (16, 16), (8, 8), (8, 8), 9)
    train, test = faces.split("train"), faces.split("test")
    features = [np.array([hog.compute(crop).ravel() for crop in samples.images]) for samples in (train, test)]
    model = RidgeClassifier(alpha=30.0).fit(features[0], train.labels)
    accuracy = model.score(features[1], test.labels)
    assert 0.55 < accuracy < 0.95
