"""Labels in the scatter never cover a marker or each other."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from ferbench.reports.placement import place_labels

BOUNDS = (0.0, 0.0, 800.0, 400.0)
POINTS = st.lists(st.tuples(st.floats(20, 780), st.floats(20, 380)), min_size=1, max_size=14)


def boxes(places: list[tuple[float, float, str] | None], width: float, height: float) -> list[tuple[float, ...]]:
    shift = {"left": 0.0, "right": -width, "center": -width / 2}
    return [(p[0] + shift[p[2]], p[1] - height / 2, p[0] + shift[p[2]] + width, p[1] + height / 2) for p in places if p]


def cover(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    slack = 1e-6
    return min(a[2], b[2]) - max(a[0], b[0]) > slack and min(a[3], b[3]) - max(a[1], b[1]) > slack


@given(POINTS)
def test_no_label_covers_a_label_or_leaves_the_plot(points: list[tuple[float, float]]) -> None:
    placed = boxes(place_labels(points, [(90.0, 13.0)] * len(points), bounds=BOUNDS), 90.0, 13.0)
    assert not any(cover(a, b) for a, b in combinations(placed, 2))
    assert all(box[0] >= 0 and box[2] <= 800 and box[1] >= 0 and box[3] <= 400 for box in placed)


def test_a_lone_point_is_labelled_on_its_right() -> None:
    (place,) = place_labels([(400.0, 200.0)], [(90.0, 13.0)], bounds=BOUNDS)
    assert place is not None
    assert place[0] > 400
    assert place[2] == "left"


def test_a_line_to_the_right_moves_the_label() -> None:
    front = (405.0, 198.0, 800.0, 202.0)
    (place,) = place_labels([(400.0, 200.0)], [(90.0, 13.0)], obstacles=[front], bounds=BOUNDS)
    assert place is not None
    assert place[2] == "right"


def test_without_room_a_label_is_left_out() -> None:
    assert place_labels([(50.0, 50.0)], [(900.0, 13.0)], bounds=BOUNDS) == [None]
