"""Numbers as they are printed."""

from __future__ import annotations

import pytest

from ferbench.benchmarks.records import Estimate
from ferbench.reports.formatting import (
    bytes_text,
    count,
    date_text,
    decimals_for,
    interval,
    listing,
    milliseconds,
    number,
    p_value,
    percent,
    points,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.042, "0.042"), (2.614, "2.61"), (84.26, "84.3"), (1204.4, "1,204"), (0.0, "0.00"), (None, "–")],
)
def test_milliseconds_have_about_three_digits(value: float | None, text: str) -> None:
    assert milliseconds(value) == text


def test_missing_and_infinite_values_are_a_dash() -> None:
    assert [number(None), percent(float("nan")), number(float("inf")), count(None), points(None)] == ["–"] * 5


def test_shares_are_percent_and_differences_are_signed() -> None:
    assert percent(0.61249) == "61.2"
    assert [points(0.051), points(-0.051), points(0.0001), points(-0.0001)] == ["+5.1", "−5.1", "0.0", "0.0"]


def test_an_interval_needs_both_ends() -> None:
    assert interval(Estimate(value=0.6, low=0.584, high=0.616)) == "58.4–61.6"
    assert not interval(Estimate(value=0.6))
    assert not interval(None)


def test_a_column_has_the_decimals_of_its_largest_value() -> None:
    assert [decimals_for(column) for column in ([0.2, 0.05], [0.2, 17.0], [3.0, 240.0], [None], [])] == [3, 2, 1, 3, 3]


def test_sizes_never_show_a_thousand_of_the_smaller_unit() -> None:
    assert [bytes_text(n) for n in (12, 1_911, 999_600, 143_201_776)] == ["12 B", "2 kB", "1.0 MB", "143.2 MB"]


def test_small_p_values_are_bounded() -> None:
    assert [p_value(1e-9), p_value(0.0312)] == ["< 0.001", "0.031"]


def test_dates_are_utc_and_other_text_stays() -> None:
    assert date_text("2026-11-21T04:12:00+01:00") == "21 November 2026, 03:12 UTC"
    assert date_text("2026-11-21T03:12:00Z") == "21 November 2026, 03:12 UTC"
    assert date_text("yesterday") == "yesterday"


def test_listing() -> None:
    assert [listing([]), listing("a"), listing("abc")] == ["", "a", "a, b and c"]
