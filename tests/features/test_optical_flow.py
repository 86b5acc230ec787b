"""Flow finds known movements, and its features say where they go."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferbench.errors import DataError, ParameterError, ShapeError
from ferbench.features.optical_flow import METHODS, OpticalFlow, flow_fields

TEXTURE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (80, 80)).astype(np.uint8), (0, 0), 2.5)
TEXTURE = cv2.normalize(TEXTURE, None, 0, 255, cv2.NORM_MINMAX)
STILL = TEXTURE[16:64, 16:64]
RIGHT = TEXTURE[16:64, 14:62]  # everything is two pixels further right
DOWN = TEXTURE[13:61, 16:64]  # three pixels further down


@pytest.mark.parametrize("method", METHODS)
def test_known_movements_are_found(method: str) -> None:
    fields = flow_fields(np.stack([STILL, STILL]), np.stack([RIGHT, DOWN]), method)[:, 8:-8, 8:-8]
    np.testing.assert_allclose(np.median(fields, axis=(1, 2)), [[2, 0], [0, 3]], atol=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_features_are_means_and_directions(method: str) -> None:
    rows = OpticalFlow(method, grid=3, bins=4).transform_pairs(np.stack([STILL, STILL]), np.stack([RIGHT, DOWN]))
    centre = rows.reshape(2, 6, 3, 3)[:, :, 1, 1] * 48
    np.testing.assert_allclose(centre, [[2, 0, 2, 0, 0, 0], [0, 3, 0, 3, 0, 0]], atol=0.2)


def test_sequences_are_compared_with_their_first_frame() -> None:
    flow = OpticalFlow(grid=2)
    sequences = np.stack([[STILL, RIGHT, DOWN], [RIGHT, RIGHT, STILL]])
    rows = flow.transform_sequences(sequences)
    assert rows.shape == (2, 2, 40)
    np.testing.assert_array_equal(rows[0], flow.transform_pairs(np.stack([STILL, STILL]), np.stack([RIGHT, DOWN])))
    np.testing.assert_array_equal(rows[1, 0], 0)
    assert rows.dtype == np.float32


def test_a_single_crop_is_compared_with_the_mean_neutral_face() -> None:
    crops, labels = np.stack([STILL, RIGHT, DOWN, DOWN]), np.array(["neutral", "happy", "sad", "sad"])
    flow = OpticalFlow().fit(crops, labels)
    np.testing.assert_array_equal(flow.reference_, STILL)
    np.testing.assert_array_equal(flow.transform(crops[1:2]), flow.transform_pairs(STILL[None], RIGHT[None]))
    sad = OpticalFlow(neutral="sad").fit(crops, labels)
    np.testing.assert_array_equal(sad.reference_, DOWN)
    everyone = OpticalFlow(neutral=None).fit(crops)
    np.testing.assert_array_equal(everyone.reference_, np.rint(crops.mean(axis=0)).astype(np.uint8))


def test_wrong_frames_are_refused() -> None:
    crops = np.stack([STILL, RIGHT])
    with pytest.raises(ShapeError, match="wrong form"):
        OpticalFlow().transform_sequences(crops)
    with pytest.raises(ShapeError, match="wrong form"):
        OpticalFlow().transform_sequences(crops[:, None])
    with pytest.raises(ShapeError, match="differ"):
        flow_fields(crops, crops[:1])
    with pytest.raises(ShapeError, match="at least 12"):
        flow_fields(crops[:, :8], crops[:, :8])
    with pytest.raises(ShapeError, match="fitted to"):
        OpticalFlow(neutral=None).fit(crops).transform(crops[:, 4:])
    with pytest.raises(ParameterError, match="method"):
        flow_fields(crops, crops, "lucas")
    with pytest.raises(DataError, match="training face"):
        OpticalFlow(neutral=None).fit(crops[:0])
