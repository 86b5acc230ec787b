"""LBP equals scikit-image bit for bit, and its histograms are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import map_coordinates
from skimage.feature import local_binary_pattern

from ferbench.features.lbp import LBP
from ferbench.features.lbp_codes import METHODS, lbp_codes, lbp_labels, n_labels
from ferbench.features.lbp_compound import centre_codes, magnitude_codes

RNG = np.random.default_rng(0)
SMOOTH = np.cumsum(np.cumsum(RNG.integers(-2, 3, (12, 48, 48)), axis=1), axis=2)
CASES = {
    "noise": RNG.integers(0, 256, (6, 48, 48), dtype=np.uint8),
    "smooth": (SMOOTH % 256).astype(np.uint8),  # face-like: many neighbours equal or nearly equal
    "near-flat": RNG.integers(100, 103, (12, 33, 48), dtype=np.uint8),
    "flat": np.arange(0, 256, 5, dtype=np.uint8)[:, None, None].repeat(60, axis=1).repeat(41, axis=2),
}

SKIMAGES = [method for method in METHODS if method != "ror"]
"""Methods whose labels scikit-image numbers without gaps."""


def skimage_labels(crops: np.ndarray, points: int, radius: float, method: str) -> np.ndarray:
    return np.stack([local_binary_pattern(c, points, radius, method.replace("-", "_")) for c in crops]).astype(int)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", SKIMAGES)
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


@pytest.mark.parametrize("method", SKIMAGES)
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


@pytest.mark.parametrize("points", [4, 8, 12])
def test_rotation_invariant_labels_are_scikit_images_without_gaps(points: int) -> None:
    crops = CASES["noise"]
    theirs = skimage_labels(crops, points, 1.5, "ror")
    ours = lbp_labels(points, "ror")[lbp_codes(crops, points, 1.5)]
    pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1)
    assert np.unique(pairs[0]).size == np.unique(pairs[1]).size == pairs.shape[1]  # one to one
    assert (np.diff(pairs[1]) > 0).all()
    necklaces = {4: 6, 8: 36, 12: 352}  # two-coloured necklaces
    assert n_labels(points, "ror") == necklaces[points]


@pytest.mark.parametrize("method", ["ror", "uniform"])
def test_histograms_of_rotation_invariant_labels_survive_a_quarter_turn(method: str) -> None:
    crops = np.pad(CASES["noise"][:, 8:-8, 8:-8], ((0, 0), (8, 8), (8, 8)))
    turned = np.ascontiguousarray(np.rot90(crops, axes=(1, 2)))
    lbp = LBP(grid=1, method=method)
    np.testing.assert_allclose(lbp.transform(turned), lbp.transform(crops), atol=0.02)
    plain = LBP(grid=1, method="nri-uniform")
    assert np.abs(plain.transform(turned) - plain.transform(crops)).max() > 0.02


def test_several_radii_stand_one_after_the_other() -> None:
    crops = CASES["smooth"]
    joined = LBP(grid=3, radius=[1, 2.5]).transform(crops)
    np.testing.assert_array_equal(
        joined, np.concatenate([LBP(grid=3, radius=r).transform(crops) for r in (1, 2.5)], axis=1)
    )


def completed(crop: np.ndarray, points: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Magnitude codes and centre codes of one crop, as Guo, Zhang and Zhang define them, by scipy's interpolation."""
    gray, (y, x) = crop.astype(float), np.mgrid[: crop.shape[0], : crop.shape[1]]
    angles = 2 * np.pi * np.arange(points) / points
    values = [
        map_coordinates(gray, [y - radius * np.sin(a), x + radius * np.cos(a)], order=1, mode="grid-constant")
        for a in angles
    ]
    magnitude = np.abs(np.stack(values) - gray)
    margin = int(np.ceil(radius))
    threshold = magnitude[:, margin:-margin, margin:-margin].mean()
    return ((magnitude >= threshold) << np.arange(points)[:, None, None]).sum(axis=0), gray >= gray.mean()


@pytest.mark.parametrize("case", ["noise", "smooth"])
@pytest.mark.parametrize("radius", [1, 2.3])
def test_magnitude_and_centre_are_those_of_the_paper(case: str, radius: float) -> None:
    for crop in CASES[case][:3]:
        magnitude, centre = completed(crop, 8, radius)
        assert (magnitude_codes(crop[None], 8, radius)[0] == magnitude).mean() > 0.999  # offsets of five decimals
        np.testing.assert_array_equal(centre_codes(crop[None])[0], centre)


def test_a_flat_crop_has_all_bits_set() -> None:
    assert (magnitude_codes(CASES["flat"], 8, 1.5)[:, 2:-2, 2:-2] == 255).all()
    assert centre_codes(CASES["flat"]).all()


def test_a_joint_histogram_sums_up_to_those_of_its_parts() -> None:
    crops = CASES["noise"]

    def histograms(compound: str, *shape: int) -> np.ndarray:
        lbp = LBP(grid=3, method="uniform", norm="l1", compound=compound)
        return lbp.transform(crops).reshape(len(crops), -1, *shape)

    joint = histograms("s/m/c", 10, 10, 2)
    np.testing.assert_allclose(joint.sum(axis=(3, 4)), histograms("s", 10), atol=1e-6)
    np.testing.assert_allclose(joint.sum(axis=(2, 4)), histograms("m", 10), atol=1e-6)
    np.testing.assert_allclose(joint.sum(axis=4), histograms("s/m", 10, 10), atol=1e-6)
    side_by_side = LBP(grid=3, method="uniform", norm="l1", compound="s_m/c").transform(crops)
    np.testing.assert_allclose(side_by_side[:, :90].reshape(len(crops), 9, 10), histograms("s", 10))
    np.testing.assert_allclose(side_by_side[:, 90:].reshape(len(crops), 9, 10, 2), joint.sum(axis=2), atol=1e-6)
