"""Convolutions with unlabelled filters: responses against a plain computation, and what each kind of filter is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferbench.features.random_convolutions import FILTERS, RandomConvolutions

RNG = np.random.default_rng(0)
CROPS = np.stack(
    [cv2.GaussianBlur(image, (0, 0), 1.5) for image in RNG.integers(0, 256, (30, 24, 27)).astype(np.uint8)]
)
SMALL = {"n_filters": 6, "size": 5, "sample": 3000}


def normalised_patch(crop: np.ndarray, y: int, x: int) -> np.ndarray:
    patch = crop[y : y + 5, x : x + 5].astype(float).ravel()
    return (patch - patch.mean()) / np.sqrt(patch.var() + 10)


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("step", [1, 2])
def test_features_equal_a_plain_computation(filters: str, step: int) -> None:
    features = RandomConvolutions(filters=filters, step=step, grid=2, threshold=0.2, **SMALL).fit(CROPS)
    rows = features.transform(CROPS[:2])
    ys, xs = range(0, 20, step), range(0, 23, step)
    for crop, row in zip(CROPS[:2], rows, strict=True):
        response = np.array(
            [[normalised_patch(crop, y, x) @ features.filters_ - features.offset_ for x in xs] for y in ys]
        )
        expected = np.zeros((2, 2, 12))
        for i in range(2):
            for j in range(2):
                at = np.ix_(np.arange(len(ys)) * 2 // len(ys) == i, np.arange(len(xs)) * 2 // len(xs) == j)
                cell = response[at]
                over, under = np.maximum(cell - 0.2, 0), np.maximum(-cell - 0.2, 0)
                expected[i, j] = np.concatenate([over.mean(axis=(0, 1)), under.mean(axis=(0, 1))])
        np.testing.assert_allclose(row, expected.ravel(), atol=2e-4)


def test_whitened_responses_have_about_unit_variance() -> None:
    features = RandomConvolutions(filters="random", n_filters=50, size=5, sample=3000, whitening=1e-4).fit(CROPS)
    patches = np.array([normalised_patch(c, y, x) for c in CROPS for y in range(0, 19, 3) for x in range(0, 22, 3)])
    deviation = (patches @ features.filters_ - features.offset_).std(axis=0)
    assert 0.7 < np.median(deviation) < 1.2


def test_brightness_does_not_matter() -> None:
    features = RandomConvolutions(**SMALL).fit(CROPS)
    dark = CROPS // 2
    np.testing.assert_allclose(features.transform(dark), features.transform(dark + np.uint8(70)), atol=2e-3)


def test_k_means_filters_lie_where_patches_are() -> None:
    """The largest response to a patch is higher with filters that follow the patches than with random ones."""
    best = {}
    for filters in ("random", "k-means"):
        features = RandomConvolutions(filters=filters, n_filters=40, size=5, sample=3000).fit(CROPS)
        patches = np.array([normalised_patch(c, y, x) for c in CROPS for y in range(0, 19, 4) for x in range(0, 22, 4)])
        best[filters] = (patches @ features.filters_ - features.offset_).max(axis=1).mean()
    assert best["k-means"] > 1.1 * best["random"]


def test_another_seed_draws_other_filters() -> None:
    first, second = (RandomConvolutions(filters="random", random_state=s, **SMALL).fit(CROPS).filters_ for s in (0, 1))
    assert np.abs(first - second).max() > 0.1
