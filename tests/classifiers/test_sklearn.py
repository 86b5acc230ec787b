"""Classical classifiers: contract, known answers, probabilities, saving, and the sklearn runtime."""

from __future__ import annotations

import numpy as np
import pytest
import skops.io
from sklearn.datasets import make_blobs
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC

from ferbench.classifiers.kernel_svm import RBFSVM
from ferbench.classifiers.runtimes.sklearn import SklearnRuntime
from ferbench.classifiers.sklearn import TRUSTED_TYPES
from ferbench.classifiers.svm import LinearSVM, softmax
from ferbench.classifiers.trees import check_trees
from ferbench.errors import DataError, DeviceError, NotFittedError, ParameterError, ShapeError
from ferbench.registry import create
from ferbench.testing import ConformanceError, check_classifier

SPECS = [
    "majority",
    "linear-svm",
    "linear-svm(C=1, balanced=True)",
    "rbf-svm",
    "rbf-svm(C=1, gamma=0.05)",
    "logistic-regression",
    "lda",
    "gaussian-nb",
    "knn(n_neighbors=3)",
    "knn(calibrate=False)",
    "random-forest(n_estimators=20)",
    "hist-gradient-boosting(max_iter=8)",
    "voting(of=[linear-svm, 'knn(n_neighbors=5)'], weights=[2, 1])",
    "stacking(of=[lda, 'random-forest(n_estimators=5)'], folds=3)",
]
NAMES = np.array(["angry", "happy", "neutral", "sad"])


