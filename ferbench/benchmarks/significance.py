"""Tests of several pipelines at once, over folds, and over datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.evidence import AcrossDatasets, FoldTest
from ferbench.errors import ShapeError

__all__ = ["MIN_DATASETS", "MIN_ROWS", "cochran_q", "corrected_t_test", "friedman_nemenyi", "permutation_q"]

MIN_DATASETS = 5
"""Datasets below which ranks over datasets say too little to be drawn (Demšar, 2006, section 3.2.2)."""

MIN_ROWS = 3
"""Rows below which Friedman's test is not defined."""

_ROUNDING = 1e-12
"""Differences of metrics that are closer than this are equal: one face in a million moves an accuracy by more."""


def cochran_q(right: npt.NDArray[np.bool_]) -> tuple[float, int, float]:
    """Cochran's Q: do several classifiers have the same accuracy on the same faces (Cochran, 1950)?

    Parameters
    ----------
    right : (N, K) bool
        Which faces each of K >= 2 classifiers gets right. With two of them Q is McNemar's chi-squared.

    Returns
    -------
    q : float
    df : int
        K - 1.
    p : float
        From the chi-squared distribution; 1 where no face tells the classifiers apart.
    """
    from scipy.stats import chi2

    if right.ndim != 2 or right.shape[1] < 2:
        raise ShapeError("Cochran's Q compares at least two classifiers", got=right.shape, expected="(N, K >= 2)")
    k = right.shape[1]
    columns, rows = right.sum(axis=0, dtype=np.float64), right.sum(axis=1, dtype=np.float64)
    spread = float((rows * (k - rows)).sum())
    if spread == 0:
        return 0.0, k - 1, 1.0
    q = (k - 1) * k * float(((columns - columns.mean()) ** 2).sum()) / spread
    return q, k - 1, float(chi2.sf(q, k - 1))


def permutation_q(
    right: npt.NDArray[np.bool_], subjects: npt.NDArray[np.str_], seed: int, n_resamples: int = 4_999
) -> tuple[float, float]:
    """Cochran's question where people appear more than once: classifiers are permuted for a whole person at a time.

    Parameters
    ----------
    right : (N, K) bool
    subjects : (N,) str
    seed : int
    n_resamples : int

    Returns
    -------
    variance : float
        Of the K accuracies.
    p : float
        Share of permutations with a variance as large, by ``scipy.stats.permutation_test``; 1 for a single person.
    """
    from scipy.stats import permutation_test

    people, who = np.unique(subjects, return_inverse=True)
    sums = [np.bincount(who, weights=column, minlength=len(people)) for column in right.T.astype(np.float64)]
    variance = float(np.var([one.sum() / len(right) for one in sums]))
    if len(people) < 2 or variance == 0:
        return variance, 1.0
    tested = permutation_test(
        sums,
        lambda *samples, axis: np.var([one.sum(axis=axis) for one in samples], axis=0),
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
        n_resamples=n_resamples,
        batch=500,
        rng=np.random.default_rng(seed),
    )
    return variance, float(tested.pvalue)


def corrected_t_test(differences: Sequence[float], n_train: float, n_test: float) -> FoldTest | None:
    """Corrected resampled t-test over folds (Nadeau and Bengio, 2003, equation 9).

    Training sets of different folds overlap, so that the plain variance over folds is too small: it is multiplied by
    ``1/J + n_test/n_train`` in place of ``1/J``.

    Parameters
    ----------
    differences : sequence of J floats
        A metric of one classifier minus that of the other, fold by fold.
    n_train, n_test : float
        Faces that a fold trains on and scores, on average.

    Returns
    -------
    FoldTest or None
        None for fewer than two folds, or where all folds differ by the same: no variance, no test.
    """
    from scipy.special import stdtr

    values = np.asarray(differences, dtype=np.float64)
    # Differences of shares of 0.3 - 0.2 and 0.4 - 0.3 are equal but for their last bits, which are no variance.
    if len(values) < 2 or n_train <= 0 or np.ptp(values) <= _ROUNDING:
        return None
    variance = (1 / len(values) + n_test / n_train) * values.var(ddof=1)
    t, df = float(values.mean() / np.sqrt(variance)), len(values) - 1
    return FoldTest(difference=float(values.mean()), t=t, df=df, p=float(2 * stdtr(df, -abs(t))))


def friedman_nemenyi(scores: Mapping[str, Mapping[str, float]]) -> AcrossDatasets | None:
    """Friedman's test over datasets and Nemenyi's critical difference (Demšar, 2006).

    Parameters
    ----------
    scores : mapping of dataset to {row: score}
        Higher is better. Rows that lack a dataset are left out, and named in the result.

    Returns
    -------
    AcrossDatasets or None
        None below :data:`MIN_DATASETS` datasets or :data:`MIN_ROWS` rows that were scored on all of them.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    every = list(dict.fromkeys(row for rows in scores.values() for row in rows))
    complete = [row for row in every if all(row in rows for rows in scores.values())]
    n, k = len(scores), len(complete)
    if n < MIN_DATASETS or k < MIN_ROWS:
        return None
    table = np.array([[rows[row] for row in complete] for rows in scores.values()])
    ranks = rankdata(-table, axis=1).mean(axis=0)
    # Rows that are equal on every dataset leave scipy's statistic 0/0.
    statistic, p = (0.0, 1.0) if not np.ptp(table, axis=1).any() else friedmanchisquare(*table.T)
    order = np.argsort(ranks, kind="stable")
    quantile = float(studentized_range.ppf(0.95, k, np.inf)) / np.sqrt(2)
    return AcrossDatasets(
        datasets=list(scores),
        rows=[complete[i] for i in order],
        mean_ranks=[float(ranks[i]) for i in order],
        statistic=float(statistic),
        p=float(p),
        critical_difference=float(quantile * np.sqrt(k * (k + 1) / (6 * n))),
        left_out=[row for row in every if row not in complete],
    )
