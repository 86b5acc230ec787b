"""Is a frame that was just seen cheaper than a new one? Then times of repeated frames say nothing about a camera.

Pairs of the same frame, one right after the other, after the timed calls. The first of a pair is a frame not seen
before: one of the file with its lowest bits turned over, the same picture to a pipeline, another to a cache.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ferbench.benchmarks.timing import TimedPipeline
    from ferbench.faces import Image

__all__ = ["N_PAIRS", "compare_repeats", "time_pairs"]

N_PAIRS = 24
"""Pairs of one round at most."""

MIN_PAIRS = 12
"""Pairs before a slow pipeline may end early: all of them one way has a chance of 1 in 4,096."""

MAX_HICCUPS = 2
"""Repeats among them that may be the slower ones and leave it open: then the others are timed, too.

A busy machine stops a process in one call of a dozen. Without a cache half of the repeats are slower, and so few in one
round of fifty.
"""

MAX_RATIO = 0.8
"""A repeat must be so much faster to count: the same data still in the processor's caches explains a few percent."""

MIN_GAIN_MS = 0.05
"""And by so much: below it, call overhead is compared with itself."""

_ALPHA = 0.001


def time_pairs(
    pipeline: TimedPipeline, images: Sequence[Image], *, detector_bypassed: bool, budget_s: float
) -> list[tuple[int, int]]:
    """Nanoseconds of a new frame and of the same frame again, for up to :data:`N_PAIRS` frames.

    Parameters
    ----------
    pipeline : TimedPipeline
    images : sequence of (H, W) or (H, W, 3) uint8
        Decoded frames.
    detector_bypassed : bool
        The frames are crops.
    budget_s : float
        Seconds after which :data:`MIN_PAIRS` are enough, unless up to :data:`MAX_HICCUPS` of them leave it open.
    """
    import numpy as np

    clock = time.perf_counter_ns
    end = clock() + int(budget_s * 1e9)

    def call(image: Image) -> int:
        start = clock()
        pipeline.process([image], detector_bypassed=detector_bypassed)
        return clock() - start

    call(images[0])  # After batches, one frame is another shape: what that costs once is not the first pair's.
    pairs: list[tuple[int, int]] = []
    for k in range(N_PAIRS):
        n_slower = sum(again >= first for first, again in pairs)
        if len(pairs) >= MIN_PAIRS and clock() > end and not 1 <= n_slower <= MAX_HICCUPS:
            break
        image = images[k % len(images)] ^ np.uint8(1 + k // len(images))
        pairs.append((call(image), call(image)))
    return pairs


def compare_repeats(pairs: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Whether repeats are faster beyond noise: an exact sign test over the pairs, a ratio and a gain that matter.

    Returns
    -------
    dict
        ``n_pairs``, ``first_ms`` and ``again_ms`` (medians), ``p`` (one-sided), ``is_cached``.
    """
    import numpy as np
    from scipy import stats

    first, again = np.asarray(pairs, dtype=np.float64).T / 1e6
    faster = int((again < first).sum())
    p = float(stats.binomtest(faster, len(first), alternative="greater").pvalue)
    before, after = float(np.median(first)), float(np.median(again))
    is_cached = p < _ALPHA and after <= MAX_RATIO * before and before - after >= MIN_GAIN_MS
    return {"n_pairs": len(first), "first_ms": before, "again_ms": after, "p": p, "is_cached": is_cached}
