"""Kernel ridge regression against scikit-learn's, and what mirroring means."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge as Reference

from ferbench.classifiers.kernel_ridge import KernelRidge
from ferbench.errors import DataError, ParameterError, ShapeError
from ferbench.features.mirrored import Mirrored
from ferbench.registry import create


def blobs(n: int = 120, d: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    rows = generator.normal(0, 1, (n, d)) + 1.5 * np.eye(3, d)[kind]
    return rows.astype(np.float32), np.array(["happy", "sad", "neutral"])[kind]


def test_scores_are_those_of_scikit_learn() -> None:
    X, y = blobs()
    new = blobs(40, seed=1)[0]
    ours = KernelRidge(alpha=0.3, gamma=0.2).fit(X, y)
    indicator = (y[:, None] == ours.classes_).astype(float)
    reference = Reference(alpha=0.3, gamma=0.2, kernel="rbf").fit(X, indicator - indicator.mean(axis=0))
    expected = reference.predict(new) + indicator.mean(axis=0)
    np.testing.assert_allclose(ours.decision_function(new), expected, atol=2e-5)
    assert (ours.predict(new) == ours.classes_[expected.argmax(axis=1)]).all()
    assert ours.score(*blobs(60, seed=2)) > 0.6


def test_mirrored_it_is_trained_on_every_pair_of_views() -> None:
    """By definition: the mean kernel over both views of both faces, in a matrix of its own."""
    X, y = blobs(d=12)
    ours = KernelRidge(alpha=0.3, gamma=0.2, mirrored=True).fit(X, y)
    new = blobs(40, d=12, seed=1)[0]

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        pairs = [(p, q) for p in np.split(a, 2, axis=1) for q in np.split(b, 2, axis=1)]
        return np.mean([np.exp(-0.2 * ((p[:, None] - q[None]) ** 2).sum(axis=2)) for p, q in pairs], axis=0)

    indicator = (y[:, None] == ours.classes_).astype(float)
    dual = np.linalg.solve(kernel(X, X) + 0.3 * np.eye(len(X)), indicator - indicator.mean(axis=0))
    np.testing.assert_allclose(ours.decision_function(new), kernel(new, X) @ dual + indicator.mean(axis=0), atol=2e-5)
    swapped = np.concatenate(np.split(new, 2, axis=1)[::-1], axis=1)
    np.testing.assert_allclose(ours.decision_function(new), ours.decision_function(swapped), atol=2e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = blobs()
    whole = KernelRidge().fit(X, y).predict_proba(X)
    monkeypatch.setattr("ferbench.classifiers.kernel_ridge._BLOCK", 7)
    np.testing.assert_allclose(KernelRidge().fit(X, y).predict_proba(X), whole, atol=1e-5)


def test_what_cannot_be_is_said() -> None:
    X, y = blobs()
    for parameters in ({"alpha": 0}, {"gamma": -1}, {"mirrored": 1}, {"memory_mb": None}):
        with pytest.raises(ParameterError, match=next(iter(parameters))):
            KernelRidge(**parameters).fit(X, y)
    with pytest.raises(ShapeError, match="two halves"):
        KernelRidge(mirrored=True).fit(X[:, :5], y)
    with pytest.raises(DataError, match=r"memory_mb=0\.01"):
        KernelRidge(memory_mb=0.01).fit(X, y)
    with pytest.raises(DataError, match="larger alpha"):
        KernelRidge(alpha=1e-12, gamma=1e-9).fit(np.concatenate([X, X]), np.concatenate([y, y]))


def test_mirrored_features_are_those_of_the_face_and_of_its_mirror_image() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 48, 48), dtype=np.uint8)
    rows = Mirrored("hog").fit(crops).transform(crops)
    hog = create("features", "hog").fit(crops)
    expected = np.concatenate([hog.transform(crops), hog.transform(np.ascontiguousarray(crops[:, :, ::-1]))], axis=1)
    np.testing.assert_array_equal(rows, expected)
    assert Mirrored("hog").is_stateless
    assert not Mirrored("pca").is_stateless
