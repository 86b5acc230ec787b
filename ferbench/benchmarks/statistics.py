"""How sure we are: bootstrap intervals over subjects, exact McNemar tests, Holm's correction, groups of ties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.metrics import END_TO_END_METRICS, Sufficient, calibration_noise, evaluate_weights
from ferbench.benchmarks.records import Estimate

__all__ = ["bootstrap", "calibration_interval", "holm", "mcnemar", "paired_test", "resample_weights", "tie_groups"]

N_RESAMPLES = 1000
_CHUNK_VALUES = 4_000_000  # weights drawn at once: 32 MB


def resample_weights(n_groups: int, n_resamples: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
    """Bootstrap resamples as weights, in chunks of (b, n_groups) float64 that together have ``n_resamples`` rows.

    Row by row: how often each group is drawn when ``n_groups`` groups are drawn with replacement. The draws depend on
    the seed alone, not on the chunks, so all rows of a leaderboard see the same resamples. They are read-only.
    """
    size = max(1, _CHUNK_VALUES // max(n_groups, 1))
    if n_resamples <= size:
        yield _kept_weights(n_groups, n_resamples, seed)
        return
    generator = np.random.default_rng(seed)
    for start in range(0, n_resamples, size):
        yield _draw_weights(generator, n_groups, min(size, n_resamples - start))


@lru_cache(maxsize=2)
def _kept_weights(n_groups: int, n_resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """Those of one chunk, kept for the next row: drawing them takes as long as using them."""
    return _draw_weights(np.random.default_rng(seed), n_groups, n_resamples)


def _draw_weights(generator: np.random.Generator, n_groups: int, b: int) -> npt.NDArray[np.float64]:
    drawn = generator.integers(0, n_groups, size=(b, n_groups)) + n_groups * np.arange(b)[:, None]
    weights = np.bincount(drawn.ravel(), minlength=b * n_groups).reshape(b, n_groups).astype(np.float64)
    weights.flags.writeable = False
    return weights


def bootstrap(
    sums: Sufficient, *, seed: int, n_resamples: int = N_RESAMPLES, level: float = 0.95
) -> dict[str, dict[str, Estimate]]:
    """Every metric with its percentile interval over groups (Efron and Tibshirani, 1993, chapter 13).

    The calibration error has an interval of its own, see :func:`calibration_interval`; so has an accuracy of 0 or 1,
    Clopper and Pearson's.

    Returns
    -------
    dict
        ``{"detected": {metric: Estimate}, "end_to_end": {metric: Estimate}}``. A single group gives no interval:
        resampling it would only repeat it. Metrics without any face are left out.
    """
    point = evaluate_weights(sums)
    n_groups = len(sums.confusion)
    draws: dict[str, dict[str, list[npt.NDArray[np.float64]]]] = {
        part: {name: [] for name in metrics} for part, metrics in point.items()
    }
    noise: list[npt.NDArray[np.float64]] = []
    for weights in resample_weights(n_groups, n_resamples, seed) if n_groups > 1 else ():
        if "ece" in point["detected"] and not np.isnan(point["detected"]["ece"][0]):
            noise.append(calibration_noise(sums, weights))
        for part, metrics in evaluate_weights(sums, weights).items():
            for name, values in metrics.items():
                draws[part][name].append(values)
    tail = 50 * (1 - level)
    result: dict[str, dict[str, Estimate]] = {}
    for part, metrics in point.items():
        result[part] = {}
        for name, (value,) in metrics.items():
            if np.isnan(value):
                continue
            low = high = None
            if draws[part][name]:
                drawn = np.concatenate(draws[part][name])
                # A resample without a single detected face says nothing of detected faces: it is left out. Sorted,
                # since percentiles take less time then.
                drawn = np.sort(drawn[~np.isnan(drawn)])
                if len(drawn):
                    low, high = (float(x) for x in np.percentile(drawn, [tail, 100 - tail]))
                if name == "ece":
                    low, high = calibration_interval(float(value), drawn, np.concatenate(noise), level)
                if name in END_TO_END_METRICS and value in (0, 1):
                    low, high = _extreme_interval(name, float(value), _n_counted(sums, part), level)
            result[part][name] = Estimate(value=float(value), low=low, high=high)
    return result


def _n_counted(sums: Sufficient, part: str) -> int:
    """Groups with a face that counts: one that was found, or any."""
    counts = sums.confusion if part == "end_to_end" else sums.confusion[:, :, :-1]
    return int((counts.sum(axis=(1, 2)) > 0).sum())


def _extreme_interval(name: str, value: float, n: int, level: float) -> tuple[float | None, float | None]:
    """Where every face is right, or none is, all resamples are equal and their percentiles would claim certainty.

    That of the accuracy is exact (Clopper and Pearson, 1934), of n groups that are right as a whole; averages over
    classes have none.
    """
    if name != "accuracy":
        return None, None
    edge = ((1 - level) / 2) ** (1 / n)
    return (edge, 1.0) if value == 1 else (0.0, 1 - edge)


def calibration_interval(
    value: float, drawn: npt.NDArray[np.float64], noise: npt.NDArray[np.float64], level: float = 0.95
) -> tuple[float, float]:
    """Interval for the true calibration error, which the measured one exceeds.

    A sum of absolute gaps grows by the noise of each gap: the measured error is too high, a resample of it is too high
    once more, and a percentile interval does not hold the truth at all where a pipeline is well calibrated. The basic
    interval, ``2·value - quantiles`` (Davison and Hinkley, 1997, section 5.2), takes the excess off; it is cut at 0.
    Where the value is no larger than what chance gives a perfectly calibrated pipeline (consistency resampling, Bröcker
    and Smith, 2007), 0 belongs to the interval. On simulated forecasters with true errors from 0 to 0.1 and 500 to 3000
    faces, some nine in ten such intervals or more held the truth, and down to none of the percentile ones.

    Parameters
    ----------
    value : float
        The measured error.
    drawn : (B,) float64
        The error of each resample.
    noise : (B,) float64
        :func:`~ferbench.benchmarks.metrics.calibration_noise` of each resample.
    level : float
    """
    tail = 50 * (1 - level)
    low, high = (2 * value - float(x) for x in np.nanpercentile(drawn, [100 - tail, tail]))
    is_chance = value <= np.percentile(noise, 100 - tail)
    return 0.0 if is_chance else max(0.0, low), max(0.0, high)


def mcnemar(a_right: npt.NDArray[np.bool_], b_right: npt.NDArray[np.bool_]) -> float:
    """Exact two-sided McNemar test of two classifiers on the same faces (McNemar, 1947; binomial form).

    Parameters
    ----------
    a_right, b_right : (N,) bool
        Which faces each classifier gets right.

    Returns
    -------
    float
        p value; 1 where the two never differ.
    """
    from scipy.special import bdtr

    only_a = int(np.sum(a_right & ~b_right))
    only_b = int(np.sum(~a_right & b_right))
    if only_a == only_b:
        return 1.0
    # A fair coin's tails are equal. scipy's binomtest looks for the other one, which takes milliseconds a pair of rows.
    return float(min(1.0, 2 * bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def paired_test(
    a_right: npt.NDArray[np.bool_], b_right: npt.NDArray[np.bool_], subjects: npt.NDArray[np.str_] | None, seed: int
) -> float:
    """P value of the difference in accuracy of two classifiers on the same faces.

    Exact McNemar where nobody is known to appear twice. Where subjects are known, a permutation test that exchanges the
    two classifiers for a whole person at a time (scipy, 9,999 exchanges): the faces of one person are no independent
    evidence.

    Parameters
    ----------
    a_right, b_right : (N,) bool
    subjects : (N,) str or None
        Who is shown.
    seed : int
        Seeds the exchanges.
    """
    if subjects is None or len(np.unique(subjects)) == len(subjects):
        return mcnemar(a_right, b_right)
    from scipy.stats import permutation_test

    who = np.unique(subjects, return_inverse=True)[1]
    a, b = (np.bincount(who, weights=right.astype(np.float64)) for right in (a_right, b_right))
    if len(a) < 2 or np.array_equal(a, b):
        return 1.0
    tested = permutation_test(
        (a, b),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9_999,
        rng=np.random.default_rng(seed),
    )
    return float(tested.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for their number, family-wise (Holm, 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(order))
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = running
    return [float(p) for p in corrected]


def tie_groups(names: Sequence[str], different: set[frozenset[str]]) -> dict[str, int]:
    """Number the rows of a leaderboard so that rows that cannot be told from their group's best share a number.

    Parameters
    ----------
    names : sequence of str
        Rows, best first.
    different : set of frozenset of two names
        Pairs that a corrected test tells apart.

    Returns
    -------
    dict
        1 for the best group. A group ends at the first row that differs from the group's best row.
    """
    group, best, numbers = 0, None, {}
    for name in names:
        if best is None or frozenset((best, name)) in different:
            group, best = group + 1, name
        numbers[name] = group
    return numbers
