"""Rows on the same faces: differences of a metric, ranks over resamples, what confidence and annotators are worth."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn.calibration import calibration_curve
from sklearn.metrics import f1_score

from ferbench.benchmarks.annotators import agreement_estimate, annotator_agreement
from ferbench.benchmarks.confidence import aurc, risk_coverage, summarise_confidence
from ferbench.benchmarks.pairs import Scored, compare_rows, omnibus, tie_numbers
from ferbench.benchmarks.records import both_ways
from ferbench.benchmarks.resampling import difference_p, draw_metrics, n_resamples_for, rank_stability
from ferbench.benchmarks.statistics import mcnemar

LABELS = ["angry", "happy", "sad"]


def scored(
    name: str, truth: np.ndarray, predicted: np.ndarray, subjects=None, prefix: str = "face", folds=()
) -> Scored:
    n = len(truth)
    names = np.array(LABELS)
    items = pd.DataFrame(
        {
            "id": [f"{prefix}{i}" for i in range(n)],
            "subject": [None] * n if subjects is None else subjects,
            "truth": names[truth],
            "predicted": np.where(predicted < 0, "", names[predicted]),
            "detected": predicted >= 0,
        }
    )
    for i, label in enumerate(LABELS):
        items[f"p_{label}"] = np.where(predicted < 0, np.nan, np.where(predicted == i, 0.8, 0.1)).astype(np.float32)
    return Scored(name, items, LABELS, list(folds))


def with_accuracy(truth: np.ndarray, accuracy: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(truth)) < accuracy, truth, (truth + rng.integers(1, 3, len(truth))) % 3)


TRUTH = np.random.default_rng(0).choice(3, 300, p=[0.6, 0.3, 0.1])


def test_the_interval_of_a_difference_of_macro_f1_is_scipys_paired_bootstrap():
    a, b = with_accuracy(TRUTH, 0.7, 1), with_accuracy(TRUTH, 0.6, 2)
    (one,), _ = compare_rows("faces", [scored("a", TRUTH, a), scored("b", TRUTH, b)], seed=0)

    def difference(t, x, y):
        return f1_score(t, x, average="macro") - f1_score(t, y, average="macro")

    expected = bootstrap(
        (TRUTH, a, b), difference, paired=True, vectorized=False, method="percentile", n_resamples=300, rng=1
    ).confidence_interval
    assert one.macro_f1.difference == pytest.approx(difference(TRUTH, a, b))
    assert (one.macro_f1.low, one.macro_f1.high) == pytest.approx((expected.low, expected.high), abs=0.025)
    assert one.low < one.difference < one.high


def test_differences_of_people_are_resampled_by_person():
    people = np.repeat(np.arange(30), 10)
    truth, a, b = (np.repeat(x[:30], 10) for x in (TRUTH, with_accuracy(TRUTH, 0.8, 1), with_accuracy(TRUTH, 0.5, 2)))
    by_face, _ = compare_rows("faces", [scored("a", truth, a), scored("b", truth, b)], seed=0)
    rows = [scored(name, truth, guess, people.astype(str)) for name, guess in (("a", a), ("b", b))]
    by_person, _ = compare_rows("faces", rows, seed=0)
    # Ten equal faces carry the information of one.
    width = (by_person[0].macro_f1.high - by_person[0].macro_f1.low) / (
        by_face[0].macro_f1.high - by_face[0].macro_f1.low
    )
    assert 2.2 < width < 4.5
    assert by_person[0].macro_f1.p > by_face[0].macro_f1.p


def test_equal_rows_tie_and_mirrored_rows_mirror():
    a, b = with_accuracy(TRUTH, 0.8, 1), with_accuracy(TRUTH, 0.5, 2)
    same, _ = compare_rows("faces", [scored("a", TRUTH, a), scored("again", TRUTH, a)], seed=0)
    assert (same[0].verdict, same[0].macro_f1.verdict, same[0].macro_f1.p) == ("tie", "tie", 1.0)
    assert (same[0].low, same[0].high) == (0.0, 0.0)
    (ab,), _ = compare_rows("faces", [scored("a", TRUTH, a), scored("b", TRUTH, b)], seed=0)
    (ba,), _ = compare_rows("faces", [scored("b", TRUTH, b), scored("a", TRUTH, a)], seed=0)
    assert (ab.verdict, ba.verdict) == ("better", "worse")
    assert ba.macro_f1.low == pytest.approx(-ab.macro_f1.high)
    assert ba.macro_f1.p == ab.macro_f1.p == pytest.approx(2 / 10_000)


def test_p_values_of_draws():
    assert difference_p(np.array([-1.0] * 5 + [1.0] * 994), 500) == pytest.approx(12 / 1000)
    assert difference_p(np.zeros(999), 500) == 1.0
    assert difference_p(np.zeros(0), 500) == 1.0
    # Five people who all prefer one row: as of five tosses of a coin.
    assert difference_p(np.ones(999), 5) == mcnemar(np.ones(5, bool), np.zeros(5, bool)) == 2 / 32
    assert n_resamples_for(3589) == 9_999
    assert n_resamples_for(10**7) == 999


def test_rows_are_compared_only_on_the_same_faces():
    a, b = with_accuracy(TRUTH, 0.8, 1), with_accuracy(TRUTH, 0.5, 2)
    rows = [
        scored(n, TRUTH, g, prefix=p)
        for n, g, p in (("a", a, "x"), ("b", b, "x"), ("c", a, "y"), ("d", b, "y"), ("e", a, "z"))
    ]
    pairs, ranks = compare_rows("faces", rows, seed=0)
    assert [(pair.a, pair.b) for pair in pairs] == [("a", "b"), ("c", "d")]
    assert ranks.rows == ["a", "b"]
    assert compare_rows("faces", [], seed=0) == ([], None)
    assert omnibus(rows) is None


def test_a_pair_seen_from_its_second_row_is_what_the_rows_give_in_the_other_order():
    rows = [
        scored(name, TRUTH, with_accuracy(TRUTH, accuracy, seed), folds=[TRUTH.size // 5] * 5)
        for name, accuracy, seed in (("a", 0.8, 1), ("b", 0.5, 2))
    ]
    (forth,), _ = compare_rows("faces", rows, seed=0)
    (back,), _ = compare_rows("faces", rows[::-1], seed=0)
    assert (forth.verdict, forth.macro_f1.verdict) == ("better", "better")
    for got, expected in ((both_ways([forth], "faces")["b", "a"], back), (forth.mirrored().mirrored(), forth)):
        assert_same(got.model_dump(), expected.model_dump())
    assert both_ways([forth], "other faces") == {}


def assert_same(got, expected):
    """Equal, numbers nearly."""
    if isinstance(expected, dict):
        assert got.keys() == expected.keys()
        for key, value in expected.items():
            assert_same(got[key], value)
    else:
        assert got == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_all_rows_are_tested_together_before_two_are():
    rows = [scored(str(i), TRUTH, with_accuracy(TRUTH, 0.7, 10 + i)) for i in range(4)]
    assert omnibus(rows).p > 0.05
    assert omnibus([*rows, scored("poor", TRUTH, with_accuracy(TRUTH, 0.4, 9))]).p < 0.001
    people = np.repeat(np.arange(60), 5).astype(str)
    tested = omnibus([scored(str(i), TRUTH, with_accuracy(TRUTH, 0.7, 10 + i), people) for i in range(4)])
    assert tested.method == "permutation"
    assert tested.p > 0.05


def test_folds_are_tested_with_the_corrected_t_test():
    a, b = with_accuracy(TRUTH, 0.8, 1), with_accuracy(TRUTH, 0.5, 2)
    rows = [scored("a", TRUTH, a, folds=[100, 120, 80]), scored("b", TRUTH, b, folds=[100, 120, 80])]
    (one,), _ = compare_rows("faces", rows, seed=0)
    gaps = [(a == TRUTH)[i:j].mean() - (b == TRUTH)[i:j].mean() for i, j in pairwise((0, 100, 220, 300))]
    assert one.folds.difference == pytest.approx(np.mean(gaps))
    assert one.folds.t == pytest.approx(np.mean(gaps) / np.sqrt((1 / 3 + 100 / 200) * np.var(gaps, ddof=1)))


def test_ties_of_the_leaderboard():
    rows = [scored(n, TRUTH, with_accuracy(TRUTH, p, s)) for n, p, s in (("low", 0.4, 1), ("x", 0.8, 2), ("y", 0.8, 3))]
    pairs, _ = compare_rows("faces", rows, seed=0)
    assert tie_numbers(rows, pairs) == {"x": 1, "y": 1, "low": 2}


def test_ranks_over_resamples():
    draws = [np.array([0.5, 0.5, 0.7, 0.4]), np.array([0.6, 0.5, 0.6, 0.5])]
    ranks = rank_stability(["a", "b"], [0.5, 0.6], draws)
    assert ranks.rows == ["b", "a"]
    # b above a twice, a above b once, one tie that counts half
    assert ranks.above == [[0.5, 0.625], [0.375, 0.5]]
    assert ranks.shares == [[0.625, 0.375], [0.375, 0.625]]
    assert rank_stability(["a"], [0.5], draws[:1]) is None


def test_ranks_are_distributions_whatever_ties():
    rows = [scored(str(i), TRUTH, with_accuracy(TRUTH, 0.6, i // 2)) for i in range(5)]
    _, ranks = compare_rows("faces", rows, seed=0)
    shares, above = np.array(ranks.shares), np.array(ranks.above)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(above + above.T, 1)


def test_all_rows_see_the_same_resamples():
    rows = [scored(n, TRUTH, with_accuracy(TRUTH, 0.6, 0)).sums for n in "ab"]
    a, b = draw_metrics(rows, seed=4, n_resamples=50)
    np.testing.assert_array_equal(a["macro_f1"], b["macro_f1"])


# Confidence -----------------------------------------------------------------------------------------------------------


def test_risk_and_its_area_by_hand():
    confidence, wrong = np.array([0.6, 0.9, 0.7, 0.8]), np.array([True, False, False, True])
    coverage, risk = risk_coverage(confidence, wrong)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    assert aurc(confidence, wrong)[0] == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)


@settings(deadline=None)  # 400 shuffles: longer than 200 ms on a busy machine
@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(*(st.lists(v, min_size=n, max_size=n) for v in (st.integers(0, 3), st.booleans())))
    )
)
def test_equal_confidences_count_as_the_mean_of_all_their_orders(case):
    confidence, wrong = np.array(case[0], float), np.array(case[1])
    rng = np.random.default_rng(0)
    shuffled = [
        (wrong[np.lexsort((rng.random(len(wrong)), -confidence))].cumsum() / np.arange(1, len(wrong) + 1)).mean()
        for _ in range(400)
    ]
    assert aurc(confidence, wrong)[0] == pytest.approx(np.mean(shuffled), abs=5 * np.std(shuffled) / 20 + 1e-9)


def test_a_weight_is_a_face_drawn_so_often():
    rng = np.random.default_rng(0)
    confidence, wrong, weights = rng.random(40).round(1), rng.random(40) < 0.4, rng.integers(0, 4, 40)
    repeated = np.repeat(np.arange(40), weights)
    expected = aurc(confidence[repeated], wrong[repeated])
    assert aurc(confidence, wrong, weights[None].astype(float)) == pytest.approx(expected)


def test_a_row_without_a_preference_has_its_error_rate_as_area():
    right = np.arange(100) % 4 > 0
    summary = summarise_confidence(np.full(100, 0.5), right, np.arange(100), 0)
    assert summary.aurc.value == pytest.approx(0.25)
    assert (summary.coverage, summary.risk) == ([1.0], [0.25])
    assert summary.best_aurc == pytest.approx(np.mean([max(0, n - 75) / n for n in range(1, 101)]))
    assert len(summary.bins) == 1


def test_bins_of_reliability_are_scikit_learns():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1, 500)
    right = rng.random(500) < confidence
    bins = summarise_confidence(confidence, right, np.arange(500), 0).bins
    accuracy, mean = calibration_curve(right, confidence, n_bins=10, strategy="quantile")
    assert [one.n for one in bins] == [50] * 10
    assert [one.confidence for one in bins] == pytest.approx(mean.tolist())
    assert [one.accuracy for one in bins] == pytest.approx(accuracy.tolist())
    # Wilson (1927) for 45 of 50: 0.786 to 0.957.
    ninety = summarise_confidence(np.full(50, 0.9), np.arange(50) < 45, np.arange(50), 0).bins[0]
    assert (ninety.low, ninety.high) == pytest.approx((0.786, 0.957), abs=0.001)


def test_intervals_of_bins_are_wider_over_people():
    rng = np.random.default_rng(0)
    confidence, right = np.repeat(rng.uniform(0.2, 1, 40), 10), np.repeat(rng.random(40) < 0.6, 10)
    alone = summarise_confidence(confidence, right, np.arange(400), 0)
    people = summarise_confidence(confidence, right, np.repeat(np.arange(40), 10), 0)
    assert [a.accuracy for a in alone.bins] == [b.accuracy for b in people.bins]
    assert people.aurc.high - people.aurc.low > 2 * (alone.aurc.high - alone.aurc.low)


def test_no_face_found_no_confidence():
    nothing = np.zeros(0)
    assert summarise_confidence(nothing, nothing.astype(bool), nothing.astype(int), 0) is None


# Annotators -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([10, 0, 0], 1.0),
        ([6, 4, 0], 0.6),
        # Five against five: whoever is held against the others finds them four to five.
        ([5, 5, 0], 0.0),
        # Of the five, each finds four against four: half of a plurality; of the four, each finds five to three.
        ([5, 4, 1], (5 * 0.5) / 10),
        # The last column is no expression: whoever chose it disagrees, but is an annotator.
        ([8, 0, 2], 0.8),
        ([0, 0, 10], np.nan),
        ([1, 0, 0], np.nan),
    ],
)
def test_one_annotator_against_the_plurality_of_the_others(counts, expected):
    assert annotator_agreement(np.array([counts]), 2)[0] == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.integers(0, 6), min_size=4, max_size=4))
def test_agreement_is_what_taking_each_annotator_out_gives(counts):
    votes = [choice for choice, n in enumerate(counts) for _ in range(n)]
    shares = []
    for i, vote in enumerate(votes):
        others = np.bincount(votes[:i] + votes[i + 1 :], minlength=4)[:3]
        if others.max(initial=0) > 0:
            best = np.flatnonzero(others == others.max())
            shares.append((vote in best) / len(best))
    expected = np.mean(shares) if len(votes) >= 2 and shares else np.nan
    assert annotator_agreement(np.array([counts]), 3)[0] == pytest.approx(expected, nan_ok=True)


def test_the_line_of_the_annotators_is_a_mean_with_an_interval():
    estimate = agreement_estimate(np.array([1.0] * 60 + [0.5] * 40 + [np.nan]), seed=0)
    half = 1.96 * np.std([1.0] * 60 + [0.5] * 40) / 10
    assert estimate.value == pytest.approx(0.8)
    assert (estimate.low, estimate.high) == pytest.approx((0.8 - half, 0.8 + half), abs=0.01)
    assert agreement_estimate(np.array([np.nan]), seed=0) is None
