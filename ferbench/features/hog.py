"""Histograms of oriented gradients, by OpenCV: about ten times faster than scikit-image's on a 48×48 face."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ferbench.checks import check_flag, check_integer
from ferbench.features.base import Crops, Matrix, StatelessFeatures, check_crops

__all__ = ["HOG"]


class HOG(StatelessFeatures):
    """Histograms of oriented gradients [1]_.

    Gradients vote into the two nearest orientation bins and the nearest cells; blocks of neighbouring cells, one cell
    apart, are normalised together (L2, clipped at 0.2, L2 again). Where the crop is no multiple of ``cell``, the
    largest centred window that is one is described, which leaves out up to ``cell - 1`` pixels of border.

    Parameters
    ----------
    cell : int
        Side of a cell in pixels.
    block : int
        Cells along each side of a block.
    bins : int
        Orientation bins, over 180 degrees, or 360 where ``signed``.
    signed : bool
        Whether a gradient and its opposite are told apart.

    References
    ----------
    .. [1] N. Dalal, B. Triggs: Histograms of oriented gradients for human detection. CVPR 2005.

    Examples
    --------
    >>> import numpy as np
    >>> HOG(cell=6).transform(np.zeros((2, 48, 48), np.uint8)).shape
    (2, 1764)
    """

    def __init__(self, cell: int = 6, block: int = 2, bins: int = 9, signed: bool = False) -> None:
        self.cell = cell
        self.block = block
        self.bins = bins
        self.signed = signed

    def transform(self, X: Crops) -> Matrix:
        """(N, D) float32: blocks column by column, in each its cells column by column, in each its bins."""
        check_integer("cell", self.cell, 2)
        check_integer("block", self.block, 1)
        check_integer("bins", self.bins, 2, 180)
        check_flag("signed", self.signed)
        crops = check_crops(X, minimum=self.cell * self.block)
        height, width = (side // self.cell * self.cell for side in crops.shape[1:])
        top, left = (crops.shape[1] - height) // 2, (crops.shape[2] - width) // 2
        windows = crops[:, top : top + height, left : left + width]
        descriptor = _descriptor(height, width, self.cell, self.block, self.bins, bool(self.signed))
        out = np.empty((len(crops), descriptor.getDescriptorSize()), np.float32)
        for row, window in zip(out, windows, strict=True):
            row[:] = descriptor.compute(np.ascontiguousarray(window)).ravel()
        return out


@lru_cache(maxsize=32)
def _descriptor(height: int, width: int, cell: int, block: int, bins: int, signed: bool) -> Any:
    """OpenCV's descriptor: kept beside the transformer, because it cannot be pickled."""
    import cv2

    return cv2.HOGDescriptor(
        _winSize=(width, height),
        _blockSize=(block * cell, block * cell),
        _blockStride=(cell, cell),
        _cellSize=(cell, cell),
        _nbins=bins,
        _signedGradient=signed,
    )
