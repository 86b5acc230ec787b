"""Smoothing: known answers, memory per face, and clear errors."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferbench.errors import ParameterError, ShapeError
from ferbench.realtime.smoothing import SMOOTHERS, Smoother, Smoothing, parse_smoothing


def random_rows(n: int, seed: int = 0) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).dirichlet(np.ones(7), size=n)


def run(spec: str, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    smoother = Smoother(spec)
    return np.concatenate([smoother.smooth([1], row[None]) for row in rows])


def test_mean_is_numpys_mean_of_the_last_n_frames():
    rows = random_rows(25)
    expected = [rows[max(0, i - 9) : i + 1].mean(axis=0) for i in range(25)]
    np.testing.assert_allclose(run("mean:10", rows), expected, rtol=1e-6)


def test_ema_is_pandas_ewm():
    import pandas as pd

    rows = random_rows(30)
    expected = pd.DataFrame(rows).ewm(alpha=0.3, adjust=False).mean().to_numpy()
    np.testing.assert_allclose(run("ema:0.3", rows), expected, rtol=1e-6)


def test_median_is_numpys_median_scaled_to_one():
    rows = random_rows(12)
    medians = np.array([np.median(rows[max(0, i - 4) : i + 1], axis=0) for i in range(12)])
    np.testing.assert_allclose(run("median:5", rows), medians / medians.sum(axis=1, keepdims=True), rtol=1e-5)


def test_median_of_contradictory_certainties_falls_back_to_their_mean():
    np.testing.assert_allclose(run("median:3", np.eye(3))[-1], np.full(3, 1 / 3), rtol=1e-6)


def test_majority_gives_the_share_of_frames_that_each_label_won():
    rows = np.array([[0.6, 0.4, 0], [0.1, 0.9, 0], [0.7, 0.3, 0], [0.55, 0.45, 0]])
    np.testing.assert_allclose(run("majority:4", rows)[-1], [0.75, 0.25, 0], atol=1e-5)


def test_majority_breaks_ties_by_the_mean_and_not_by_position():
    rows = np.array([[0.55, 0.45], [0.1, 0.9]])
    assert run("majority:2", rows)[-1].argmax() == 1


def test_none_changes_nothing():
    rows = random_rows(5)
    np.testing.assert_array_equal(run("none", rows), rows.astype(np.float32))


def test_hmm_is_the_forward_algorithm_worked_out_by_hand():
    # Two expressions, stay 0.9. After (0.8, 0.2): the prior of the next frame is (0.74, 0.26); times (0.3, 0.7).
    rows = np.array([[0.8, 0.2], [0.3, 0.7]])
    np.testing.assert_allclose(run("hmm:0.9", rows)[1], [0.222 / 0.404, 0.182 / 0.404], rtol=1e-6)


def test_hmm_with_nothing_to_remember_is_the_frame_itself_and_survives_certainty():
    rows = random_rows(4)
    np.testing.assert_allclose(run("hmm:0.5", rows[:, :2] / rows[:, :2].sum(axis=1, keepdims=True))[-1].sum(), 1)
    stubborn = run("hmm:0.99", np.repeat(np.eye(3)[[0, 1]], [50, 20], axis=0))
    assert stubborn[-1].argmax() == 1


def shown(spec: str, leads: list[float], step_ms: float = 100.0) -> list[int]:
    """Labels shown where label 1 leads label 0 by so much."""
    smoother = Smoother(spec)
    rows = [[(0.8 - lead) / 2, (0.8 + lead) / 2, 0.2] for lead in leads]
    return [int(smoother.smooth([1], [row], i * step_ms)[0].argmax()) for i, row in enumerate(rows)]


def test_hysteresis_by_lead_holds_a_label_until_another_leads_clearly():
    assert shown("hysteresis:0.2", [-0.1, 0.1, 0.19, 0.21, 0.05, -0.19, -0.3]) == [0, 0, 0, 1, 1, 1, 0]


def test_hysteresis_by_frames_and_by_time_wait_for_a_lasting_lead():
    leads = [-0.1, 0.1, -0.1, 0.1, 0.1, 0.1, 0.1]
    assert shown("hysteresis:3", leads) == [0, 0, 0, 0, 0, 1, 1]
    assert shown("hysteresis:200ms", leads) == [0, 0, 0, 0, 0, 1, 1]
    assert shown("hysteresis:200ms", leads, step_ms=200) == [0, 0, 0, 0, 1, 1, 1]


def test_hysteresis_counts_anew_for_each_challenger():
    smoother = Smoother("hysteresis:2")
    rows = np.array([[0.5, 0.3, 0.2], [0.3, 0.5, 0.2], [0.3, 0.2, 0.5], [0.3, 0.5, 0.2], [0.3, 0.5, 0.2]])
    assert [int(smoother.smooth([1], [row])[0].argmax()) for row in rows] == [0, 0, 0, 0, 1]


def test_a_held_label_is_raised_no_more_than_needed():
    smoother = Smoother("hysteresis:0.5")
    smoother.smooth([1], [[0.6, 0.3, 0.1]])
    np.testing.assert_allclose(smoother.smooth([1], [[0.3, 0.5, 0.2]]), [[5 / 12, 5 / 12, 2 / 12]], rtol=1e-5)


@pytest.mark.parametrize(
    ("over_time", "over_frames"),
    [("mean:400ms", "mean:4"), ("median:500ms", "median:5"), ("majority:300ms", "majority:3")],
)
def test_milliseconds_are_frames_where_frames_are_regular(over_time: str, over_frames: str):
    rows = random_rows(12)
    smoother = Smoother(over_time)
    timed = np.concatenate([smoother.smooth([1], row[None], 1000.0 + 100 * i) for i, row in enumerate(rows)])
    np.testing.assert_array_equal(timed, run(over_frames, rows))


def test_a_time_constant_forgets_as_much_in_the_same_time_at_any_frame_rate():
    fast, slow = Smoother("ema:150ms"), Smoother("ema:150ms")
    for i in range(13):
        fast_last = fast.smooth([1], [[float(i == 0), float(i > 0)]], 25.0 * i)
    for i in range(4):
        slow_last = slow.smooth([1], [[float(i == 0), float(i > 0)]], 100.0 * i)
    np.testing.assert_allclose(fast_last[0, 0], np.exp(-300 / 150), rtol=1e-6)
    np.testing.assert_allclose(fast_last, slow_last, rtol=1e-6)


def test_a_source_without_times_has_thirty_frames_a_second():
    rows = random_rows(8)
    timed = Smoother("ema:150ms+hysteresis:100ms")
    expected = [timed.smooth([1], row[None], i * 1000 / 30) for i, row in enumerate(rows)]
    np.testing.assert_allclose(run("ema:150ms+hysteresis:100ms", rows), np.concatenate(expected), rtol=1e-5)


def test_a_clock_that_steps_back_forgets_nothing_and_breaks_nothing():
    smoother = Smoother("mean:1000ms")
    for t, row in zip((5000.0, 5100.0, 0.0), np.eye(3), strict=True):
        last = smoother.smooth([1], row[None], t)
    np.testing.assert_allclose(last, [[1 / 3] * 3], rtol=1e-6)


@pytest.mark.parametrize(
    "spec",
    ["none", "mean:4", "ema:0.5", "median:3", "majority:5", "hmm:0.9", "hysteresis:0.3", "mean:3+hysteresis:2"],
)
def test_faces_never_mix_and_rows_sum_to_one(spec: str):
    a, b = random_rows(20, seed=1), random_rows(20, seed=2)
    together = Smoother(spec)
    both = np.stack([together.smooth([7, 3], np.stack(pair)) for pair in zip(a, b, strict=True)])
    np.testing.assert_array_equal(both[:, 0], run(spec, a))
    np.testing.assert_array_equal(both[:, 1], run(spec, b))
    np.testing.assert_allclose(both.sum(axis=2), 1, rtol=1e-5)


def test_order_of_faces_within_a_frame_does_not_matter():
    a, b = random_rows(6, seed=1), random_rows(6, seed=2)
    smoother = Smoother("mean:10")
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        last = smoother.smooth([1, 2], [x, y]) if i % 2 == 0 else smoother.smooth([2, 1], [y, x])[::-1]
    np.testing.assert_allclose(last, [a.mean(axis=0), b.mean(axis=0)], rtol=1e-6)


def test_the_memory_of_dead_tracks_is_freed():
    smoother = Smoother("mean:10")
    smoother.smooth([1, 2], random_rows(2))
    memory = weakref.ref(smoother._filters[1])
    smoother.retain({2})
    gc.collect()
    assert memory() is None
    assert len(smoother) == 1


def test_a_returning_id_starts_afresh_after_it_was_freed():
    smoother = Smoother("mean:10")
    smoother.smooth([1], [[1.0, 0.0]])
    smoother.retain(set())
    np.testing.assert_array_equal(smoother.smooth([1], [[0.0, 1.0]]), [[0.0, 1.0]])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("maen:10", ["unknown smoothing", "'maen:10'", "did you mean 'mean'"]),
        ("mean", ["'mean'", "1 to 10000", "mean:10"]),
        ("mean:0", ["'0'", "whole number"]),
        ("mean:-3", ["'-3'"]),
        ("mean:2.5", ["'2.5'", "whole number"]),
        ("mean:99999999999", ["1 to 10000"]),
        ("ema:0", ["'0'", "above 0, up to 1"]),
        ("ema:nan", ["'nan'"]),
        ("ema:fast", ["'fast'", "ema:0.3"]),
        ("none:3", ["takes no parameter"]),
        ("", ["none, mean:N"]),
        ("mean:0ms", ["1ms to 600000ms", "mean:300ms"]),
        ("hmm:1", ["stays from frame to frame", "below 1"]),
        ("mean:10+hysteresis", ["limit of hysteresis", "hysteresis:3"]),
        ("hysteresis:1", ["a lead above 0, below 1"]),
        ("hysteresis:1.5", ["'1.5'"]),
        ("mean:10+ema:0.2", ["only hysteresis stands behind another"]),
        ("hysteresis:0.1+mean:10", ["unknown smoothing"]),
    ],
)
def test_what_is_no_smoothing_is_told_clearly(text: str, parts: list[str]):
    with pytest.raises(ParameterError) as error:
        parse_smoothing(text)
    assert all(part in str(error.value) for part in parts), str(error.value)


PARAMETER = st.text("0123456789.ms-", max_size=8)


@given(
    st.text(max_size=20)
    | st.builds("{}:{}".format, st.sampled_from(sorted(SMOOTHERS)), PARAMETER)
    | st.builds("{}:{}+hysteresis:{}".format, st.sampled_from(sorted(SMOOTHERS)), PARAMETER, PARAMETER)
)
def test_any_text_is_a_smoothing_or_a_parameter_error(text: str):
    try:
        parsed = parse_smoothing(text)
    except ParameterError:
        return
    assert parse_smoothing(str(parsed)) == parsed


def test_text_and_value_are_the_same_thing():
    assert str(parse_smoothing(" mean:10 ")) == "mean:10"
    assert parse_smoothing(Smoothing("ema", 0.5)) == parse_smoothing("ema:0.5")
    assert str(parse_smoothing("ema:150.0ms + hysteresis:0.1")) == "ema:150ms+hysteresis:0.1"
    assert parse_smoothing("hysteresis:3") == parse_smoothing("none+hysteresis:3")


def test_a_wrong_number_of_rows_is_a_shape_error():
    with pytest.raises(ShapeError, match=r"got \(1, 7\), expected \(2, C\)"):
        Smoother("none").smooth([1, 2], random_rows(1))
