"""Dense SIFT equals OpenCV's SIFT of upright keypoints, up to the bytes that OpenCV rounds to."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferbench.errors import ShapeError
from ferbench.features.sift import dense_sift, grid_centres

NOISE = np.random.default_rng(0).integers(0, 256, (3, 49, 61)).astype(np.uint8)
CROPS = np.stack([cv2.GaussianBlur(image, (0, 0), 1.0) for image in NOISE])


def opencv(crop: np.ndarray, size: float, step: int, sigma: float) -> np.ndarray:
    """(rows, columns, 128) descriptors of keypoints at the same places; OpenCV takes an image to be blurred by 0.5."""
    ys, xs = (grid_centres(side, size, step) for side in crop.shape)
    keypoints = [cv2.KeyPoint(float(x), float(y), size / 6, 0, 0, 0) for y in ys for x in xs]
    found, descriptors = cv2.SIFT_create(sigma=sigma).compute(crop, keypoints)
    assert len(found) == len(keypoints)
    return descriptors.reshape(len(ys), len(xs), 128) / 512


@pytest.mark.parametrize(("size", "step", "sigma"), [(16, 4, 1.2), (12, 4, 1.6), (24, 2, 0.8)])
def test_descriptors_equal_opencvs(size: float, step: int, sigma: float) -> None:
    ours = dense_sift(CROPS, size, step, blur=np.sqrt(sigma**2 - 0.25), root=False)
    for crop, mine in zip(CROPS, ours, strict=True):
        # Half a step of OpenCV's rounding is 1/1024.
        np.testing.assert_allclose(mine, opencv(crop, size, step, sigma), atol=1.1 / 1024)


def test_patches_lie_inside_the_crop_and_in_its_middle() -> None:
    np.testing.assert_array_equal(grid_centres(49, 16, 4), np.arange(8, 41, 4))
    centres = grid_centres(48, 16, 3)
    assert centres[0] >= 7.5
    assert centres[0] + centres[-1] == pytest.approx(47)
    with pytest.raises(ShapeError, match="smaller than the patches"):
        grid_centres(15, 16, 4)


def test_root_sift_is_the_square_root_of_shares() -> None:
    plain, root = (dense_sift(CROPS, root=flag) for flag in (False, True))
    np.testing.assert_allclose(root**2, plain / plain.sum(axis=-1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(root, axis=-1), 1, rtol=1e-5)


def test_flat_crops_have_no_descriptor() -> None:
    flat = np.array([[[0]], [[137]], [[255]]], np.uint8).repeat(48, axis=1).repeat(48, axis=2)
    assert not dense_sift(flat, blur=1.3).any()


def test_brightness_and_contrast_do_not_matter() -> None:
    dark = (CROPS // 4).astype(np.uint8)
    np.testing.assert_allclose(
        dense_sift(dark, blur=0), dense_sift(dark * np.uint8(3) + np.uint8(9), blur=0), atol=1e-4
    )
