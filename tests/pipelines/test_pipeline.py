from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from ferbench.datasets import load_dataset
from ferbench.errors import (
    FerbenchError,
    LabelError,
    MissingDependencyError,
    ModelFileError,
    NoFaceError,
    NotFittedError,
    ParameterError,
    ShapeError,
    UnknownNameError,
)
from ferbench.labels import FER7, LabelSpace
from ferbench.pipelines import make_pipeline
from ferbench.registry import Entry
from ferbench.samples import Samples
from tests.pipelines.conftest import LABELS, striped_crops


@pytest.fixture(scope="module")
def fitted():
    return make_pipeline("haar", "hog", "linear-svm").fit(*striped_crops(90))


def test_probabilities_follow_the_label_space_not_the_alphabet(fitted) -> None:
    crops, labels = striped_crops(30, seed=1)
    p = fitted.classify(crops)
    assert fitted.labels == FER7.labels
    assert p.shape == (30, 7)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    assert np.mean(FER7.decode(p.argmax(axis=1)) == labels) > 0.9
    never_learnt = [i for i, name in enumerate(FER7) if name not in LABELS]
    assert (p[:, never_learnt] == 0).all()


@pytest.mark.parametrize("call", [lambda: make_pipeline(5), lambda: make_pipeline("hog", "knn", input_size="48")])
def test_what_is_no_name_and_no_size_is_said(call) -> None:
    with pytest.raises(ParameterError, match="got"):
        call()


def test_from_the_crop_onwards_it_is_a_scikit_learn_estimator(fitted) -> None:
    crops, labels = striped_crops(60, seed=2)
    assert cross_val_score(clone(fitted.estimator_), crops, labels, cv=3).mean() > 0.8


def test_fit_from_cached_features_equals_fit(fitted) -> None:
    crops, labels = striped_crops(90)
    other = make_pipeline("haar", "hog", "linear-svm")
    assert other.has_cacheable_features
    other.fit_from_features(other.features_of(crops), labels, label_space=FER7)
    np.testing.assert_allclose(other.classify(crops), fitted.classify(crops), atol=1e-6)
    np.testing.assert_allclose(other.classify_features(other.features_of(crops)), fitted.classify(crops), atol=1e-6)
    assert not make_pipeline("pca(n_components=5)", "linear-svm").has_cacheable_features


def test_process_times_every_stage_of_a_crop(fitted) -> None:
    crops, _ = striped_crops(4)
    done = fitted.process(list(crops), detector_bypassed=True)
    np.testing.assert_allclose(done.probabilities, fitted.classify(crops), atol=1e-6)
    assert set(done.times_ns) == {"detect", "align", "features", "classify", "total"}
    assert done.times_ns["total"] == sum(v for k, v in done.times_ns.items() if k != "total")
    assert done.faces.xyxy.tolist() == [[0, 0, 48, 48]] * 4


def test_an_image_without_a_face_is_skipped_taken_whole_or_refused(fitted) -> None:
    blank = np.zeros((200, 200, 3), np.uint8)
    assert fitted.predict(blank) == []
    pipeline = make_pipeline("haar", "hog", "linear-svm", on_no_face="whole").fit(*striped_crops(30))
    (face,) = pipeline.predict(blank)
    assert face.box == (0, 0, 200, 200)
    assert face.detection_score == 0
    assert face.label in FER7
    pipeline.on_no_face = "raise"
    with pytest.raises(NoFaceError, match="1 of 1 images"):
        pipeline.predict(blank)


def test_a_whole_image_is_not_cut_by_the_detectors_geometry() -> None:
    pipeline = make_pipeline("haar", "pixels", "knn(n_neighbors=1)", on_no_face="whole").fit(*striped_crops(30))
    pipeline.crop_scale, pipeline.crop_shift = 2.0, -0.3
    crops, labels = striped_crops(3)
    for crop, label in zip(crops, labels, strict=True):
        (face,) = pipeline.predict(crop)
        assert face.label == label


def test_parameter_values_that_cannot_be_are_named_before_any_work() -> None:
    with pytest.raises(ParameterError, match="n_neighbors"):
        make_pipeline("hog", "knn(n_neighbors=0)").fit(*striped_crops(12))


def test_predictions_name_their_label(fitted) -> None:
    crops, labels = striped_crops(1)
    whole = make_pipeline("hog", "linear-svm").fit(*striped_crops(90))
    (face,) = whole.predict(crops[0])
    assert face.label == labels[0]
    assert face.probability == max(face.probabilities.values())
    assert list(face.probabilities) == list(FER7)


