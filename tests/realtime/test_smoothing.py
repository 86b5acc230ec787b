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


@pytest.mark.parametrize("spec", ["none", "mean:4", "ema:0.5", "median:3", "majority:5"])
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
    ],
)
def test_what_is_no_smoothing_is_told_clearly(text: str, parts: list[str]):
    with pytest.raises(ParameterError) as error:
        parse_smoothing(text)
    assert all(part in str(error.value) for part in parts), str(error.value)


@given(st.text(max_size=20) | st.builds("{}:{}".format, st.sampled_from(sorted(SMOOTHERS)), st.text(max_size=6)))
def test_any_text_is_a_smoothing_or_a_parameter_error(text: str):
    try:
        parsed = parse_smoothing(text)
    except ParameterError:
        return
    assert parse_smoothing(str(parsed)) == parsed


def test_text_and_value_are_the_same_thing():
    assert str(parse_smoothing(" mean:10 ")) == "mean:10"
    assert parse_smoothing(Smoothing("ema", 0.5)) == parse_smoothing("ema:0.5")


def test_a_wrong_number_of_rows_is_a_shape_error():
    with pytest.raises(ShapeError, match=r"got \(1, 7\), expected \(2, C\)"):
        Smoother("none").smooth([1, 2], random_rows(1))
