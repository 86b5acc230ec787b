"""Intervals, tests and corrections against known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from ferbench.benchmarks.metrics import sufficient
from ferbench.benchmarks.statistics import (
    bootstrap,
    calibration_interval,
    holm,
    mcnemar,
    paired_test,
    resample_weights,
    tie_groups,
)


def of_accuracy(right: np.ndarray, groups: np.ndarray | None = None):
    """Sums of a two-class problem in which class 0 is true and ``right`` says where it is predicted."""
    n = len(right)
    probabilities = np.where(right[:, None], [0.8, 0.2], [0.3, 0.7])
    return sufficient(
        np.zeros(n, int), np.where(right, 0, 1), probabilities, np.arange(n) if groups is None else groups
    )


def test_interval_of_an_accuracy_is_the_binomial_one() -> None:
    right = np.arange(3589) < 0.70 * 3589
    estimate = bootstrap(of_accuracy(right), seed=1)["end_to_end"]["accuracy"]
    half = 1.96 * (0.7 * 0.3 / 3589) ** 0.5  # 1.5 points
    assert estimate.value == pytest.approx(0.7, abs=1e-3)
    assert (estimate.low, estimate.high) == pytest.approx((0.7 - half, 0.7 + half), abs=0.002)


@pytest.mark.parametrize("is_right", [True, False])
def test_all_right_or_all_wrong_is_no_certainty(is_right: bool) -> None:
    right = np.full(24, is_right)
    found = bootstrap(of_accuracy(right), seed=1)
    expected = binomtest(24 * is_right, 24).proportion_ci(0.95, method="exact")
    for part in found.values():
        assert (part["accuracy"].low, part["accuracy"].high) == pytest.approx((expected.low, expected.high))
        assert (part["macro_f1"].value, part["macro_f1"].low) == (float(is_right), None)
    by_person = bootstrap(of_accuracy(right, np.repeat(np.arange(12), 2)), seed=1)["end_to_end"]["accuracy"]
    expected = binomtest(12 * is_right, 12).proportion_ci(0.95, method="exact")
    assert (by_person.low, by_person.high) == pytest.approx((expected.low, expected.high))


def test_resampling_subjects_widens_the_interval_where_their_faces_agree() -> None:
    subjects = np.repeat(np.arange(40), 25)
    right = subjects % 10 < 7
    over_faces = bootstrap(of_accuracy(right), seed=1)["end_to_end"]["accuracy"]
    over_subjects = bootstrap(of_accuracy(right, subjects), seed=1)["end_to_end"]["accuracy"]
    # Twenty-five equal faces carry the information of one: the interval is five times as wide.
    ratio = (over_subjects.high - over_subjects.low) / (over_faces.high - over_faces.low)
    assert 4 < ratio < 6


@pytest.mark.parametrize(("excess", "n"), [(0.0, 600), (0.03, 600), (0.1, 600)])
def test_the_interval_of_the_calibration_error_holds_the_true_error(excess: float, n: int) -> None:
    """A forecaster that is too sure by ``excess`` everywhere: its true error is known."""
    generator = np.random.default_rng(1)
    held = 0
    for seed in range(40):
        confidence = generator.uniform(0.55, 0.95, n)
        truth = np.where(generator.uniform(size=n) < confidence - excess, 0, 1)
        sums = sufficient(truth, np.zeros(n, int), np.stack([confidence, 1 - confidence], axis=1), np.arange(n))
        ece = bootstrap(sums, seed=seed, n_resamples=200)["detected"]["ece"]
        assert ece.low is not None
        assert ece.high is not None
        held += ece.low <= excess <= ece.high
    # 38 of 40 where nominal; the percentile interval holds the truth in none of the first two cases.
    assert held >= 30


def test_the_calibration_interval_turns_the_excess_of_resamples_round_and_stops_at_zero() -> None:
    drawn = np.linspace(0.10, 0.20, 1001)
    assert calibration_interval(0.12, drawn, np.zeros(9)) == pytest.approx((0.0425, 0.1375))
    assert calibration_interval(0.12, drawn, np.full(9, 0.2)) == pytest.approx((0.0, 0.1375)), "chance alone gives 0.2"
    assert calibration_interval(0.04, drawn, np.zeros(9)) == (0.0, 0.0)


def test_a_single_subject_gives_no_interval() -> None:
    estimate = bootstrap(of_accuracy(np.array([True, False]), np.zeros(2, int)), seed=0)["end_to_end"]["accuracy"]
    assert (estimate.value, estimate.low, estimate.high) == (0.5, None, None)


def test_the_seed_decides_the_interval() -> None:
    sums = of_accuracy(np.arange(200) % 3 > 0)
    assert bootstrap(sums, seed=5) == bootstrap(sums, seed=5)
    assert bootstrap(sums, seed=5) != bootstrap(sums, seed=6)


def test_draws_do_not_depend_on_the_size_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(resample_weights(50, 30, 9)))
    monkeypatch.setattr("ferbench.benchmarks.statistics._CHUNK_VALUES", 170)
    chunked = np.concatenate(list(resample_weights(50, 30, 9)))
    np.testing.assert_array_equal(whole, chunked)
    assert (whole.sum(axis=1) == 50).all()


@pytest.mark.parametrize(("only_a", "only_b", "p"), [(46, 41, 0.67), (121, 59, 4.434e-06), (5, 0, 0.0625), (0, 0, 1.0)])
def test_exact_mcnemar(only_a: int, only_b: int, p: float) -> None:
    a = np.array([True] * only_a + [False] * only_b + [True] * 20)
    b = np.array([False] * only_a + [True] * only_b + [True] * 20)
    assert mcnemar(a, b) == pytest.approx(p, rel=0.01)
    assert mcnemar(b, a) == pytest.approx(mcnemar(a, b))


def test_holm_of_a_worked_example() -> None:
    # Holm (1979): 0.01·4, 0.02·3 (0.06), 0.03·2 (0.06), 0.04·1, made monotone.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_corrects_upwards_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_rows_tie_with_the_best_of_their_group() -> None:
    different = {frozenset("ac"), frozenset("ad"), frozenset("bd")}
    assert tie_groups("abcd", different) == {"a": 1, "b": 1, "c": 2, "d": 2}
    assert tie_groups("abc", set()) == {"a": 1, "b": 1, "c": 1}


@given(
    st.integers(0, 8).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.frozensets(st.integers(0, max(n, 1)), min_size=2, max_size=2)))
    )
)
def test_tie_groups_count_up_from_one_and_never_join_what_differs_from_the_best(case) -> None:
    n, different = case
    names = [str(i) for i in range(n)]
    groups = tie_groups(names, {frozenset(map(str, pair)) for pair in different})
    numbers = [groups[name] for name in names]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, max(numbers, default=0) + 1))
    for name in names:
        best = next(other for other in names if groups[other] == groups[name])
        assert name == best or frozenset((int(name), int(best))) not in different


def test_without_repeated_subjects_the_paired_test_is_mcnemar():
    rng = np.random.default_rng(0)
    a, b = rng.random(200) < 0.7, rng.random(200) < 0.6
    assert paired_test(a, b, None, 0) == mcnemar(a, b)
    assert paired_test(a, b, np.arange(200).astype(str), 0) == mcnemar(a, b)


def test_frames_of_one_person_are_one_piece_of_evidence():
    rng = np.random.default_rng(1)
    a, b = rng.random(30) < 0.8, rng.random(30) < 0.55
    once = mcnemar(a, b)
    people = np.repeat(np.arange(30), 10).astype(str)
    tested = paired_test(np.repeat(a, 10), np.repeat(b, 10), people, 0)
    assert mcnemar(np.repeat(a, 10), np.repeat(b, 10)) < once / 10, "faces taken as independent exaggerate"
    assert tested == pytest.approx(once, abs=0.03)


def test_equal_classifiers_are_never_told_apart():
    right = np.array([True, False, True, True])
    assert paired_test(right, right, np.array(["a", "a", "b", "b"]), 0) == 1.0
