"""Small face-like crops that a classifier can learn in a moment."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

LABELS = ("happy", "sad", "surprise")


def striped_crops(n: int, seed: int = 0) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.str_]]:
    """(n, 48, 48) uint8 noise with stripes whose direction tells the label, and the labels."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    y, x = np.mgrid[:48, :48]
    waves = np.stack([np.sin(x / 2), np.sin(y / 2), np.sin((x + y) / 3)])
    crops = 128 + 60 * waves[kind] + rng.normal(0, 25, (n, 48, 48))
    return np.clip(crops, 0, 255).astype(np.uint8), np.asarray(LABELS)[kind]


@pytest.fixture(scope="session")
def crops() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.str_]]:
    return striped_crops(90)
