"""Labels in the scatter never cover a marker or each other."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from ferbench.benchmarks.records import Summary
from ferbench.reports.context import build_context
from ferbench.reports.figures import scatter_svg
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


def test_a_name_keeps_off_the_interval_of_its_own_latency(summary: Summary) -> None:
    (row,) = [one for one in summary.rows if one.row == "pca-svm" and one.dataset == "fer2013"]
    total = row.latency[0].stages["total"]

    def height_of_name(factor: float) -> float:
        wide = total.model_copy(update={"p50_low": total.p50 / factor, "p50_high": total.p50 * factor})
        latency = row.latency[0].model_copy(update={"stages": {**row.latency[0].stages, "total": wide}})
        one = row.model_copy(update={"latency": [latency]})
        svg = scatter_svg(build_context(summary.model_copy(update={"rows": [one]})).datasets[0])
        texts = {t.text: t for t in ET.fromstring(svg).iter() if t.tag.endswith("text")}
        return float(texts["pca-svm"].get("y")) - float(texts["1"].get("y"))

    assert abs(height_of_name(1.0)) < 8
    assert abs(height_of_name(1.4)) > 8


def test_without_room_a_label_is_left_out() -> None:
    assert place_labels([(50.0, 50.0)], [(900.0, 13.0)], bounds=BOUNDS) == [None]
