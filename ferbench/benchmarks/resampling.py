"""Several rows on the same resamples of the same faces: differences of a metric, and how stable their order is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.evidence import RankStability
from ferbench.benchmarks.metrics import Sufficient
from ferbench.benchmarks.statistics import resample_weights
from ferbench.errors import ShapeError

__all__ = ["METRICS", "difference_interval", "difference_p", "draw_metrics", "n_resamples_for", "rank_stability"]

Array = npt.NDArray[np.float64]

METRICS = ("accuracy", "macro_f1")
"""What is drawn, end to end."""

_MOST_RESAMPLES, _LEAST_RESAMPLES = 9_999, 999
_MOST_DRAWS = 200_000_000  # some seconds of drawing


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
    from scipy.sparse import csr_array

    sizes = {len(row.confusion) for row in rows}
    if len(sizes) > 1:
        raise ShapeError("rows can be resampled together only over the same groups", got=sorted(sizes))
    n_groups = sizes.pop() if sizes else 0
    # Where a group is one face its counts hold three ones at most: as a sparse matrix this costs a fraction.
    counts_of = [csr_array(_margins(row.confusion).T) for row in rows]
    b = n_resamples_for(n_groups) if n_resamples is None else n_resamples
    chunks: list[dict[str, list[Array]]] = [{name: [] for name in METRICS} for _ in rows]
    for weights in resample_weights(n_groups, b, seed) if n_groups > 1 else ():
        transposed = np.ascontiguousarray(weights.T)
        for sparse, chunk in zip(counts_of, chunks, strict=True):
            right, support, called = np.split(np.asarray(sparse @ transposed), 3)
            occurs = support > 0
            f1 = np.divide(2 * right, support + called, out=np.zeros(right.shape), where=occurs)
            with np.errstate(divide="ignore", invalid="ignore"):
                chunk["accuracy"].append(right.sum(axis=0) / support.sum(axis=0))
                chunk["macro_f1"].append(f1.sum(axis=0) / occurs.sum(axis=0))
    return [{name: np.concatenate(v) if v else np.zeros(0) for name, v in chunk.items()} for chunk in chunks]


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
