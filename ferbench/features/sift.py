"""Dense SIFT descriptors of many crops at once, equal to OpenCV's of upright keypoints but for its rounding to bytes.

SIFT's weighting of a gradient (a Gaussian around the keypoint, a triangle around each of its 4×4 spatial bins) is a
product of a function of the row and one of the column. For keypoints on a grid, all descriptors of a crop are therefore
two matrix products for each orientation, whatever the number of keypoints [1]_.

References
----------
.. [1] D. Lowe: Distinctive image features from scale-invariant keypoints. IJCV 60(2), 2004. Fast on grids: A. Vedaldi,
       B. Fulkerson: VLFeat, an open and portable library of computer vision algorithms. ACM Multimedia 2010.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ferbench.errors import ShapeError
from ferbench.features.base import Crops, Matrix

__all__ = ["DIMENSIONS", "dense_sift", "grid_centres", "orientation_planes", "sift_of_planes"]

DIMENSIONS = 128
_BINS = 4
_ORIENTATIONS = 8
_CLIP = 0.2


def grid_centres(side: int, size: float, step: int) -> npt.NDArray[np.float64]:
    """(P,) coordinates of patch centres, ``step`` pixels apart, the patches inside the crop and in its middle."""
    if size > side:
        raise ShapeError("crops are smaller than the patches to describe", got=f"{side} pixels", expected=f"{size:g}")
    n = int((side - size) // step) + 1
    return np.asarray((side - 1 - (n - 1) * step) / 2 + np.arange(n) * step, np.float64)


def dense_sift(crops: Crops, size: float = 16, step: int = 4, blur: float = 0.8, root: bool = True) -> Matrix:
    """SIFT descriptors of square, upright patches on a grid.

    Parameters
    ----------
    crops : (N, h, w) uint8 gray
    size : float
        Side of a patch in pixels: four spatial bins. OpenCV's keypoint of that patch has the diameter ``size / 6``.
    step : int
        Pixels between the centres of neighbouring patches.
    blur : float
        Standard deviation of the Gaussian that smooths the crop first, in pixels; 0: none.
    root : bool
        RootSIFT [1]_: divide by the sum and take square roots, so that dot products compare by Hellinger's distance.

    Returns
    -------
    (N, rows, columns, 128) float32
        Unit vectors; zeros where a patch is flat. Each: four rows of four bins of eight orientations.

    References
    ----------
    .. [1] R. Arandjelović, A. Zisserman: Three things everyone should know to improve object retrieval. CVPR 2012.
    """
    return sift_of_planes(orientation_planes(crops, blur), size, step, root)


def orientation_planes(crops: Crops, blur: float) -> npt.NDArray[np.float32]:
    """(h, N, 8, w) float32: each gradient's length, shared between the two nearest of eight orientations.

    Orientations are counted anticlockwise from the right, and the outermost pixels have no gradient, as in OpenCV.
    """
    import cv2

    n, h, w = crops.shape
    planes = np.zeros((h, n, _ORIENTATIONS, w), np.float32)
    if min(n, h - 2, w - 2) < 1:
        return planes
    # Rows of all crops side by side: both directions of the smoothing, and later of the windows, are one product.
    gray: npt.NDArray[np.float32] = crops.transpose(1, 0, 2).astype(np.float32)
    if blur:
        down = (_smoothing(h, blur) @ gray.reshape(h, -1)).reshape(-1, w)
        gray = np.asarray(down @ _smoothing(w, blur).T, np.float32)
    gray = gray.reshape(h, n, w)
    dx = gray[1:-1, :, 2:] - gray[1:-1, :, :-2]
    dy = gray[:-2, :, 1:-1] - gray[2:, :, 1:-1]
    # OpenCV's polynomial for the angle, within 0.3 degrees, is many times as fast as numpy's arctan2.
    length, angle = cv2.cartToPolar(dx.reshape(h - 2, -1), dy.reshape(h - 2, -1), angleInDegrees=True)
    length, angle = length.reshape(dx.shape), angle.reshape(dx.shape)
    angle *= np.float32(_ORIENTATIONS / 360)
    for o in range(_ORIENTATIONS):
        share = np.abs(angle - np.float32(o))
        np.minimum(share, np.float32(_ORIENTATIONS) - share, out=share)
        np.subtract(np.float32(1), share, out=share)
        np.maximum(share, 0, out=share)
        np.multiply(share, length, out=planes[1:-1, :, o, 1:-1])
    return planes


def sift_of_planes(planes: npt.NDArray[np.float32], size: float, step: int, root: bool) -> Matrix:
    """(N, rows, columns, 128) float32 descriptors of :func:`orientation_planes`."""
    h, n, _, w = planes.shape
    down, across = _windows(h, size, step), _windows(w, size, step)
    rows, columns = len(down) // _BINS, len(across) // _BINS
    sums = (down @ planes.reshape(h, -1)).reshape(-1, w) @ across.T
    turned = sums.reshape(rows, _BINS, n, _ORIENTATIONS, columns, _BINS).transpose(2, 0, 4, 1, 5, 3)
    out = np.ascontiguousarray(turned, np.float32).reshape(-1, DIMENSIONS)
    _normalise(out)
    if root:
        out /= np.maximum(out.sum(axis=1, keepdims=True), np.float32(1e-12))
        np.sqrt(out, out=out)
    return out.reshape(n, rows, columns, DIMENSIONS)


def _normalise(rows: Matrix) -> None:
    """Unit length, clipped so that no strong edge outvotes the rest, unit length again; in place."""
    for clip in (True, False):
        length = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
        # Rounding leaves a flat patch with gradients of some 1e-5: noise that must not be blown up to unit length.
        rows /= np.where(length > 1e-3, length, np.inf)
        if clip:
            np.minimum(rows, np.float32(_CLIP), out=rows)


@lru_cache(maxsize=32)
def _smoothing(length: int, blur: float) -> Matrix:
    """(length, length) Gaussian smoothing as a matrix; the crop is mirrored at its outermost pixels."""
    from scipy.ndimage import gaussian_filter1d

    identity = np.eye(length)
    return np.asarray(gaussian_filter1d(identity, blur, axis=0, mode="mirror"), dtype=np.float32)


@lru_cache(maxsize=32)
def _windows(length: int, size: float, step: int) -> Matrix:
    """(4 * patches, length): the weight of each row of pixels in each of the four bins of each patch."""
    width = size / _BINS
    away = (np.arange(length) - grid_centres(length, size, step)[:, None, None]) / width
    bins = np.arange(_BINS)[:, None] - (_BINS - 1) / 2
    weight = np.exp(-(away**2) / (_BINS**2 / 2)) * np.maximum(1 - np.abs(away - bins), 0)
    return np.asarray(weight.reshape(-1, length), np.float32)
