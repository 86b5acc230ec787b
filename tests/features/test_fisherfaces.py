"""Fisherfaces equal scikit-learn's PCA and LDA one after the other, and tell apart what they were told to."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline

from ferbench.errors import DataError, ParameterError
from ferbench.features.fisherfaces import Fisherfaces
from ferbench.features.pixels import Pixels

RNG = np.random.default_rng(0)
LABELS = np.array(["happy", "sad", "neutral"])[np.arange(240) % 3]
PATTERNS = RNG.normal(size=(3, 20, 20))
# Strong patterns that say nothing of the label, as light and identity do, and one weak pattern for each label.
NUISANCE = np.tensordot(RNG.normal(size=(240, 4)) * [30, 20, 12, 8], RNG.normal(size=(4, 20, 20)), 1)
CROPS = np.clip(128 + NUISANCE + 6 * PATTERNS[np.arange(240) % 3] + 2 * RNG.normal(size=(240, 20, 20)), 0, 255)
CROPS = CROPS.astype(np.uint8)


def test_features_equal_scikit_learns_discriminants() -> None:
    rows = Pixels().transform(CROPS).astype(np.float64)
    exact = make_pipeline(PCA(6, svd_solver="full"), LinearDiscriminantAnalysis()).fit(rows, LABELS).transform(rows)
    ours = Fisherfaces(n_components=6).fit(CROPS, LABELS).transform(CROPS)
    assert ours.shape == (240, 2)
    np.testing.assert_allclose(np.abs(ours), np.abs(exact), atol=0.02)


def test_two_values_tell_the_expressions_of_new_faces_apart() -> None:
    rows = Fisherfaces(n_components=20).fit(CROPS[:180], LABELS[:180]).transform(CROPS)
    means = np.stack([rows[:180][LABELS[:180] == name].mean(axis=0) for name in np.unique(LABELS)])
    nearest = np.unique(LABELS)[((rows[180:, None] - means) ** 2).sum(axis=2).argmin(axis=1)]
    assert (nearest == LABELS[180:]).mean() > 0.95


@pytest.mark.parametrize("labels", [None, LABELS[:-1], np.full(240, "sad")])
def test_labels_are_needed(labels: object) -> None:
    with pytest.raises(DataError, match="labels"):
        Fisherfaces(n_components=5).fit(CROPS, labels)


def test_components_are_fewer_than_faces() -> None:
    with pytest.raises(ParameterError, match="at most 17"):
        Fisherfaces(n_components=18).fit(CROPS[:20], LABELS[:20])
