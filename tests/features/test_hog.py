"""HOG by OpenCV: light does not matter, edges vote for their direction, and a plain computation agrees."""

from __future__ import annotations

import numpy as np
import pytest

from ferbench.features.hog import HOG

BINS = 9


def wave(angle_degrees: float) -> np.ndarray:
    """A (1, 48, 48) wave whose gradient points along the angle (0: right, 90: down)."""
    y, x = np.mgrid[:48, :48]
    angle = np.deg2rad(angle_degrees)
    phase = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / 16
    return (127 + 100 * np.sin(phase)).astype(np.uint8)[None]


def reference(image: np.ndarray, cell: int, bins: int) -> np.ndarray:
    """Plain numpy HOG of one cell that is its own block: (bins,) votes to the two nearest bins, L2-Hys."""
    padded = np.pad(image.astype(float), 1, mode="reflect")
    dx = padded[1:-1, 2:] - padded[1:-1, :-2]
    dy = padded[2:, 1:-1] - padded[:-2, 1:-1]
    position = (np.arctan2(dy, dx) % np.pi) / np.pi * bins - 0.5
    low = np.floor(position)
    centre, sigma = cell / 2, cell / 4
    offset = np.arange(cell) - centre + 0.5
    weight = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * sigma**2))
    # A pixel votes for cells by its distance to their centres; what falls outside the block is lost.
    near = 1 - np.abs((np.arange(cell) + 0.5) / cell - 0.5)
    votes = np.hypot(dx, dy) * weight * near[:, None] * near
    out = np.zeros(bins)
    np.add.at(out, low.astype(int) % bins, votes * (1 - position + low))
    np.add.at(out, (low.astype(int) + 1) % bins, votes * (position - low))
    out = np.minimum(out / np.linalg.norm(out), 0.2)
    return out / np.linalg.norm(out)


@pytest.mark.parametrize("angle", range(10, 180, 20))
def test_an_edge_votes_for_the_bin_of_its_direction(angle: int) -> None:
    histogram = HOG(cell=8, block=1, bins=BINS).transform(wave(angle)).reshape(-1, BINS).sum(axis=0)
    assert histogram.argmax() == angle * BINS // 180


def test_only_signed_gradients_tell_an_edge_from_its_opposite() -> None:
    x = np.mgrid[:48, :48][1]
    rising = (x * 5).astype(np.uint8)[None]
    falling = rising[:, :, ::-1]
    unsigned, signed = HOG(cell=8), HOG(cell=8, signed=True, bins=18)
    np.testing.assert_allclose(unsigned.transform(rising), unsigned.transform(falling), atol=1e-5)
    assert np.abs(signed.transform(rising) - signed.transform(falling)).max() > 0.1


def test_brightness_and_contrast_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 60, (4, 48, 48)).astype(np.uint8)
    hog = HOG(cell=6)
    np.testing.assert_allclose(hog.transform(gray), hog.transform(gray + np.uint8(80)), atol=1e-5)
    np.testing.assert_allclose(
        hog.transform(gray), hog.transform(gray * np.uint8(4)), atol=5e-3
    )  # the norm has an epsilon


def test_one_block_equals_a_plain_computation() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (16, 16)).astype(np.uint8)
    np.testing.assert_allclose(HOG(cell=16, block=1).transform(image[None])[0], reference(image, 16, BINS), atol=5e-3)


@pytest.mark.parametrize(("cell", "expected"), [(6, 7 * 7 * 36), (8, 5 * 5 * 36), (12, 3 * 3 * 36), (7, 5 * 5 * 36)])
def test_dimension_follows_from_cells_and_blocks(cell: int, expected: int) -> None:
    assert HOG(cell=cell).transform(wave(0)).shape == (1, expected)


def test_a_crop_that_is_no_multiple_of_the_cell_is_described_around_its_centre() -> None:
    crop = np.random.default_rng(2).integers(0, 256, (1, 50, 46)).astype(np.uint8)
    np.testing.assert_array_equal(HOG(cell=6).transform(crop), HOG(cell=6).transform(crop[:, 1:49, 2:44]))
