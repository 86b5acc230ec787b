"""From the local descriptors of a crop to one row: words of a vocabulary, counted or accumulated cell by cell.

A *share* is how much a descriptor belongs to a word; the shares of one descriptor sum to 1. Rows are normalised the
same way for every encoding: signed square roots, unit length in each cell, unit length as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ferbench.features.base import Matrix

__all__ = ["accumulate", "cell_indices", "count_words", "gaussian_shares", "mixture_shares", "nearest_words", "one_hot"]

_BLOCK = 1 << 20
"""Scores that exist at once: 4 MB, so that they are still in the cache when their maximum is sought."""

Indices = npt.NDArray[np.intp]


def cell_indices(centres: npt.NDArray[np.float64], height: int, width: int, grid: int) -> Indices:
    """(P,) cell of each centre (row, column), counted from the top left of a ``grid`` × ``grid`` division."""
    row, column = np.floor((centres + 0.5) * grid / (height, width)).astype(np.intp).clip(0, grid - 1).T
    return np.asarray(row * grid + column)


def nearest_words(rows: Matrix, words: Matrix) -> Indices:
    """(N,) index of the word (K, D) nearest to each row (N, D)."""
    half_length = np.einsum("ij,ij->i", words, words) / 2
    transposed = np.ascontiguousarray(words.T)
    out = np.empty(len(rows), np.intp)
    size = max(16, _BLOCK // len(words))
    for start in range(0, len(rows), size):
        scores = rows[start : start + size] @ transposed
        scores -= half_length
        np.argmax(scores, axis=1, out=out[start : start + size])
    return out


def one_hot(rows: Matrix, words: Matrix) -> Matrix:
    """(N, K) shares: all of a descriptor belongs to its nearest word."""
    out = np.zeros((len(rows), len(words)), np.float32)
    out[np.arange(len(rows)), nearest_words(rows, words)] = 1
    return out


def gaussian_shares(rows: Matrix, words: Matrix, variance: float) -> Matrix:
    """(N, K) shares that fall off with the distance as a Gaussian of that variance does (a kernel codebook)."""
    scores = rows @ words.T
    scores -= np.einsum("ij,ij->i", words, words) / 2
    scores /= np.float32(variance)
    return _softmax(scores)


def mixture_shares(rows: Matrix, means: Matrix, variances: Matrix, weights: npt.NDArray[np.float32]) -> Matrix:
    """(N, K) posterior probabilities of the components of a Gaussian mixture with diagonal covariances."""
    precision = 1 / variances
    constant = np.log(weights) - 0.5 * (np.log(variances).sum(axis=1) + (means**2 * precision).sum(axis=1))
    scores = np.asarray(rows @ (means * precision).T, np.float32)
    scores -= (rows * rows) @ (0.5 * precision.T)
    scores += constant.astype(np.float32)
    return _softmax(scores)


def _softmax(scores: Matrix) -> Matrix:
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def count_words(words: Indices, cells: Sequence[Indices], n_words: int, *, presence: bool) -> Matrix:
    """Histograms of words in the cells of one or more divisions of the crop.

    Parameters
    ----------
    words : (N, P) int
        The word of each of the P descriptors of N crops.
    cells : sequence of (P,) int
        For each division, the cell of each descriptor.
    n_words : int
    presence : bool
        Only say whether a word occurs [1]_.

    Returns
    -------
    (N, cells * n_words) float32

    References
    ----------
    .. [1] R. Ionescu, M. Popescu, C. Grozea: Local learning to improve bag of visual words model for facial expression
           recognition. ICML workshop on representation learning, 2013.
    """
    n = len(words)
    parts = []
    for cell in cells:
        bins = (int(cell.max()) + 1) * n_words
        index = words + cell * n_words + (np.arange(n) * bins)[:, None]
        counts = np.bincount(index.ravel(), minlength=n * bins).reshape(-1, n_words).astype(np.float32)
        if presence:
            np.minimum(counts, 1, out=counts)
        np.sqrt(counts, out=counts)
        parts.append(_unit_cells(counts).reshape(n, bins))
    return _joined(parts, cells)


def accumulate(
    shares: Matrix,
    rows: Matrix,
    cells: Sequence[Indices],
    means: Matrix | None = None,
    variances: Matrix | None = None,
    weights: npt.NDArray[np.float32] | None = None,
) -> Matrix:
    """Sums over the descriptors of each cell: of shares alone, of differences from the words, or Fisher vectors.

    Parameters
    ----------
    shares : (N, P, K) float32
    rows : (N, P, D) float32
        Descriptors.
    cells : sequence of (P,) int
        For each division, the cell of each descriptor.
    means : (K, D) float32, optional
        Words. With them, the sums of differences: vectors of locally aggregated descriptors (VLAD) [1]_.
    variances, weights : (K, D) and (K,) float32, optional
        With them, the Fisher vector [2]_: differences in units of the standard deviation, then their squares less 1.

    Returns
    -------
    (N, cells * K), (N, cells * K * D) or (N, cells * 2 * K * D) float32

    References
    ----------
    .. [1] H. Jégou, M. Douze, C. Schmid, P. Pérez: Aggregating local descriptors into a compact image representation.
           CVPR 2010.
    .. [2] J. Sánchez, F. Perronnin, T. Mensink, J. Verbeek: Image classification with the Fisher vector. IJCV 105(3),
           2013.
    """
    parts = []
    for cell in cells:
        for index in range(int(cell.max()) + 1):
            at = np.flatnonzero(cell == index)
            share, mine = shares[:, at], rows[:, at]
            total = share.sum(axis=1)
            if means is None:
                sums = [total]
            else:
                turned = np.ascontiguousarray(share.transpose(0, 2, 1))
                first = turned @ mine
                if variances is None or weights is None:
                    sums = [first - total[:, :, None] * means]
                else:
                    sums = _fisher(total, first, turned @ (mine * mine), means, variances, weights)
            flat = np.concatenate([s.reshape(len(rows), -1) for s in sums], axis=1)
            parts.append(_unit_cells(np.sign(flat) * np.sqrt(np.abs(flat))))
    return _joined(parts, cells)


def _fisher(
    total: Matrix, first: Matrix, second: Matrix, means: Matrix, variances: Matrix, weights: npt.NDArray[np.float32]
) -> list[Matrix]:
    deviation, root = np.sqrt(variances), np.sqrt(weights)[:, None]
    total = total[:, :, None]
    by_mean = (first - total * means) / (deviation * root)
    by_variance = (second - 2 * first * means + total * (means**2 - variances)) / (variances * root * math.sqrt(2))
    return [by_mean.astype(np.float32), by_variance.astype(np.float32)]


def _unit_cells(rows: Matrix) -> Matrix:
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    rows /= np.where(length > 0, length, 1)
    return rows


def _joined(parts: list[Matrix], cells: Sequence[Indices]) -> Matrix:
    n_cells = sum(int(cell.max()) + 1 for cell in cells)
    out = np.concatenate(parts, axis=1)
    out /= np.float32(np.sqrt(n_cells))
    return out
