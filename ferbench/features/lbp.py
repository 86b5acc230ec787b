"""Local binary patterns of a face: one histogram of codes for each cell of a grid."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ferbench.errors import ParameterError
from ferbench.features.base import Crops, Matrix, StatelessFeatures, check_crops, check_integer
from ferbench.features.lbp_codes import METHODS, lbp_codes, lbp_labels, n_labels

__all__ = ["LBP"]

_NORMS = ("l1", "sqrt")
_MAX_POINTS = 16
_MAX_DIMENSIONS = 100_000
_CHUNK = 64
"""Crops counted at once, so that the index array (8 bytes a pixel) stays small whatever N is."""


class LBP(StatelessFeatures):
    """Histograms of local binary patterns on a grid [1]_.

    Codes equal ``skimage.feature.local_binary_pattern`` bit for bit, border included (pixels outside the crop count
    as 0). Row ``r`` of a crop of height ``h`` belongs to grid row ``r * grid // h``; columns likewise.

    Parameters
    ----------
    grid : int
        Cells along each side.
    points : int
        Neighbours on the circle, 4 to 16.
    radius : float
        Radius of the circle in pixels.
    method : {"default", "uniform", "nri-uniform"}
        Which codes share a histogram bin. Eight points give 256, 10 and 59 bins a cell.
    norm : {"l1", "sqrt"}
        ``l1``: each cell's histogram sums to 1. ``sqrt``: its square root, under which a linear or Gaussian kernel
        compares histograms by Hellinger's distance.

    References
    ----------
    .. [1] T. Ahonen, A. Hadid, M. Pietikäinen: Face description with local binary patterns. IEEE TPAMI 28(12), 2006.

    Examples
    --------
    >>> import numpy as np
    >>> LBP(grid=7).transform(np.zeros((2, 48, 48), np.uint8)).shape
    (2, 2891)
    """

    def __init__(
        self, grid: int = 7, points: int = 8, radius: float = 1, method: str = "nri-uniform", norm: str = "sqrt"
    ) -> None:
        self.grid = grid
        self.points = points
        self.radius = radius
        self.method = method
        self.norm = norm

    def _check_parameters(self) -> None:
        check_integer("grid", self.grid, 1)
        check_integer("points", self.points, 4, _MAX_POINTS)
        if isinstance(self.radius, bool) or not isinstance(self.radius, int | float) or not 0 < self.radius <= 100:
            raise ParameterError("parameter radius", got=repr(self.radius), expected="pixels, above 0 and up to 100")
        for name, known in (("method", METHODS), ("norm", _NORMS)):
            if getattr(self, name) not in known:
                raise ParameterError(
                    f"parameter {name}", got=repr(getattr(self, name)), expected=f"one of {', '.join(known)}"
                )
        dimensions = self.grid**2 * n_labels(self.points, self.method)
        if dimensions > _MAX_DIMENSIONS:
            raise ParameterError(
                "these LBP parameters make too many features",
                got=dimensions,
                expected=f"at most {_MAX_DIMENSIONS}",
                fix="use method='uniform', fewer points or a smaller grid",
            )

    def transform(self, X: Crops) -> Matrix:
        """(N, grid * grid * bins) float32, cell by cell from the top left."""
        self._check_parameters()
        crops = check_crops(X, minimum=max(self.grid, 2 * math.ceil(self.radius) + 1))
        n, h, w = crops.shape
        bins = n_labels(self.points, self.method)
        width = self.grid**2 * bins
        label = lbp_labels(self.points, self.method)
        cell, share = _cells(h, w, self.grid, bins)
        first_bin = cell + (np.arange(min(n, _CHUNK)) * width)[:, None, None]
        out = np.empty((n, width), np.float32)
        for start in range(0, n, _CHUNK):
            rows = out[start : start + _CHUNK]
            index = np.take(label, lbp_codes(crops[start : start + _CHUNK], self.points, self.radius))
            index += first_bin[: len(rows)]
            rows[:] = np.bincount(index.ravel(), minlength=rows.size).reshape(rows.shape)
            rows *= share
            if self.norm == "sqrt":
                np.sqrt(rows, out=rows)
        return out


@lru_cache(maxsize=16)
def _cells(h: int, w: int, grid: int, bins: int) -> tuple[npt.NDArray[np.intp], Matrix]:
    """(h, w) index of the first bin of each pixel's cell, and (grid * grid * bins,) share of one pixel in each cell."""
    cell = (np.arange(h) * grid // h)[:, None] * grid + np.arange(w) * grid // w
    pixels = np.bincount(cell.ravel(), minlength=grid * grid)
    return cell * bins, (1 / np.repeat(pixels, bins)).astype(np.float32)