def overlapping(n: int = 1200, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    centres = 2.0 * np.eye(4, 10)[:classes]
    rows, index = make_blobs(n, centers=centres, cluster_std=1.3, random_state=seed)
    return rows.astype(np.float32), NAMES[index]


@pytest.mark.parametrize("spec", SPECS)
def test_registered_classifiers_keep_the_contract(spec: str) -> None:
    check_classifier(spec)


@pytest.mark.parametrize("spec", SPECS)
def test_classifiers_are_saved_without_pickle_and_load_with_the_trusted_types(spec: str) -> None:
    rows, labels = overlapping(200)
    fitted = create("classifiers", spec).fit(rows, labels)
    loaded = skops.io.loads(skops.io.dumps(fitted), trusted=list(TRUSTED_TYPES))
    check_trees(loaded)
    np.testing.assert_allclose(loaded.predict_proba(rows), fitted.predict_proba(rows), rtol=1e-6)
    assert loaded.classes_.tolist() == NAMES.tolist()


@pytest.mark.parametrize("spec", [s for s in SPECS if s != "majority"])
def test_classifiers_learn(spec: str) -> None:
    rows, labels = overlapping()
    fitted = create("classifiers", spec).fit(rows[:800], labels[:800])
    assert (fitted.predict(rows[800:]) == labels[800:]).mean() > 0.5  # chance: 0.25


def test_majority_gives_the_class_shares() -> None:
    labels = np.array(["happy"] * 6 + ["sad"] * 3 + ["angry"])
    fitted = create("classifiers", "majority").fit(np.zeros((10, 2), np.float32), labels)
    assert fitted.predict(np.zeros((2, 2))).tolist() == ["happy", "happy"]
    np.testing.assert_allclose(fitted.predict_proba(np.zeros((1, 2))), [[0.1, 0.6, 0.3]])


@pytest.mark.parametrize("classes", [2, 4])
def test_linear_svm_equals_liblinear(classes: int) -> None:
    rows, labels = overlapping(classes=classes)
    # A large intercept scaling takes the penalty off LIBLINEAR's intercept, as ours has none.
    known = LinearSVC(C=0.1, dual=False, tol=1e-6, intercept_scaling=100).fit(rows, labels).decision_function(rows)
    ours = LinearSVM(C=0.1).fit(rows, labels).decision_function(rows)
    expected = np.stack([-known, known], axis=1) if classes == 2 else known
    np.testing.assert_allclose(ours, expected, atol=0.02)


def test_balanced_weights_equal_liblinears() -> None:
    """For two classes; for more, LIBLINEAR weighs only the rows of the one class against the rest."""
    rows, labels = overlapping(classes=2)
    keep = np.concatenate([np.flatnonzero(labels == "angry"), np.flatnonzero(labels == "happy")[:40]])
    rows, labels = rows[keep], labels[keep]
    known = LinearSVC(C=0.1, dual=False, tol=1e-6, intercept_scaling=100, class_weight="balanced").fit(rows, labels)
    ours = LinearSVM(C=0.1, balanced=True).fit(rows, labels)
    np.testing.assert_allclose(ours.decision_function(rows)[:, 1], known.decision_function(rows), atol=0.02)


def test_balanced_weights_find_more_of_a_rare_class() -> None:
    rows, labels = overlapping()
    keep = np.concatenate([np.flatnonzero(labels != "sad"), np.flatnonzero(labels == "sad")[:30]])
    found = [(LinearSVM(balanced=b).fit(rows[keep], labels[keep]).predict(rows) == "sad").sum() for b in (False, True)]
    assert found[1] > found[0]


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_rbf_svm_has_the_margins_of_libsvm(classes: int) -> None:
    rows, labels = overlapping(classes=classes)
    known = SVC(C=1, gamma=0.05, decision_function_shape="ovo").fit(rows, labels)
    margins = known.decision_function(rows)
    margins = -margins[:, None] if classes == 2 else margins  # scikit-learn turns the sign for two classes
    expected = np.zeros((len(rows), classes))
    for pair, (i, j) in enumerate(zip(*np.triu_indices(classes, 1), strict=True)):
        expected[:, i] += np.clip(margins[:, pair], -1, 1)
        expected[:, j] -= np.clip(margins[:, pair], -1, 1)
    ours = RBFSVM(C=1, gamma=0.05).fit(rows, labels)
    np.testing.assert_allclose(ours.decision_function(rows), expected, atol=5e-3)  # LIBSVM stops at 1e-3
    assert (ours.predict(rows) == known.predict(rows)).mean() > 0.95  # ties between pairs differ


def test_rbf_svm_scales_gamma_as_libsvm_does() -> None:
    rows, labels = overlapping(300)
    known = SVC(gamma="scale").fit(rows, labels)
    assert RBFSVM(gamma="scale").fit(rows, labels).gamma_ == pytest.approx(known._gamma, rel=1e-4)


@pytest.mark.parametrize("spec", ["linear-svm", "rbf-svm(C=100, gamma=0.02)"])
def test_temperature_makes_probabilities_honest(spec: str) -> None:
    rows, labels = overlapping(3000)
    fitted = create("classifiers", spec).fit(rows[:2000], labels[:2000])
    scores, truth = fitted.decision_function(rows[2000:]), labels[2000:]
    calibrated = log_loss(truth, fitted.predict_proba(rows[2000:]))
    assert calibrated < log_loss(truth, softmax(scores))
    others = [log_loss(truth, softmax(scores / (fitted.temperature_ * f))) for f in (0.5, 2)]
    assert calibrated < min(others)


def test_a_tiny_training_set_keeps_the_temperature_at_one() -> None:
    rows, labels = overlapping(200)
    few = np.concatenate([np.flatnonzero(labels == name)[:2] for name in NAMES])
    fitted = LinearSVM().fit(rows[few], labels[few])
    assert fitted.temperature_ == 1
    assert fitted.predict_proba(rows).shape == (200, 4)


def test_seeds_decide_the_rows_held_out() -> None:
    rows, labels = overlapping(300)
    temperatures = [LinearSVM(random_state=seed).fit(rows, labels).temperature_ for seed in (0, 0, 1)]
    assert temperatures[0] == temperatures[1] != temperatures[2]


@pytest.mark.parametrize(
    "spec",
    ["linear-svm(C=0)", "linear-svm(C=high)", "rbf-svm(gamma=-1)", "rbf-svm(gamma=auto)", "rbf-svm(cache_mb=0)"],
)
def test_bad_parameters_are_named_when_fitted(spec: str) -> None:
    with pytest.raises(ParameterError, match=spec.split("(")[1].split("=", maxsplit=1)[0]):
        create("classifiers", spec).fit(*overlapping(50))


@pytest.mark.parametrize("spec", ["linear-svm", "rbf-svm"])
def test_wrong_input_is_one_clear_error(spec: str) -> None:
    rows, labels = overlapping(100)
    with pytest.raises(NotFittedError):
        create("classifiers", spec).predict_proba(rows)
    with pytest.raises(DataError, match="too few classes"):
        create("classifiers", spec).fit(rows, np.full(100, "sad"))
    with pytest.raises(DataError, match="finite"):
        create("classifiers", spec).fit(np.full_like(rows, np.nan), labels)
    with pytest.raises(ShapeError, match="do not fit"):
        create("classifiers", spec).fit(rows, labels[:50])
    with pytest.raises(ShapeError, match=r"\(N, 10\)"):
        create("classifiers", spec).fit(rows, labels).predict_proba(rows[:, :3])


def test_the_conformance_check_catches_probabilities_that_do_not_sum_to_one() -> None:
    class Wrong(LinearSVM):
        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            return super().predict_proba(X) * np.float32(0.5)

    with pytest.raises(ConformanceError, match="probabilities"):
        check_classifier(Wrong())


class TestSklearnRuntime:
    """The session of a fitted pipeline."""

    @pytest.fixture
    def crops(self) -> np.ndarray:
        return np.random.default_rng(0).integers(0, 256, (60, 24, 24)).astype(np.uint8)

    @pytest.mark.parametrize("spec", SPECS)
    def test_session_says_what_the_pipeline_says(self, spec: str, crops: np.ndarray) -> None:
        pipeline = make_pipeline(create("features", "hog(cell=8)"), create("classifiers", spec))
        pipeline.fit(crops, NAMES[np.arange(60) % 4])
        session = SklearnRuntime().prepare(pipeline, crops)
        p = session(crops)
        assert p.dtype == np.float32
        np.testing.assert_allclose(p, pipeline.predict_proba(crops), atol=1e-6)
        np.testing.assert_array_equal(session.classify(session.features(crops)), p)
        assert session(crops[:0]).shape == (0, 4)

    def test_threads_are_limited_when_prepared(self, crops: np.ndarray) -> None:
        from threadpoolctl import threadpool_info, threadpool_limits

        pipeline = make_pipeline(create("features", "pixels"), LinearSVM()).fit(crops, NAMES[np.arange(60) % 4])
        with threadpool_limits():  # restores the test process afterwards
            SklearnRuntime().prepare(pipeline, crops, threads=1)
            assert {pool["num_threads"] for pool in threadpool_info()} == {1}

    def test_what_cannot_run_is_refused(self, crops: np.ndarray) -> None:
        pipeline = make_pipeline(create("features", "pixels"), LinearSVM())
        with pytest.raises(NotFittedError):
            SklearnRuntime().prepare(pipeline, crops)
        pipeline.fit(crops, NAMES[np.arange(60) % 4])
        with pytest.raises(DeviceError):
            SklearnRuntime().prepare(pipeline, crops, device="gpu")
        with pytest.raises(ParameterError, match="threads"):
            SklearnRuntime().prepare(pipeline, crops, threads=0)
        with pytest.raises(ParameterError, match="probabilities"):
            SklearnRuntime().prepare(make_pipeline(create("features", "pixels")), crops)


def test_neighbours_that_are_not_there_are_not_asked_for_a_temperature() -> None:
    rows, labels = (
        np.random.default_rng(0).normal(size=(21, 5)).astype(np.float32),
        np.repeat(["happy", "sad", "fear"], 7),
    )
    fitted = create("classifiers", "knn(n_neighbors=20)").fit(rows, labels)
    assert fitted.temperature_ == 1.0
    assert fitted.predict_proba(rows).shape == (21, 3)
