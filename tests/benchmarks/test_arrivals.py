"""A mailbox and a search on a clock of their own: what is dropped, how old answers are, which rate is found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ferbench.benchmarks.arrivals import MAX_HZ, RESOLUTION, TRIAL_FRAMES, Delivery, RateSearch, deliver, search_rate
from ferbench.benchmarks.timing_facts import fixed_rate


class Machine:
    """A clock that moves only by sleeping and by answering, ``ms`` a frame."""

    def __init__(self, ms: float | Callable[[int], float]) -> None:
        self.now = 0
        self.ms = ms if callable(ms) else lambda _: ms
        self.answered: list[int] = []
        self.ages: list[float] = []

    def clock(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(1, round(seconds * 1e9))

    def answer(self, number: int, arrival_ns: int) -> None:
        assert arrival_ns <= self.now
        self.now += round(self.ms(number) * 1e6)
        self.answered.append(number)
        self.ages.append((self.now - arrival_ns) / 1e6)

    def deliver(self, hz: float, n: int, **more: bool) -> Delivery:
        return deliver(self.answer, hz, n, clock=self.clock, sleep=self.sleep, **more)

    def search(self, guess: float, budget_s: float = 1e6) -> RateSearch:
        return search_rate(
            lambda hz: self.deliver(hz, TRIAL_FRAMES, gives_up=True),
            guess,
            budget_s=budget_s,
            clock=lambda: self.now / 1e9,
        )


def test_a_pipeline_that_is_fast_enough_drops_nothing_and_answers_at_once() -> None:
    machine = Machine(5)
    delivery = machine.deliver(30, 90)
    assert delivery.n_dropped == 0
    assert delivery.keeps_up
    assert machine.answered == list(range(90))
    assert machine.ages == pytest.approx([5] * 90, abs=1e-3)
    assert delivery.slept_s == pytest.approx(90 / 30 - 90 * 0.005, abs=0.04)


@pytest.mark.parametrize(("hz", "share"), [(300, 1 / 3), (400, 1 / 2), (1000, 4 / 5)])
def test_beyond_its_rate_a_pipeline_of_5_ms_answers_200_frames_a_second(hz: float, share: float) -> None:
    machine = Machine(5)
    delivery = machine.deliver(hz, 3000)
    assert delivery.n_dropped / delivery.n_frames == pytest.approx(share, abs=0.005)
    # The newest frame waits less than one period, then takes its 5 ms.
    assert min(machine.ages) >= 5
    assert max(machine.ages) <= 5 + 1000 / hz + 1e-3


@given(
    st.floats(1, 1000),
    st.integers(1, 80),
    st.lists(st.floats(0, 200), min_size=80, max_size=80),
)
def test_every_frame_is_answered_or_dropped_and_the_newest_wins(hz: float, n: int, times: list[float]) -> None:
    machine = Machine(lambda number: times[number])
    delivery = machine.deliver(hz, n)
    assert delivery.n_frames == n
    assert delivery.n_dropped + len(machine.answered) == n
    assert machine.answered == sorted(set(machine.answered))
    assert machine.answered[-1] == n - 1
    assert all(age >= times[k] - 1e-3 for age, k in zip(machine.ages, machine.answered, strict=True))


def test_a_slow_frame_makes_the_one_after_it_old() -> None:
    machine = Machine(lambda number: 150 if number == 10 else 5)
    delivery = machine.deliver(10, 20)
    assert delivery.n_dropped == 0
    assert machine.ages[11] == pytest.approx(55, abs=0.01)  # it waited 50 ms for the frame before it


def test_a_trial_gives_up_as_soon_as_it_has_failed() -> None:
    machine = Machine(10)
    delivery = machine.deliver(1000, TRIAL_FRAMES, gives_up=True)
    assert not delivery.keeps_up
    assert len(machine.answered) == 1


@given(st.floats(1.2, 400), st.floats(0.3, 3))
def test_the_search_finds_the_known_rate_whatever_the_guess(ms: float, error: float) -> None:
    found = Machine(ms).search(error * 1000 / ms)
    assert found.low is not None
    assert found.high is not None
    assert found.why_open == ""
    assert found.low < found.high <= found.low * (1 + RESOLUTION)
    # A trial of 120 frames may drop one, and one more waits in the mailbox when it ends.
    assert found.low == pytest.approx(1000 / ms, rel=0.03)


def test_the_search_that_meets_no_end_says_so() -> None:
    fast = Machine(0.01).search(1e5)
    assert (fast.low, fast.high) == (MAX_HZ, None)
    assert fast.why_open == "1000 Hz is the end of the rates that are tried"
    slow = Machine(5000).search(0.2)
    assert (slow.low, slow.high) == (None, 1)
    late = Machine(100).search(10, budget_s=5)
    assert (late.low, late.high, late.trials) == (None, None, ())
    assert late.why_open == "5 s were over: 120 frames at 9.5 Hz take 12.6 s"


def test_one_hiccup_does_not_end_a_rate() -> None:
    hiccups = iter([True])
    machine = Machine(lambda number: 60 if number == 50 and next(hiccups, False) else 5)
    found = machine.search(200)
    assert found.low == pytest.approx(200, rel=0.03)
    assert not found.trials[0].keeps_up


def rates(**changes: object) -> dict[str, object]:
    return {"rate": {"hz": 200.0, "n_frames": 400, "n_dropped": 2, "slept_s": 0.1} | changes}


def test_rounds_of_a_rate_are_pooled_with_an_interval() -> None:
    summary = fixed_rate([rates(), rates(n_dropped=6)], np.linspace(5e6, 7e6, 792).astype(np.int64))
    assert summary.drop_share == 0.01
    # Clopper and Pearson's interval of 8 in 800, by quantiles of the beta distribution.
    expected = stats.beta.ppf(0.025, 8, 793), stats.beta.ppf(0.975, 9, 792)
    assert (summary.drop_low, summary.drop_high) == pytest.approx(expected, abs=1e-6)
    assert summary.age_p50 == pytest.approx(6, abs=0.01)
    assert summary.age_p99 == pytest.approx(6.98, abs=0.01)
    assert summary.age_p99_low is not None
    assert summary.age_p99_low < summary.age_p99
    assert not summary.is_searched
    few = fixed_rate([rates()], np.full(398, 5_000_000))
    assert few.age_p99 is None


def test_a_round_without_an_end_leaves_the_range_of_all_open() -> None:
    ages = np.full(100, 5_000_000)
    closed = rates(low=196.0, high=199.0, why_open="", trials=[{}] * 6)
    both = fixed_rate([closed, rates(low=198.0, high=201.0, why_open="", trials=[{}] * 5)], ages)
    assert (both.highest_low, both.highest_high, both.is_closed, both.n_trials) == (196, 201, True, 11)
    half = fixed_rate([closed, rates(low=None, high=180.0, why_open="…", trials=[{}])], ages)
    assert (half.highest_low, half.highest_high, half.is_closed) == (None, 199, False)
