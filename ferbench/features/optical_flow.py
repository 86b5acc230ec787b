"""Optical flow: how the pixels of one face have moved to become those of another."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from ferbench.checks import check_choice, check_integer
from ferbench.errors import DataError, ShapeError
from ferbench.features.base import Crops, Matrix, check_crops, grid_means, require_fitted

__all__ = ["OpticalFlow", "flow_fields"]

METHODS = ("dis", "farneback")
_CHUNK = 64
"""Pairs described at once: with eight directions, their maps take 10 MB."""
_SMALLEST = 12
"""Pixels: DIS takes no smaller images (OpenCV 4.14)."""


class OpticalFlow(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Dense optical flow from a neutral face to the current one, averaged on a grid [1]_ [2]_ [3]_ [4]_.

    For sequences, :meth:`transform_sequences` and :meth:`transform_pairs` compare a person's own frames, which is what
    flow is for. A single crop has no neutral frame: ``transform`` then compares it with the mean of the neutral
    training faces, so that the flow holds who the person is and how the head is held as well as the expression.

    Parameters
    ----------
    method : {"dis", "farneback"}
        Dense inverse search, or Farnebäck's polynomial expansion; both by OpenCV.
    grid : int
        Cells along each side.
    bins : int
        Directions told apart in each cell; 0: none.
    neutral : str or None
        The label whose training faces are averaged to the reference; None: all faces, without labels.

    Attributes
    ----------
    reference_ : (h, w) uint8
        Mean face.

    References
    ----------
    .. [1] I. Essa, A. Pentland: Coding, analysis, interpretation, and recognition of facial expressions. IEEE TPAMI
           19(7), 1997.
    .. [2] R. Chaudhry, A. Ravichandran, G. Hager, R. Vidal: Histograms of oriented optical flow and Binet-Cauchy
           kernels on nonlinear dynamical systems for the recognition of human actions. CVPR 2009.
    .. [3] T. Kroeger, R. Timofte, D. Dai, L. Van Gool: Fast optical flow using dense inverse search. ECCV 2016.
    .. [4] G. Farnebäck: Two-frame motion estimation based on polynomial expansion. SCIA 2003.
    """

    is_stateless = False

    def __init__(self, method: str = "dis", grid: int = 8, bins: int = 8, neutral: str | None = "neutral") -> None:
        self.method = method
        self.grid = grid
        self.bins = bins
        self.neutral = neutral

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        check_choice("method", self.method, METHODS)
        check_integer("grid", self.grid, 1)
        check_integer("bins", self.bins, 0, 64)

    def fit(self, X: Crops, y: Any = None) -> Self:
        """Average the faces whose label in ``y`` (N,) is ``neutral``.

        Raises
        ------
        DataError
            No face has that label, or there are no labels.
        """
        self.check_parameters()
        crops = check_crops(X, minimum=max(self.grid, _SMALLEST))
        if self.neutral is not None:
            labels = np.asarray(y)
            if y is None or labels.shape != (len(crops),) or not (labels == self.neutral).any():
                raise DataError(
                    f"optical flow needs training faces labelled {self.neutral!r} to start from",
                    got="no labels" if y is None else f"labels {', '.join(map(str, np.unique(labels)[:10]))}",
                    fix="give the neutral label's name, or neutral=None for the mean of all faces",
                )
            crops = crops[labels == self.neutral]
        elif not len(crops):
            raise DataError("optical flow needs a training face to start from", got="none")
        self.reference_ = np.rint(crops.mean(axis=0, dtype=np.float64)).astype(np.uint8)
        return self

    def transform(self, X: Crops) -> Matrix:
        """(N, (2 + bins) * grid * grid) float32 features of the flow from the reference to each crop."""
        require_fitted(self, "reference_")
        crops = check_crops(X)
        if crops.shape[1:] != self.reference_.shape:
            raise ShapeError(
                "crops of another size than those optical flow was fitted to",
                got=f"{crops.shape[2]}×{crops.shape[1]}",
                expected=f"{self.reference_.shape[1]}×{self.reference_.shape[0]}",
            )
        return self.transform_pairs(np.broadcast_to(self.reference_, crops.shape), crops)

    def transform_pairs(self, before: Crops, after: Crops) -> Matrix:
        """Features of the flow between two crops of one person; nothing needs to be fitted.

        Parameters
        ----------
        before, after : (N, h, w) uint8 gray
            The neutral and the current frame, cut alike.

        Returns
        -------
        (N, (2 + bins) * grid * grid) float32
            Mean movement to the right and down, in shares of the crop's width and height; then for each direction,
            counted from the right towards the bottom, the mean length of the movements that go there.
        """
        self.check_parameters()
        _check_pair(before, after)
        check_crops(after, minimum=self.grid)
        out = np.empty((len(after), (2 + self.bins) * self.grid**2), np.float32)
        for start in range(0, len(after), _CHUNK):
            part = slice(start, start + _CHUNK)
            out[part] = self._describe(flow_fields(before[part], after[part], self.method))
        return out

    def _describe(self, flow: npt.NDArray[np.float32]) -> Matrix:
        n, h, w, _ = flow.shape
        x, y = flow[..., 0] / np.float32(w), flow[..., 1] / np.float32(h)
        maps = [x, y]
        if self.bins:
            length = np.hypot(x, y)
            direction = np.floor(np.arctan2(y, x) / np.float32(2 * np.pi) * self.bins + np.float32(0.5)) % self.bins
            maps += [length * (direction == b) for b in range(self.bins)]
        means = [grid_means(m, self.grid) for m in maps]
        return np.stack(means, axis=1).reshape(n, len(maps) * self.grid**2)

    def transform_sequences(self, sequences: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features of the flow from the first frame of each sequence to every later one; nothing needs to be fitted.

        Parameters
        ----------
        sequences : (N, T, h, w) uint8 gray
            Frames of one person each, cut alike, the first one neutral, as in CK+.

        Returns
        -------
        (N, T - 1, D) float32
        """
        if not isinstance(sequences, np.ndarray) or sequences.ndim != 4 or sequences.shape[1] < 2:
            got = getattr(sequences, "shape", type(sequences).__name__)
            raise ShapeError("sequences have the wrong form", got=got, expected="(N, T, h, w), T of 2 or more")
        n, frames, h, w = sequences.shape
        later = sequences[:, 1:].reshape(-1, h, w)
        first = np.repeat(sequences[:, 0], frames - 1, axis=0)
        rows = self.transform_pairs(first, later)
        return rows.reshape(n, frames - 1, rows.shape[1])


def flow_fields(before: Crops, after: Crops, method: str = "dis") -> npt.NDArray[np.float32]:
    """Where each pixel of ``before`` is found in ``after``.

    Parameters
    ----------
    before, after : (N, h, w) uint8 gray
    method : {"dis", "farneback"}

    Returns
    -------
    (N, h, w, 2) float32
        Pixels to the right and down.
    """
    import cv2

    check_choice("method", method, METHODS)
    _check_pair(before, after)
    out = np.empty((*before.shape, 2), np.float32)
    # Made for each batch, not kept: the handle cannot be pickled, and its buffers are not for two threads.
    dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM) if method == "dis" else None
    farneback: Any = cv2.calcOpticalFlowFarneback
    for index, field in enumerate(out):
        pair = np.ascontiguousarray(before[index]), np.ascontiguousarray(after[index])
        field[:] = farneback(*pair, None, 0.5, 3, 11, 3, 5, 1.1, 0) if dis is None else dis.calc(*pair, None)
    return out


def _check_pair(before: object, after: object) -> None:
    if (first := check_crops(before, minimum=_SMALLEST).shape) != (second := check_crops(after).shape):
        raise ShapeError("frames of a pair differ in size or number", got=second, expected=first)
