"""Bags of words: every encoding against a plain computation, scikit-image's Fisher vectors, and the pyramid's cells."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.feature import fisher_vector
from sklearn.mixture import GaussianMixture

from ferbench.errors import ParameterError, ShapeError
from ferbench.features.dense_sift import DenseSIFT
from ferbench.features.encoding import (
    accumulate,
    cell_indices,
    count_words,
    gaussian_shares,
    mixture_shares,
    nearest_words,
    one_hot,
)
from ferbench.features.sift import dense_sift, grid_centres

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(4, 30, 6)).astype(np.float32)  # 30 descriptors each of 4 crops
WORDS = RNG.normal(size=(5, 6)).astype(np.float32)
WHOLE = [np.zeros(30, np.intp)]
HALVES = [np.zeros(30, np.intp), (np.arange(30) >= 12).astype(np.intp)]


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    coarse = RNG.integers(0, 256, (40, 8, 8)).repeat(6, axis=1).repeat(6, axis=2)
    return np.clip(coarse + RNG.integers(-15, 16, coarse.shape), 0, 255).astype(np.uint8)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def root(rows: np.ndarray) -> np.ndarray:
    return np.sign(rows) * np.sqrt(np.abs(rows))


def distances() -> np.ndarray:
    return ((ROWS[:, :, None] - WORDS) ** 2).sum(axis=3)


def test_the_nearest_word_is_the_one_at_the_least_distance() -> None:
    np.testing.assert_array_equal(nearest_words(ROWS.reshape(-1, 6), WORDS), distances().reshape(-1, 5).argmin(axis=1))


def test_histograms_count_nearest_words_cell_by_cell() -> None:
    nearest = distances().argmin(axis=2)
    rows = count_words(nearest, HALVES, 5, presence=False).reshape(4, 3, 5)
    for crop in range(4):
        for cell, members in enumerate((range(30), range(12), range(12, 30))):
            counts = np.bincount(nearest[crop, list(members)], minlength=5)
            np.testing.assert_allclose(rows[crop, cell], np.sqrt(counts / counts.sum()) / np.sqrt(3), rtol=1e-5)


def test_presence_says_only_whether_a_word_occurs() -> None:
    words = np.array([[0, 0, 0, 2]])
    np.testing.assert_allclose(count_words(words, [np.zeros(4, np.intp)], 3, presence=True), [[0.5**0.5, 0, 0.5**0.5]])


def test_soft_shares_are_gaussians_of_the_distance() -> None:
    expected = np.exp(-distances().reshape(-1, 5) / (2 * 0.7))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(gaussian_shares(ROWS.reshape(-1, 6), WORDS, 0.7), expected, rtol=1e-3, atol=1e-6)
    hard = gaussian_shares(ROWS.reshape(-1, 6), WORDS, 1e-4)
    np.testing.assert_allclose(hard, one_hot(ROWS.reshape(-1, 6), WORDS), atol=1e-6)


def test_soft_histograms_of_hard_shares_are_histograms() -> None:
    shares = one_hot(ROWS.reshape(-1, 6), WORDS).reshape(4, 30, 5)
    expected = count_words(distances().argmin(axis=2), HALVES, 5, presence=False)
    np.testing.assert_allclose(accumulate(shares, ROWS, HALVES), expected, rtol=1e-5)


def test_vlad_sums_differences_from_the_nearest_word() -> None:
    nearest = distances().argmin(axis=2)
    shares = one_hot(ROWS.reshape(-1, 6), WORDS).reshape(4, 30, 5)
    rows = accumulate(shares, ROWS, WHOLE, WORDS)
    for crop in range(4):
        sums = [(ROWS[crop][nearest[crop] == k] - WORDS[k]).sum(axis=0) for k in range(5)]
        np.testing.assert_allclose(rows[crop], unit(root(np.concatenate(sums))), atol=1e-5)


def test_fisher_vectors_equal_scikit_images() -> None:
    mixture = GaussianMixture(4, covariance_type="diag", random_state=0).fit(ROWS.reshape(-1, 6))
    means, variances, weights = (
        np.asarray(a, np.float32) for a in (mixture.means_, mixture.covariances_, mixture.weights_)
    )
    shares = mixture_shares(ROWS.reshape(-1, 6), means, variances, weights).reshape(4, 30, 4)
    np.testing.assert_allclose(shares.reshape(-1, 4), mixture.predict_proba(ROWS.reshape(-1, 6)), atol=1e-4)
    rows = accumulate(shares, ROWS, WHOLE, means, variances, weights)
    for crop in range(4):
        theirs = fisher_vector(ROWS[crop], mixture)[4:]  # without the weights' gradient
        theirs[24:] *= -1  # scikit-image turns the sign of the variances' gradient, here it is that of the paper
        np.testing.assert_allclose(rows[crop], unit(root(theirs)), atol=1e-3)


@pytest.mark.parametrize(("grid", "expected"), [(1, [0, 0, 0]), (2, [0, 1, 3]), (3, [0, 2, 7])])
def test_cells_are_counted_from_the_top_left(grid: int, expected: list[int]) -> None:
    centres = np.array([[5.0, 5.0], [5.0, 40.0], [40.0, 24.0]])
    np.testing.assert_array_equal(cell_indices(centres, 48, 48, grid), expected)


def test_a_row_is_a_unit_vector_whose_cells_weigh_the_same(crops: np.ndarray) -> None:
    rows = DenseSIFT(sizes=12, words=16, components=None, levels=[1, 3]).fit(crops).transform(crops)
    cells = rows.reshape(40, 10, 16)
    np.testing.assert_allclose(np.linalg.norm(cells, axis=2), 10**-0.5, rtol=1e-4)


def test_the_transformer_counts_what_its_parts_say(crops: np.ndarray) -> None:
    features = DenseSIFT(sizes=[12, 20], step=4, words=16, components=10, levels=2).fit(crops)
    descriptors = [dense_sift(crops, size, 4, features.blur) for size in (12, 20)]
    expected = np.zeros((40, 4, 16))
    for size, described in zip((12, 20), descriptors, strict=True):
        lower = grid_centres(48, size, 4) + 0.5 >= 24
        projected = described.reshape(-1, 128) @ features.projection_ - features.offset_
        words = nearest_words(projected, features.words_).reshape(described.shape[:3])
        for (n, y, x), word in np.ndenumerate(words):
            expected[n, 2 * lower[y] + lower[x], word] += 1
    expected = np.sqrt(expected / expected.sum(axis=2, keepdims=True)).reshape(40, 64) / 2
    np.testing.assert_allclose(features.transform(crops), expected, atol=1e-5)


def test_components_are_the_principal_ones(crops: np.ndarray) -> None:
    features = DenseSIFT(sizes=12, step=8, words=4, components=5, sample=10**6).fit(crops)
    rows = dense_sift(crops, 12, 8, features.blur).reshape(-1, 128)
    rows = rows[rows.any(axis=1)]
    spread = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[1][:5]
    projected = rows @ features.projection_ - features.offset_
    np.testing.assert_allclose(np.linalg.norm(projected, axis=0), spread, rtol=1e-3)
    np.testing.assert_allclose(projected.mean(axis=0), 0, atol=1e-4)


def test_the_vocabulary_learns_from_no_more_descriptors_than_allowed(crops: np.ndarray) -> None:
    features = DenseSIFT(sizes=12, words=50, components=None, sample=50)
    assert features._draw(crops, (12.0,)).shape == (50, 128)
    with pytest.raises(ParameterError, match="too few crops"):
        DenseSIFT(sizes=12, words=200, components=None).fit(crops[:1])


def test_every_cell_of_the_pyramid_needs_a_patch(crops: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="all 9 cells"):
        DenseSIFT(sizes=40, words=4, components=None, levels=[1, 3]).fit(crops).transform(crops)
