"""How often one human annotator agrees with the others: what a pipeline's accuracy may be held against."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.evidence import Estimate
from ferbench.benchmarks.statistics import resample_weights

__all__ = ["agreement_estimate", "annotator_agreement"]

_N_RESAMPLES = 1000


def annotator_agreement(counts: npt.NDArray[np.int64], n_labels: int) -> npt.NDArray[np.float64]:
    """Share of a face's annotators who chose what most of the others chose, for each face.

    Each annotator in turn is held against the plurality of the others, exactly, from the counts. Where the others tie,
    each of the tied expressions is the plurality in equal parts. An annotator who chose none of the expressions
    (*unknown*, *not a face*) disagrees.

    Parameters
    ----------
    counts : (N, M) int64
        Votes of each face; the first ``n_labels`` columns are expressions.
    n_labels : int

    Returns
    -------
    (N,) float64
        NaN for a face with fewer than two annotators, or where the others of nobody chose an expression.

    Examples
    --------
    Nine votes for one, one for another: each of the nine agrees with eight others, the tenth with none.

    >>> annotator_agreement(np.array([[9, 1]]), 2)
    array([0.9])
    """
    votes = counts[:, :n_labels].astype(np.float64)
    total = counts.sum(axis=1).astype(np.float64)
    agreed, judged = np.zeros(len(counts)), np.zeros(len(counts))
    for choice in range(counts.shape[1]):
        voters = counts[:, choice].astype(np.float64)
        others = votes.copy()
        if choice < n_labels:
            others[:, choice] -= 1
        most = others.max(axis=1)
        tied = others == most[:, None]
        judged += np.where(most > 0, voters, 0.0)
        if choice < n_labels:
            agreed += np.where((most > 0) & tied[:, choice], voters / tied.sum(axis=1), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where((total >= 2) & (judged > 0), agreed / judged, np.nan))


def agreement_estimate(agreement: npt.NDArray[np.float64], seed: int) -> Estimate | None:
    """Mean agreement over faces with its percentile interval over resampled faces; None where no face has one."""
    known = agreement[~np.isnan(agreement)]
    if not len(known):
        return None
    if len(known) == 1:
        return Estimate(value=float(known[0]))
    means = np.concatenate([w @ known / len(known) for w in resample_weights(len(known), _N_RESAMPLES, seed)])
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(value=float(known.mean()), low=float(low), high=float(high))
