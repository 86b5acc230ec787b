"""Batches of any size as calls of a few sizes, so that what a runtime keeps for each size stays bounded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_BATCH", "call_in_batches"]

MAX_BATCH = 64
"""Largest batch of one call; beyond it, faces a second no longer rise."""


def call_in_batches(
    crops: npt.NDArray[np.uint8],
    call: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
    n_classes: int,
    *,
    largest: int = MAX_BATCH,
) -> npt.NDArray[np.float32]:
    """Probabilities (N, C) float32 of crops (N, h, w) uint8, from calls of 64, 32, 16, 8, 4, 2 and 1 crops.

    ``largest``, a power of two, lowers the 64.

    Nothing is padded, and a runtime that allocates for each batch size does so seven times at most.

    Examples
    --------
    >>> sizes = []
    >>> def call(crops):
    ...     sizes.append(len(crops))
    ...     return np.zeros((len(crops), 7), np.float32)
    >>> call_in_batches(np.zeros((75, 48, 48), np.uint8), call, 7).shape
    (75, 7)
    >>> sizes
    [64, 8, 2, 1]
    """
    start, parts = 0, []
    while start < len(crops):
        size = min(largest, 1 << ((len(crops) - start).bit_length() - 1))
        parts.append(call(crops[start : start + size]))
        start += size
    if not parts:
        return np.zeros((0, n_classes), np.float32)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
