"""Several rows on the same resamples of the same faces: differences of a metric, and how stable their order is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.evidence import RankStability
from ferbench.benchmarks.metrics import Sufficient
from ferbench.benchmarks.statistics import resample_weights
from ferbench.errors import ShapeError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = [
    "METRICS",
    "DrawnDifference",
    "difference_interval",
    "difference_p",
    "draw_metrics",
    "n_resamples_for",
    "pairwise_difference",
    "rank_stability",
]

Array = npt.NDArray[np.float64]

METRICS = ("accuracy", "macro_f1")
"""What is drawn, end to end."""

_MOST_RESAMPLES, _LEAST_RESAMPLES = 9_999, 999
_MOST_DRAWS = 200_000_000  # some seconds of drawing
_CACHED_RESAMPLES = 512


def n_resamples_for(n_groups: int) -> int:
    """9,999 resamples, so that a p value can get below Holm's limit for 250 pairs; fewer above 20,000 groups."""
    return int(np.clip(_MOST_DRAWS // max(n_groups, 1), _LEAST_RESAMPLES, _MOST_RESAMPLES))


def draw_metrics(rows: Sequence[Sufficient], *, seed: int, n_resamples: int | None = None) -> list[dict[str, Array]]:
    """End-to-end metrics of several rows on the same resamples.

    Parameters
    ----------
    rows : sequence of Sufficient
        Sums over the same groups, in the same order.
    seed : int
    n_resamples : int, optional
        By default :func:`n_resamples_for`.

    Returns
    -------
    list of dict
        One for each row: ``{metric: (B,) float64}`` for each of :data:`METRICS`; (0,) for fewer than two groups.

    Raises
    ------
    ShapeError
        If the rows have different groups.
    """
    sizes = {len(row.confusion) for row in rows}
    if len(sizes) > 1:
        raise ShapeError("rows can be resampled together only over the same groups", got=sorted(sizes))
    n_groups = sizes.pop() if sizes else 0
    b = (n_resamples_for(n_groups) if n_resamples is None else n_resamples) if n_groups > 1 else 0
    draws = {name: np.zeros((len(rows), b)) for name in METRICS}
    counted = [(alike, *_joined([rows[i] for i in alike])) for alike in _of_one_width(rows)]
    start = 0
    for drawn in resample_weights(n_groups, b, seed) if b else ():
        for weights in np.split(drawn, range(_CACHED_RESAMPLES, len(drawn), _CACHED_RESAMPLES)):
            end = start + len(weights)
            for alike, counts, n_classes in counted:
                sums = counts @ np.ascontiguousarray(weights.T, dtype=counts.dtype)
                shape = len(alike), 3, n_classes, len(weights)
                right, support, called = np.moveaxis(np.asarray(sums, dtype=np.float64).reshape(shape), 1, 0)
                occurs = support > 0
                f1 = np.divide(2 * right, support + called, out=np.zeros(right.shape), where=occurs)
                with np.errstate(divide="ignore", invalid="ignore"):
                    draws["accuracy"][alike, start:end] = right.sum(axis=1) / support.sum(axis=1)
                    draws["macro_f1"][alike, start:end] = f1.sum(axis=1) / occurs.sum(axis=1)
            start = end
    return [{name: draws[name][i] for name in METRICS} for i in range(len(rows))]


def _of_one_width(rows: Sequence[Sufficient]) -> list[list[int]]:
    """Positions of rows that choose among as many expressions."""
    by_width: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        by_width.setdefault(row.confusion.shape[1], []).append(i)
    return list(by_width.values())


def _joined(rows: Sequence[Sufficient]) -> tuple[csr_array, int]:
    """What the metrics of rows are made of, as one (K 3 C, G) matrix, and C.

    Where a group is one face its counts hold three ones at most: as a sparse matrix this costs a fraction. Counts are
    whole numbers, exact in 32 bits up to 2**24.
    """
    from scipy.sparse import csr_array, vstack

    margins = [_margins(row.confusion) for row in rows]
    is_exact = max(float(one.max(initial=0)) for one in margins) * len(margins[0]) < 2**24
    kind = np.float32 if is_exact else np.float64
    return csr_array(vstack([csr_array(one.T.astype(kind)) for one in margins])), rows[0].confusion.shape[1]


def _margins(confusion: Array) -> Array:
    """(G, 3 C): of each class the faces that are called right, those that there are, and those that are called so.

    All that accuracy and macro F1 are made of, as :func:`~ferbench.benchmarks.metrics.confusion_metrics` has them, in
    less than half of the numbers.
    """
    right = np.diagonal(confusion[:, :, :-1], axis1=1, axis2=2)
    return np.concatenate([right, confusion.sum(axis=2), confusion[:, :, :-1].sum(axis=1)], axis=1)


def difference_p(draws: Array, n_groups: int) -> float:
    """Two-sided p value of no difference, from bootstrap draws of it (Efron and Tibshirani, 1993, section 15.4).

    Twice the smaller share of draws on either side of zero, never below ``2 / (B + 1)``; 1 where there are no draws.
    Nor below ``2 / 2**n_groups``, the least that exchanging the rows group by group can reach: draws of five people who
    all prefer one row never cross zero, and still five people prove nothing at 5 %.
    """
    if not len(draws):
        return 1.0
    smaller = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return min(1.0, max(2 * (smaller + 1) / (len(draws) + 1), 2.0 ** (1 - n_groups)))


@dataclass(frozen=True)
class DrawnDifference:
    """What n draws of a difference say: its p value, and its 95 % interval where there are draws."""

    p: float
    low: float | None
    high: float | None
    n: int


def pairwise_difference(a: Array, b: Array, n_groups: int) -> DrawnDifference:
    """:func:`difference_p` and :func:`difference_interval` of a metric of two rows on the same resamples."""
    # Sorted, since that takes less time than looking for four places in what is not.
    drawn = np.sort(a - b)
    return DrawnDifference(difference_p(drawn, n_groups), *difference_interval(drawn), len(drawn))


def difference_interval(draws: Array, level: float = 0.95) -> tuple[float | None, float | None]:
    """Percentile interval of bootstrap draws; (None, None) where there are none."""
    if not len(draws):
        return None, None
    tail = 50 * (1 - level)
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def rank_stability(names: Sequence[str], values: Sequence[float], draws: Sequence[Array]) -> RankStability | None:
    """How often each row is above each other, and has each rank, over resamples of the same faces.

    Parameters
    ----------
    names : sequence of K str
    values : sequence of K floats
        The metric on all faces, by which rows are ordered; higher is better.
    draws : sequence of K arrays of (B,) float64
        The metric of each row on the same B resamples.

    Returns
    -------
    RankStability or None
        None for fewer than two rows, or without draws.
    """
    if len(names) < 2 or not len(draws[0]):
        return None
    order = sorted(range(len(names)), key=lambda i: -values[i])
    table = np.stack([draws[i] for i in order])
    k, b = table.shape
    above = np.full((k, k), 0.5)
    places = np.zeros((k, k))
    n_better, n_equal = np.zeros((k, b), dtype=np.int64), np.zeros((k, b), dtype=np.int64)
    for i, mine in enumerate(table):
        better, equal = table > mine, table == mine
        n_better[i], n_equal[i] = better.sum(axis=0), equal.sum(axis=0)
        above[i] = 1 - better.mean(axis=1) - equal.mean(axis=1) / 2
    for rank in range(k):
        # Rows that tie share the ranks that they take up.
        held = (n_better <= rank) & (rank < n_better + n_equal)
        places[:, rank] = (held / n_equal).mean(axis=1)
    return RankStability(rows=[names[i] for i in order], above=above.tolist(), shares=places.tolist(), n_resamples=b)
