"""Batched features against scikit-image's per-image calls, as ratios of the fastest rounds within one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from skimage.feature import hog, local_binary_pattern
from threadpoolctl import threadpool_limits

from ferbench.features.hog import HOG
from ferbench.features.lbp import LBP
from ferbench.features.union import Union
from ferbench.registry import create

pytestmark = pytest.mark.alone

LEAST_RATIO = 8
N = 256


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    """(N, 48, 48) smooth patterns with a little noise, as faces are."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :48] / 48
    waves = [np.sin(2 * np.pi * (a * x + b * y) + c) for a, b, c in rng.uniform(0, 3, (N, 3))]
    return np.clip(128 + 80 * np.stack(waves) + rng.normal(0, 6, (N, 48, 48)), 0, 255).astype(np.uint8)


def seconds_per_crop(
    call: Callable[[], Any], n: int, rounds: int = 7, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Fastest of some rounds: the one least disturbed by whatever else runs."""
    times = []
    for _ in range(rounds):
        start = clock()
        call()
        times.append(clock() - start)
    return min(times) / n


def times_as_fast(ours: Callable[[], Any], theirs: Callable[[], Any], n_ours: int, n_theirs: int) -> float:
    """Ratio of the fastest rounds, a crop; the two take turns, so that a slow spell of the machine meets both."""
    spent = [(seconds_per_crop(ours, n_ours, 1), seconds_per_crop(theirs, n_theirs, 1)) for _ in range(25)]
    fastest_of_ours, fastest_of_theirs = map(min, zip(*spent, strict=True))
    return fastest_of_theirs / fastest_of_ours


def test_lbp_features(benchmark: Any, crops: np.ndarray) -> None:
    """The whole of ours (codes, labels, histograms) against scikit-image's codes and labels alone."""
    benchmark(LBP().transform, crops)
    ratio = times_as_fast(
        lambda: LBP().transform(crops),
        lambda: [local_binary_pattern(c, 8, 1, "nri_uniform") for c in crops[:32]],
        N,
        32,
    )
    benchmark.extra_info["ratio_to_scikit_image"] = ratio
    assert ratio >= LEAST_RATIO


def test_hog_features(benchmark: Any, crops: np.ndarray) -> None:
    benchmark(HOG(cell=6).transform, crops)
    ratio = times_as_fast(
        lambda: HOG(cell=6).transform(crops),
        lambda: [hog(c, pixels_per_cell=(6, 6), cells_per_block=(2, 2), block_norm="L2-Hys") for c in crops[:32]],
        N,
        32,
    )
    benchmark.extra_info["ratio_to_scikit_image"] = ratio
    assert ratio >= LEAST_RATIO


@pytest.mark.parametrize(("spec", "most"), [("lbp", 5), ("gabor", 2.5)])
def test_one_face_costs_a_few_faces_of_a_batch(spec: str, most: float, crops: np.ndarray) -> None:
    """A live face comes alone: there the calls, not the pixels, take the time."""
    features = create("features", spec)
    with threadpool_limits(1):  # as live pipelines run
        alone = seconds_per_crop(lambda: features.transform(crops[:1]), 1, 30, time.process_time)
        together = seconds_per_crop(lambda: features.transform(crops[:64]), 64, clock=time.process_time)
    assert alone / together <= most


def test_one_face(time_calls: Callable[..., Any], crops: np.ndarray) -> None:
    """Latency of a single crop, where the cost of each call counts rather than the batch."""
    features = Union(["hog(cell=6)", "lbp"]).fit(crops)
    rows = time_calls(features.transform, [crops[i : i + 1] for i in range(N)])
    assert rows.shape == (1, 1764 + 2891)
