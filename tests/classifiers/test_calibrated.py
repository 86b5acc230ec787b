"""Calibration by one temperature, and classifiers that are made of others."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from ferbench.benchmarks.metrics import evaluate_weights, sufficient
from ferbench.errors import DataError, ParameterError, ShapeError, UnknownNameError
from ferbench.registry import create

NAMES = np.array(["angry", "happy", "neutral", "sad"])
BOOSTING = "hist-gradient-boosting(max_iter=20)"
UNCALIBRATED = ["gaussian-nb", "random-forest(n_estimators=30)", "knn(n_neighbors=5)", "lda", BOOSTING]


def faces(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four overlapping classes, every feature there three times: naive Bayes counts the same evidence thrice."""
    rows, index = make_blobs(n, centers=1.6 * np.eye(4, 6), cluster_std=1.3, random_state=seed)
    return np.tile(rows, 3).astype(np.float32), NAMES[index]


def with_option(spec: str, option: str) -> str:
    return f"{spec[:-1]}, {option})" if spec.endswith(")") else f"{spec}({option})"


def calibration_error(model, rows: np.ndarray, labels: np.ndarray) -> float:
    p = model.predict_proba(rows).astype(np.float64)
    truth = np.searchsorted(NAMES, labels)
    sums = sufficient(truth, p.argmax(axis=1), p, np.arange(len(rows)))
    return float(evaluate_weights(sums, np.ones((1, len(rows))))["detected"]["ece"][0])


@pytest.mark.parametrize("spec", ["gaussian-nb", "knn(n_neighbors=5)", BOOSTING])
def test_calibration_lowers_the_calibration_error(spec: str) -> None:
    rows, labels = faces(5000)
    before, after = (
        calibration_error(
            create("classifiers", with_option(spec, f"calibrate={on}")).fit(rows[:2500], labels[:2500]),
            rows[2500:],
            labels[2500:],
        )
        for on in (False, True)
    )
    assert after < 0.7 * before
    assert after < 0.07


@pytest.mark.parametrize("spec", UNCALIBRATED)
def test_calibration_changes_no_prediction(spec: str) -> None:
    rows, labels = faces(600)
    plain, tuned = (
        create("classifiers", with_option(spec, f"calibrate={on}")).fit(rows, labels) for on in (False, True)
    )
    assert plain.temperature_ == 1 != tuned.temperature_
    held_out = faces(300, seed=1)[0]
    sure = plain.predict_proba(held_out).max(axis=1) > 0.51  # of equal shares either may come first
    np.testing.assert_array_equal(plain.predict(held_out)[sure], tuned.predict(held_out)[sure])


def test_a_class_that_no_neighbour_has_keeps_a_probability() -> None:
    rows, labels = faces(400)
    p = create("classifiers", "knn(n_neighbors=3)").fit(rows, labels).predict_proba(rows)
    assert p.min() > 0


def test_a_training_set_too_small_to_hold_rows_out_keeps_its_probabilities() -> None:
    rows, labels = faces(400)
    few = np.concatenate([np.flatnonzero(labels == name)[:1] for name in NAMES])
    assert create("classifiers", "gaussian-nb").fit(rows[few], labels[few]).temperature_ == 1


def test_wrong_input_is_one_clear_error() -> None:
    rows, labels = faces(100)
    with pytest.raises(ParameterError, match=r"n_neighbors: got 101, expected at most 100"):
        create("classifiers", "knn(n_neighbors=101)").fit(rows, labels)
    with pytest.raises(DataError, match="finite"):
        create("classifiers", "lda").fit(np.full_like(rows, np.nan), labels)
    with pytest.raises(ShapeError, match=r"\(N, 18\)"):
        create("classifiers", "lda").fit(rows, labels).predict_proba(rows[:, :3])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("knn(n_neighbors=0)", "KNeighborsClassifier has a parameter.*n_neighbors"),
        ("lda(shrinkage=2)", "LinearDiscriminantAnalysis has a parameter.*shrinkage"),
        ("hist-gradient-boosting(max_iter=0)", "max_iter"),
        ("gaussian-nb(var_smoothing=-1)", "var_smoothing"),
        ("voting(of=knn)", "list of specs"),
        ("voting(of=[knn])", "list of specs"),
        ("voting(of=[knn, lda], weights=[1])", "weights.*2 numbers"),
        ("voting(of=[knn, mini-xception])", "network mini-xception"),
        ("voting(of=[knn, 'knn(n_neighbors=0)'])", "KNeighborsClassifier has a parameter"),
        ("stacking(of=[knn, lda], folds=1)", "folds"),
        ("stacking(of=[knn, lda], final=[knn])", "spec of a classifier"),
    ],
)
def test_bad_parameters_are_said_when_a_classifier_is_made(spec: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        create("classifiers", spec)


def test_an_unknown_member_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'knn'"):
        create("classifiers", "voting(of=[kn, lda])")


def test_voting_is_the_weighted_mean_of_its_members() -> None:
    rows, labels = faces(300)
    p = create("classifiers", "voting(of=[lda, knn], weights=[3, 1])").fit(rows, labels).predict_proba(rows)
    lda, knn = (create("classifiers", name).fit(rows, labels).predict_proba(rows) for name in ("lda", "knn"))
    np.testing.assert_allclose(p, 0.75 * lda + 0.25 * knn, atol=1e-6)


def test_stacking_learns_whom_to_trust() -> None:
    rows, labels = faces(600)
    noisy = rows.copy()
    noisy[:, 6:] = np.random.default_rng(0).normal(0, 30, (600, 12))  # distances mean nothing, directions do
    model = create("classifiers", "stacking(of=[lda, knn], folds=3)").fit(noisy[:400], labels[:400])
    lone = [create("classifiers", name).fit(noisy[:400], labels[:400]) for name in ("lda", "knn")]
    scores = [(one.predict(noisy[400:]) == labels[400:]).mean() for one in (model, *lone)]
    assert scores[2] < scores[1] - 0.1
    assert scores[0] > scores[1] - 0.05
