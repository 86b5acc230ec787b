"""Tests of several rows against published tables, worked examples, other implementations, and each other."""

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, ttest_rel

from ferbench.benchmarks.significance import cochran_q, corrected_t_test, friedman_nemenyi, permutation_q
from ferbench.benchmarks.statistics import mcnemar
from ferbench.errors import ShapeError

TWELVE = np.array(
    [
        [1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0],
        [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 1], [1, 1, 1],
    ],
    dtype=bool,
)  # fmt: skip


def test_cochrans_q_by_hand():
    # Columns sum to 9, 4, 2. Rows: six times 1, three times 2, once 3, twice 0, so their squares sum to 27.
    expected = (3 - 1) * (3 * (9**2 + 4**2 + 2**2) - 15**2) / (3 * 15 - 27)
    q, df, p = cochran_q(TWELVE)
    assert (q, df) == (pytest.approx(expected), 2)
    assert p == pytest.approx(np.exp(-expected / 2))  # chi-squared with two degrees of freedom


def test_cochrans_q_of_another_implementation():
    # statsmodels 0.15, cochrans_q, on the same faces.
    x = np.random.default_rng(0).random((60, 4)) < np.array([0.5, 0.6, 0.7, 0.75])
    assert cochran_q(x) == pytest.approx((5.198952879581152, 3, 0.15779521800869895))


def test_q_of_two_is_mcnemars_chi_squared():
    only_a, only_b = 30, 14
    a = np.array([True] * only_a + [False] * only_b + [True] * 20)
    b = np.array([False] * only_a + [True] * only_b + [True] * 20)
    q, _, p = cochran_q(np.stack([a, b], axis=1))
    assert q == pytest.approx((only_a - only_b) ** 2 / (only_a + only_b))
    assert p == pytest.approx(mcnemar(a, b), abs=0.01)


def test_rows_that_never_differ_are_equal():
    assert cochran_q(np.ones((9, 3), bool))[2] == 1.0
    assert permutation_q(np.ones((9, 3), bool), np.repeat(["a", "b", "c"], 3), 0) == (0.0, 1.0)
    with pytest.raises(ShapeError, match="at least two"):
        cochran_q(np.ones((9, 1), bool))


def test_exchanges_of_single_faces_give_cochrans_p_and_repeated_faces_give_no_more():
    rng = np.random.default_rng(3)
    right = rng.random((60, 3)) < np.array([0.5, 0.65, 0.75])
    expected = cochran_q(right)[2]
    everyone = np.arange(60).astype(str)
    assert permutation_q(right, everyone, 0)[1] == pytest.approx(expected, abs=0.03)
    tenfold = np.repeat(right, 10, axis=0)
    assert cochran_q(tenfold)[2] < expected / 10, "faces taken as independent exaggerate"
    assert permutation_q(tenfold, np.repeat(everyone, 10), 0)[1] == pytest.approx(expected, abs=0.03)


def test_the_corrected_t_test_of_a_worked_example():
    # Ten folds that train on nine parts and score one: the variance is 1/10 + 1/9 instead of 1/10 of the sample's.
    differences = [0.02, 0.05, -0.01, 0.03, 0.04, 0.02, 0.00, 0.06, 0.01, 0.03]
    plain = ttest_rel(differences, np.zeros(10))
    corrected = corrected_t_test(differences, n_train=900, n_test=100)
    assert corrected is not None
    assert corrected.df == 9
    assert corrected.difference == pytest.approx(0.025)
    assert corrected.t == pytest.approx(plain.statistic * np.sqrt((1 / 10) / (1 / 10 + 1 / 9)))
    assert corrected.p > plain.pvalue
    # Without overlap to speak of, it is the plain test.
    assert corrected_t_test(differences, 1e12, 1).p == pytest.approx(plain.pvalue)


@pytest.mark.parametrize("differences", [[0.1], [0.1, 0.1, 0.1], [0.3 - 0.2, 0.1, 0.4 - 0.3]])
def test_folds_without_a_variance_give_no_test(differences):
    assert corrected_t_test(differences, 90, 10) is None


def test_the_corrected_test_rejects_what_is_equal_as_rarely_as_it_says():
    """Overlap of training sets makes folds dependent: simulated with the correlation that Nadeau and Bengio assume."""
    rng = np.random.default_rng(0)
    shared, own = np.sqrt(0.1), np.sqrt(0.9)  # correlation n_test / (n_train + n_test) for ten folds
    draws = shared * rng.normal(size=(1000, 1)) + own * rng.normal(size=(1000, 10))
    plain = np.mean([ttest_rel(d, np.zeros(10)).pvalue < 0.05 for d in draws])
    corrected = np.mean([corrected_t_test(d.tolist(), 900, 100).p < 0.05 for d in draws])
    assert corrected < 0.07 < plain


# Demšar (2006), table 5(a): q of the two-tailed Nemenyi test at 5 % for 2, 3, ... 10 classifiers.
NEMENYI = {3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}


@pytest.mark.parametrize(("k", "q"), NEMENYI.items())
def test_critical_differences_are_those_of_demsars_table(k, q):
    n = 14
    table = np.random.default_rng(k).random((n, k))
    result = friedman_nemenyi({str(i): {f"row{j}": float(v) for j, v in enumerate(row)} for i, row in enumerate(table)})
    assert result.critical_difference == pytest.approx(q * np.sqrt(k * (k + 1) / (6 * n)), abs=0.001)
    assert result.p == pytest.approx(friedmanchisquare(*table.T).pvalue)
    assert sum(result.mean_ranks) == pytest.approx(k * (k + 1) / 2)
    assert result.mean_ranks == sorted(result.mean_ranks)


def test_ranks_over_data_sets_by_hand():
    scores = {f"d{i}": {"a": 0.9, "b": 0.8, "c": 0.8 if i else 0.7, "lame": 0.1} for i in range(5)}
    del scores["d3"]["lame"]
    result = friedman_nemenyi(scores)
    # c ties with b on four of five and is last on one: b (2 + 4·2.5)/5, c (3 + 4·2.5)/5.
    assert result.rows == ["a", "b", "c"]
    assert result.mean_ranks == pytest.approx([1.0, 2.4, 2.6])
    assert result.left_out == ["lame"]


def test_no_ranks_below_five_data_sets_or_three_rows():
    row = {"a": 0.9, "b": 0.8, "c": 0.7}
    assert friedman_nemenyi({str(i): row for i in range(4)}) is None
    assert friedman_nemenyi({str(i): row for i in range(5)}) is not None
    assert friedman_nemenyi({str(i): {"a": 0.9, "b": 0.8} for i in range(5)}) is None


def test_equal_rows_have_equal_ranks():
    result = friedman_nemenyi({str(i): {"a": 0.5, "b": 0.5, "c": 0.5} for i in range(5)})
    assert result.mean_ranks == [2.0, 2.0, 2.0]
    assert result.p == 1.0
