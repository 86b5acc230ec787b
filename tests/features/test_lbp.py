"""LBP equals scikit-image bit for bit, and its histograms are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.feature import local_binary_pattern

from ferbench.features.lbp import LBP
from ferbench.features.lbp_codes import METHODS, lbp_codes, lbp_labels, n_labels

RNG = np.random.default_rng(0)
SMOOTH = np.cumsum(np.cumsum(RNG.integers(-2, 3, (12, 48, 48)), axis=1), axis=2)
CASES = {
    "noise": RNG.integers(0, 256, (6, 48, 48), dtype=np.uint8),
    "smooth": (SMOOTH % 256).astype(np.uint8),  # face-like: many neighbours equal or nearly equal
    "near-flat": RNG.integers(100, 103, (12, 33, 48), dtype=np.uint8),
    "flat": np.arange(0, 256, 5, dtype=np.uint8)[:, None, None].repeat(60, axis=1).repeat(41, axis=2),
}


def skimage_labels(crops: np.ndarray, points: int, radius: float, method: str) -> np.ndarray:
    return np.stack([local_binary_pattern(c, points, radius, method.replace("-", "_")) for c in crops]).astype(int)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("points", "radius"), [(8, 1), (8, 2), (8, 1.5), (4, 1), (12, 2.3)])
def test_labels_equal_scikit_image_everywhere(case: str, method: str, points: int, radius: float) -> None:
    crops = CASES[case]
    ours = lbp_labels(points, method)[lbp_codes(crops, points, radius)]
    np.testing.assert_array_equal(ours, skimage_labels(crops, points, radius, method))


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, st.tuples(st.just(2), st.integers(3, 20), st.integers(3, 20))))
def test_codes_equal_scikit_image_on_any_crop(crops: np.ndarray) -> None:
    np.testing.assert_array_equal(lbp_codes(crops), skimage_labels(crops, 8, 1, "default"))


def test_integers_decide_as_the_interpolation_does() -> None:
    """The 16-bit path may be unsure where it says so, and nowhere else: all differences are tried."""
    diagonal, straight = np.meshgrid(np.arange(-255, 256), np.arange(-510, 511))
    approximate = 70 * diagonal + 29 * straight
    exact = 70711 * diagonal + 29289 * straight
    assert np.abs(approximate).max() < 2**15
    sure = np.abs(approximate) > 2
    assert ((approximate > 0) == (exact > 0))[sure].all()
    assert sure.mean() > 0.99


@pytest.mark.parametrize("method", METHODS)
def test_histograms_equal_counts_of_scikit_images_labels(method: str) -> None:
    crops, grid, bins = CASES["smooth"][:3], 7, n_labels(8, method)
    labels = skimage_labels(crops, 8, 1, method)
    rows = np.arange(48) * grid // 48
    expected = []
    for image in labels:
        cells = [image[np.ix_(rows == i, rows == j)] for i in range(grid) for j in range(grid)]
        expected.append(np.concatenate([np.bincount(c.ravel(), minlength=bins) / c.size for c in cells]))
    ours = LBP(grid=grid, method=method, norm="l1").transform(crops)
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_sqrt_norm_makes_every_cell_a_unit_vector() -> None:
    cells = LBP(grid=4, norm="sqrt").transform(CASES["noise"]).reshape(-1, 59)
    np.testing.assert_allclose(np.linalg.norm(cells, axis=1), 1, rtol=1e-5)


def test_codes_ignore_monotonous_changes_of_light() -> None:
    gray = (CASES["noise"] // 2).astype(np.uint8)
    np.testing.assert_array_equal(lbp_codes(gray, 4)[:, 1:-1, 1:-1], lbp_codes(gray + np.uint8(60), 4)[:, 1:-1, 1:-1])
