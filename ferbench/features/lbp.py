"""Local binary patterns of a face: one histogram of codes for each cell of a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ferbench.checks import check_choice, check_integer, check_numbers
from ferbench.errors import ParameterError
from ferbench.features.base import Crops, Matrix, StatelessFeatures, check_crops
from ferbench.features.lbp_codes import METHODS
from ferbench.features.lbp_compound import COMPOUNDS, compound_bins, compound_labels

__all__ = ["LBP"]

_NORMS = ("l1", "sqrt")
_MAX_POINTS = 16
_MAX_DIMENSIONS = 100_000
_CHUNK = 64
"""Crops counted at once, so that the index array (8 bytes a pixel) stays small whatever N is."""


class LBP(StatelessFeatures):
    """Histograms of local binary patterns [1]_, ordinary or completed [2]_, on a grid.

    Codes equal ``skimage.feature.local_binary_pattern`` bit for bit, border included (pixels outside the crop count
    as 0). Row ``r`` of a crop of height ``h`` belongs to grid row ``r * grid // h``; columns likewise.

    Parameters
    ----------
    grid : int
        Cells along each side.
    points : int
        Neighbours on the circle, 4 to 16.
    radius : float or sequence of float
        Radius of the circle in pixels; several: the histograms of each, one after the other.
    method : {"default", "ror", "uniform", "nri-uniform"}
        Which codes share a histogram bin. Eight points give 256, 36, 10 and 59 bins a cell. With ``ror`` and
        ``uniform`` a rotated pattern counts in the same bin.
    compound : {"s", "m", "s_m", "s_m/c", "s/m", "s/m/c"}
        Parts of the completed local binary pattern: the signs of the differences, which are the ordinary codes,
        their magnitudes, and the centre's brightness. ``_`` puts histograms side by side, ``/`` counts jointly.
    norm : {"l1", "sqrt"}
        ``l1``: each cell's histogram sums to 1. ``sqrt``: its square root, under which a linear or Gaussian kernel
        compares histograms by Hellinger's distance.

    References
    ----------
    .. [1] T. Ahonen, A. Hadid, M. Pietikäinen: Face description with local binary patterns. IEEE TPAMI 28(12), 2006.
    .. [2] Z. Guo, L. Zhang, D. Zhang: A completed modeling of local binary pattern operator for texture classification.
           IEEE Transactions on Image Processing 19(6), 2010.

    Examples
    --------
    >>> import numpy as np
    >>> LBP(grid=7).transform(np.zeros((2, 48, 48), np.uint8)).shape
    (2, 2891)
    """

    def __init__(
        self,
        grid: int = 7,
        points: int = 8,
        radius: float | Sequence[float] = 1,
        method: str = "nri-uniform",
        norm: str = "sqrt",
        compound: str = "s",
    ) -> None:
        self.grid = grid
        self.points = points
        self.radius = radius
        self.method = method
        self.norm = norm
        self.compound = compound

    def _checked_radii(self) -> tuple[float, ...]:
        check_integer("grid", self.grid, 1)
        check_integer("points", self.points, 4, _MAX_POINTS)
        radii = check_numbers("radius", self.radius, 0, 100)
        if min(radii) == 0:
            raise ParameterError("parameter radius", got=repr(self.radius), expected="pixels, above 0 and up to 100")
        check_choice("method", self.method, METHODS)
        check_choice("norm", self.norm, _NORMS)
        check_choice("compound", self.compound, COMPOUNDS)
        dimensions = len(radii) * self.grid**2 * sum(compound_bins(self.compound, self.points, self.method))
        if dimensions > _MAX_DIMENSIONS:
            raise ParameterError(
                "these LBP parameters make too many features",
                got=dimensions,
                expected=f"at most {_MAX_DIMENSIONS}",
                fix="use method='uniform', fewer points or a smaller grid",
            )
        return radii

    def transform(self, X: Crops) -> Matrix:
        """(N, D) float32: radius by radius, histogram by histogram, in each its cells from the top left."""
        radii = self._checked_radii()
        crops = check_crops(X, minimum=max(self.grid, 2 * math.ceil(max(radii)) + 1))
        n, h, w = crops.shape
        bins = compound_bins(self.compound, self.points, self.method)
        cells = [_cells(h, w, self.grid, b) for b in bins]
        widths = [self.grid**2 * b for b in bins]
        out = np.empty((n, len(radii) * sum(widths)), np.float32)
        for start in range(0, n, _CHUNK):
            part, end = crops[start : start + _CHUNK], 0
            for radius in radii:
                labels = compound_labels(part, self.points, radius, self.method, self.compound)
                for label, width, (cell, share) in zip(labels, widths, cells, strict=True):
                    index = np.add(label, cell + (np.arange(len(part)) * width)[:, None, None], out=label)
                    rows = out[start : start + _CHUNK, end : end + width]
                    rows[:] = np.bincount(index.ravel(), minlength=rows.size).reshape(rows.shape)
                    rows *= share
                    if self.norm == "sqrt":
                        np.sqrt(rows, out=rows)
                    end += width
        return out


@lru_cache(maxsize=16)
def _cells(h: int, w: int, grid: int, bins: int) -> tuple[npt.NDArray[np.intp], Matrix]:
    """(h, w) index of the first bin of each pixel's cell, and (grid * grid * bins,) share of one pixel in each cell."""
    cell = (np.arange(h) * grid // h)[:, None] * grid + np.arange(w) * grid // w
    pixels = np.bincount(cell.ravel(), minlength=grid * grid)
    return cell * bins, (1 / np.repeat(pixels, bins)).astype(np.float32)
