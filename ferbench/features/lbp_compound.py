"""The parts of a completed local binary pattern: sign, magnitude and centre.

The sign is the local binary pattern itself. The magnitude asks of each neighbour whether it differs from the centre by
at least as much as neighbours do on average; the centre, whether it is at least as bright as the crop on average [1]_.

References
----------
.. [1] Z. Guo, L. Zhang, D. Zhang: A completed modeling of local binary pattern operator for texture classification.
       IEEE Transactions on Image Processing 19(6), 2010.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ferbench.features.lbp_codes import Codes, lbp_codes, lbp_labels, n_labels, neighbours

__all__ = ["COMPOUNDS", "centre_codes", "compound_bins", "compound_labels", "magnitude_codes"]

COMPOUNDS = ("s", "m", "s_m", "s_m/c", "s/m", "s/m/c")
"""Sign, magnitude and centre as the paper writes them: ``_`` puts histograms side by side, ``/`` counts jointly."""

_ROUNDING = 1e-6
"""Gray values: interpolation in a flat crop differs from its centre by some 1e-14, and so does the mean."""


def compound_bins(compound: str, points: int, method: str) -> list[int]:
    """Number of bins of each histogram that stands side by side with the others."""
    n = n_labels(points, method)
    each = {"s": n, "m": n, "c": 2}
    return [math.prod(each[part] for part in joint.split("/")) for joint in compound.split("_")]


def compound_labels(
    crops: npt.NDArray[np.uint8], points: int, radius: float, method: str, compound: str
) -> list[npt.NDArray[np.intp]]:
    """For each histogram, the bin (N, h, w) of every pixel; jointly counted parts vary from the last to the first."""
    label, n = lbp_labels(points, method), n_labels(points, method)
    found: dict[str, tuple[npt.NDArray[np.intp], int]] = {}
    if "s" in compound:
        found["s"] = np.take(label, lbp_codes(crops, points, radius)), n
    if "m" in compound:
        found["m"] = np.take(label, magnitude_codes(crops, points, radius)), n
    if "c" in compound:
        found["c"] = centre_codes(crops).astype(np.intp), 2
    out = []
    for joint in compound.split("_"):
        first, *rest = joint.split("/")
        bins = found[first][0]
        for part in rest:
            bins = bins * found[part][1] + found[part][0]
        out.append(bins)
    return out


def magnitude_codes(crops: npt.NDArray[np.uint8], points: int, radius: float) -> Codes:
    """(N, h, w) uint16: bit p is set where neighbour p differs from the centre by the crop's mean difference or more.

    The mean is that of the pixels whose neighbours all lie inside the crop, which is all that the paper's images have.
    """
    centre = crops.astype(np.float64)
    differences = [np.abs(value - centre) for value in neighbours(crops, points, radius)]
    margin = math.ceil(radius)
    inside = [d[:, margin:-margin, margin:-margin].mean(axis=(1, 2)) for d in differences]
    threshold = np.mean(inside, axis=0)[:, None, None] - _ROUNDING
    codes = np.zeros(crops.shape, np.uint16)
    for p, difference in enumerate(differences):
        codes |= (difference >= threshold).astype(np.uint16) << np.uint16(p)
    return codes


def centre_codes(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """(N, h, w): whether a pixel is at least as bright as the crop's mean."""
    mean = crops.mean(axis=(1, 2), dtype=np.float64, keepdims=True)
    return np.asarray(crops >= mean - _ROUNDING)