def test_label_space_may_be_given_and_is_checked() -> None:
    crops, _ = striped_crops(30)
    own = LabelSpace("MOODS", ("calm", "tense", "other"))
    names = np.asarray(own.labels)[np.arange(30) % 3]
    assert make_pipeline("hog", "linear-svm", label_space=own).fit(crops, names).labels == own.labels
    with pytest.raises(LabelError, match="no known label space"):
        make_pipeline("hog", "linear-svm").fit(crops, names)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: p.classify(np.zeros((1, 48, 48), np.uint8)), NotFittedError, "not fitted"),
        (lambda p: p.labels, NotFittedError, "no labels yet"),
        (lambda p: p.fit(np.zeros((2, 48, 48), np.uint8)), ParameterError, "crops need labels"),
        (lambda p: p.fit(load_dataset("synthetic")), ParameterError, "got SyntheticFaces alone, expected fit"),
        (lambda p: p.fit("fer2013"), ParameterError, "got str alone"),
        (lambda p: p.fit(np.zeros((2, 48, 48)), ["happy", "sad"]), ShapeError, "float64"),
        (lambda p: p.save("/nonexistent"), NotFittedError, "fit it before saving"),
    ],
)
def test_misuse_is_named(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call(make_pipeline("hog", "linear-svm"))


def test_a_trained_pipeline_is_no_preset() -> None:
    with pytest.raises(ParameterError, match=r"tiny is trained already.*load_pipeline.*--from tiny"):
        make_pipeline("tiny")


def test_unknown_on_no_face_is_refused() -> None:
    with pytest.raises(ParameterError, match="skip, whole or raise"):
        make_pipeline("hog", "linear-svm", on_no_face="guess")  # type: ignore[arg-type]


def test_a_pipeline_that_learns_bare_crops_no_longer_says_where_earlier_faces_came_from() -> None:
    crops, labels = striped_crops(30)
    ids = np.arange(30).astype(str)
    samples = Samples(crops, labels, ids, FER7, kind="crops", dataset="mine", split="train", revision="r1")
    pipeline = make_pipeline("pixels", "linear-svm").fit(samples)
    assert pipeline.trained_on == {"dataset": "mine", "split": "train", "revision": "r1", "n": 30, "n_missed": 0}
    assert pipeline.fit(crops, labels).trained_on == {}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("haar-hogg-svm", "unknown preset or classifier 'haar-hogg-svm'; did you mean 'haar-hog-svm'"),
        ("linear-smv", "unknown classifier 'linear-smv'; did you mean 'linear-svm'"),
        ("haar/hogg/linear-svm", "unknown feature 'hogg'; did you mean 'hog'"),
        ("haar/hog/linear-smv", "unknown classifier 'linear-smv'; did you mean 'linear-svm'"),
    ],
)
def test_a_misspelt_name_brings_the_nearest_of_its_kind(name: str, says: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        make_pipeline(name)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("detector", "error", "says"),
    [
        ("haar(foo=1)", UnknownNameError, "unknown parameter of detector 'haar': 'foo'"),
        ("haar(scale_factor=1)", ParameterError, "parameter scale_factor: got 1"),
        ("haar(cascade=frontal)", UnknownNameError, "cascade of detector 'haar'"),
        ("lbp-cascade(min_size=0)", ParameterError, "parameter min_size: got 0"),
        ("yunet(align=mouth)", ParameterError, "parameter align: got 'mouth'"),
        ("yunet(model=none.onnx)", ModelFileError, r"none\.onnx is no file"),
    ],
)
def test_a_detector_that_cannot_be_is_told_before_a_training_on_crops(
    detector: str, error: type[FerbenchError], says: str
) -> None:
    with pytest.raises(error, match=says):
        make_pipeline(detector, "pixels", "linear-svm").fit(*striped_crops(30))


def test_crops_are_learnt_from_where_the_detector_is_not_installed(monkeypatch) -> None:
    def load(self: Entry) -> Any:
        if self.name == "dlib-hog":
            raise MissingDependencyError("dlib", "dlib", "detector 'dlib-hog'")
        return whole(self)

    whole = Entry.load
    monkeypatch.setattr(Entry, "load", load)
    pipeline = make_pipeline("dlib-hog", "pixels", "linear-svm").fit(*striped_crops(30))
    with pytest.raises(MissingDependencyError, match="dlib"):
        pipeline.predict(np.zeros((90, 90), np.uint8))


def test_values_are_checked_whatever_the_size_of_the_crops() -> None:
    for features in ("lbp(radius=30)", "pca(of='lbp(radius=30)')", "mirrored(of='hog(cell=40)')"):
        make_pipeline("whole-image", features, "linear-svm", input_size=96).check_parameters()
    with pytest.raises(ShapeError, match="got 48×48"):
        make_pipeline("whole-image", "lbp(radius=30)", "linear-svm").check_parameters()
