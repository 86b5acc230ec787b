"""Gabor magnitudes equal scikit-image's, and the bank answers to the waves that it is made for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.filters import gabor

from ferbench.features.gabor import Gabor, gabor_magnitudes


@pytest.mark.parametrize("wavelength", [2.5, 4, 8 * math.sqrt(2), 40])
@pytest.mark.parametrize("angle", [0, 0.4, math.pi / 2, 2.5])
def test_magnitudes_equal_scikit_images(wavelength: float, angle: float) -> None:
    gray = np.random.default_rng(0).random((2, 30, 41))
    ours = gabor_magnitudes(gray.astype(np.float32), wavelength, angle)
    theirs = [np.hypot(*gabor(image, 1 / wavelength, angle)) for image in gray]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_allclose(
        gabor_magnitudes(gray.astype(np.float32), wavelength, angle, 3), np.array(theirs)[:, ::3, ::3], atol=1e-6
    )


@pytest.mark.parametrize("scale", range(4))
@pytest.mark.parametrize("orientation", range(6))
def test_a_wave_is_answered_by_its_own_filter(scale: int, orientation: int) -> None:
    y, x = np.mgrid[:96, :96]
    angle, wavelength = math.pi * orientation / 6, 4 * 2 ** (scale / 2)
    wave = np.sin(2 * math.pi / wavelength * (x * math.cos(angle) + y * math.sin(angle)))
    crop = (127 + 100 * wave).astype(np.uint8)[None]
    answers = Gabor(scales=4, orientations=6, grid=3).transform(crop).reshape(4, 6, 3, 3)[:, :, 1, 1]
    assert np.unravel_index(answers.argmax(), answers.shape) == (scale, orientation)


def test_cells_hold_the_mean_of_their_magnitudes() -> None:
    crops = np.random.default_rng(1).integers(0, 256, (3, 32, 32)).astype(np.uint8)
    rows = Gabor(scales=1, orientations=1, shortest=6, step=2, grid=2).transform(crops).reshape(3, 2, 2)
    magnitudes = gabor_magnitudes(crops.astype(np.float32) / 255, 6, 0)[:, ::2, ::2]
    np.testing.assert_allclose(rows[:, 0, 1], magnitudes[:, :8, 8:].mean(axis=(1, 2)), rtol=1e-5)
