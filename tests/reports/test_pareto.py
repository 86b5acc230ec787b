"""The Pareto front against known answers and against its definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ferbench.reports.pareto import pareto_front

POINTS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda p: (float(p[0]), float(p[1]))), max_size=12
)


def test_front_of_a_known_table() -> None:
    table = [(2.6, 0.612), (0.24, 0.611), (11.9, 0.62), (3.3, 0.43), (0.2, 0.48), (17.0, 0.62)]
    assert pareto_front(table) == [4, 1, 0, 2]


def test_equal_points_are_all_on_the_front() -> None:
    assert pareto_front([(1.0, 0.5), (1.0, 0.5), (2.0, 0.5)]) == [0, 1]


def test_zero_latency_beats_a_slower_equal() -> None:
    assert pareto_front([(0.1, 0.5), (0.0, 0.5)]) == [1]


@given(POINTS)
def test_front_is_exactly_what_nothing_dominates(points: list[tuple[float, float]]) -> None:
    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    unbeaten = {i for i, b in enumerate(points) if not any(beats(a, b) for a in points)}
    assert set(pareto_front(points)) == unbeaten
