"""LiteRT against Keras' ``model.predict`` for one face, as a ratio within one run; both single-face, same network."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.deep, pytest.mark.alone]
keras = pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")

from ferbench.classifiers.keras.networks import mini_xception  # noqa: E402
from ferbench.classifiers.runtimes.litert import LiteRTRuntime  # noqa: E402

LEAST_RATIO = 50


class Fitted:
    """What the runtime needs of a trained classifier: speed does not depend on the weights."""

    def __init__(self) -> None:
        self.model_ = mini_xception((48, 48), 7)


def median_seconds(call: Callable[[], Any], n: int) -> float:
    times = []
    for _ in range(n):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def test_litert_is_fifty_times_predict(benchmark: Any, time_calls: Callable[..., Any]) -> None:
    fitted, crops = Fitted(), np.random.default_rng(0).integers(0, 256, (220, 1, 48, 48), np.uint8)
    crop = crops[0]
    session = LiteRTRuntime().prepare(fitted, crop)
    x = crop[..., None].astype(np.float32)
    fitted.model_.predict(x, verbose=0)
    time_calls(session, crops)
    # Interleaved, so that a busy machine slows both.
    ratios = [
        median_seconds(lambda: fitted.model_.predict(x, verbose=0), 10) / median_seconds(lambda: session(crop), 100)
        for _ in range(3)
    ]
    benchmark.extra_info["ratio_to_predict"] = statistics.median(ratios)
    assert max(ratios) >= LEAST_RATIO, ratios
