"""Local learning: the machine of each face is the one that scikit-learn fits to its neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import skops.io
from sklearn.datasets import make_blobs
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import LinearSVC

from ferbench.classifiers.local_svm import LocalSVM
from ferbench.classifiers.sklearn import TRUSTED_TYPES
from ferbench.errors import ParameterError
from ferbench.registry import create
from ferbench.testing import check_classifier

NAMES = np.array(["angry", "happy", "sad"])


def rings(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three rings around each other: no linear machine tells them apart, every small part of one does."""
    rng = np.random.default_rng(seed)
    index, angle = rng.integers(0, 3, n), rng.uniform(0, 2 * np.pi, n)
    radius = 1 + index + rng.normal(0, 0.15, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32), NAMES[index]


@pytest.mark.parametrize("spec", ["local-svm", "local-svm(n_neighbors=10, C=0.1)"])
def test_local_svm_keeps_the_contract(spec: str) -> None:
    check_classifier(spec)


def test_each_face_has_the_machine_that_liblinear_fits_to_its_neighbours() -> None:
    rows, index = make_blobs(150, centers=3, n_features=8, cluster_std=6, random_state=0)
    labels = NAMES[index]
    ours = LocalSVM(n_neighbors=40, C=0.5, n_iter=400).fit(rows[:120], labels[:120])
    near = NearestNeighbors(n_neighbors=40).fit(rows[:120]).kneighbors(rows[120:], return_distance=False)
    got = ours.decision_function(rows[120:])
    for row, at, scores in zip(rows[120:], near, got, strict=True):
        local = rows[at] - rows[at].mean(axis=0)
        scale = np.sqrt((local**2).sum(axis=1).mean())
        for column, name in enumerate(NAMES):
            is_name = labels[at] == name
            if not is_name.any():
                continue
            # LIBLINEAR's penalised intercept is the constant feature that ours has.
            known = LinearSVC(C=0.5, tol=1e-7, max_iter=100_000).fit(local / scale, is_name)
            expected = known.decision_function((row - rows[at].mean(axis=0))[None] / scale)
            assert scores[column] == pytest.approx(expected[0], abs=2e-3)


def test_local_machines_learn_what_one_linear_machine_cannot() -> None:
    rows, labels = rings(900)
    local = LocalSVM(n_neighbors=30).fit(rows[:600], labels[:600])
    linear = create("classifiers", "linear-svm").fit(rows[:600], labels[:600])
    assert (local.predict(rows[600:]) == labels[600:]).mean() > 0.95
    assert (linear.predict(rows[600:]) == labels[600:]).mean() < 0.6


def test_a_neighbourhood_of_one_class_names_that_class_with_sound_probabilities() -> None:
    rows, index = make_blobs(90, centers=[[0, 0], [100, 0], [0, 100]], random_state=0)
    fitted = LocalSVM(n_neighbors=5).fit(rows, NAMES[index])
    p = fitted.predict_proba(np.array([[0, 0], [100, 0], [0, 100]]))
    assert NAMES[p.argmax(axis=1)].tolist() == ["angry", "happy", "sad"]
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)


def test_neighbours_that_are_all_the_same_face_vote() -> None:
    rows = np.zeros((30, 4), np.float32)
    labels = np.array(["happy"] * 20 + ["sad"] * 10)
    assert LocalSVM().fit(rows, labels).predict(rows[:1]).tolist() == ["happy"]


def test_a_face_gets_the_same_in_any_batch_and_after_saving() -> None:
    rows, labels = rings(300)
    fitted = LocalSVM(n_neighbors=20).fit(rows[:200], labels[:200])
    together = fitted.predict_proba(rows[200:])
    alone = np.concatenate([fitted.predict_proba(rows[i : i + 1]) for i in range(200, 300)])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    loaded = skops.io.loads(skops.io.dumps(fitted), trusted=list(TRUSTED_TYPES))
    np.testing.assert_allclose(loaded.predict_proba(rows[200:]), together, atol=1e-6)


@pytest.mark.parametrize("spec", ["local-svm(n_neighbors=1)", "local-svm(C=0)", "local-svm(n_iter=0)"])
def test_bad_parameters_are_named(spec: str) -> None:
    with pytest.raises(ParameterError, match=spec.split("(")[1].split("=", maxsplit=1)[0]):
        create("classifiers", spec).fit(*rings(50))
