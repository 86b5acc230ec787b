"""Spoilt face crops through a pipeline, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.corruptions import corrupt

if TYPE_CHECKING:
    from ferbench.pipelines import Pipeline

__all__ = ["BATCH", "classify_spoilt"]

BATCH = 2048
"""Crops that are spoilt and classified at once: 5 MB of pixels."""


def classify_spoilt(
    pipeline: Pipeline,
    crops: npt.NDArray[np.uint8],
    index: npt.NDArray[np.int64],
    name: str,
    severity: int,
    *,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Probabilities of face crops under one corruption; nothing of the spoilt crops is kept.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted.
    crops : (M, h, w) uint8, gray
        May be memory-mapped; at most :data:`BATCH` of them are copied at a time.
    index : (N,) int64
        Which of them are classified, and what each one's random draws depend on.
    name, severity, seed
        See :func:`~ferbench.benchmarks.corruptions.corrupt`.
    on_progress : callable, optional
        Called with the number of faces just classified.

    Returns
    -------
    (N, C) float32
    """
    found = np.zeros((len(index), len(pipeline.labels)), np.float32)
    for start in range(0, len(index), BATCH):
        at = index[start : start + BATCH]
        found[start : start + len(at)] = pipeline.classify(corrupt(crops[at], name, severity, seed=seed, index=at))
        if on_progress:
            on_progress(len(at))
    return found
