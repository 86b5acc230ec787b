"""Wavelet features are PyWavelets' coefficients, and keep a crop's energy."""

from __future__ import annotations

import numpy as np
import pytest
import pywt

from ferbench.errors import ParameterError, ShapeError, UnknownNameError
from ferbench.features.wavelet import Wavelet, wavelet_subbands

CROPS = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)


@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4", "bior2.2"])
@pytest.mark.parametrize("level", [1, 2])
def test_coefficients_are_those_of_a_single_crop_by_pywavelets(wavelet: str, level: int) -> None:
    rows = Wavelet(wavelet, level).transform(CROPS)
    for row, crop in zip(rows, CROPS, strict=True):
        approximation, *details = pywt.wavedec2(crop / 255, wavelet, "periodization", level)
        expected = [approximation, *(band for bands in details for band in bands)]
        np.testing.assert_allclose(row, np.concatenate([band.ravel() for band in expected]), atol=1e-5)


def test_an_orthogonal_transform_has_as_many_values_and_as_much_energy_as_the_crop() -> None:
    rows = Wavelet("db2", 4).transform(CROPS)
    assert rows.shape == (3, 48 * 48)
    np.testing.assert_allclose((rows**2).sum(axis=1), ((CROPS / 255) ** 2).sum(axis=(1, 2)), rtol=1e-4)


def test_details_ignore_brightness_and_the_approximation_holds_it() -> None:
    dark, bright = CROPS // 2, CROPS // 2 + np.uint8(51)
    details = Wavelet(bands="details")
    np.testing.assert_allclose(details.transform(dark), details.transform(bright), atol=1e-5)
    approximation = Wavelet(level=2, bands="approximation")
    np.testing.assert_allclose(approximation.transform(bright) - approximation.transform(dark), 0.2 * 4, atol=1e-5)


def test_a_grid_holds_mean_magnitudes() -> None:
    band = np.abs(pywt.dwt2(CROPS[0] / 255, "haar", "periodization")[1][0])
    row = Wavelet(level=1, bands="details", grid=2).transform(CROPS[:1])[0]
    assert row.shape == (3 * 4,)
    assert row[3] == pytest.approx(band[12:, 12:].mean(), rel=1e-5)


def test_subbands_are_channels_of_an_image() -> None:
    images = wavelet_subbands(CROPS, "db2", level=2)
    assert images.shape == (3, 12, 12, 4)
    assert images.dtype == np.float32
    coarse = pywt.wavedec2(CROPS[1] / 255, "db2", "periodization", 2)
    np.testing.assert_allclose(images[1], np.stack([coarse[0], *coarse[1]], axis=-1), atol=1e-5)


def test_horizontal_edges_are_in_the_second_channel() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8)[:, None], (1, 24, 48))
    energy = (wavelet_subbands(stripes)[..., 1:] ** 2).sum(axis=(0, 1, 2))
    assert energy.argmax() == 0


def test_images_of_subbands_cannot_be_asked_for_in_vain() -> None:
    with pytest.raises(UnknownNameError, match="haar"):
        wavelet_subbands(CROPS, "har")
    with pytest.raises(ShapeError, match="at most 5"):
        wavelet_subbands(CROPS, level=6)
    with pytest.raises(ParameterError, match="level"):
        wavelet_subbands(CROPS, level=0)
