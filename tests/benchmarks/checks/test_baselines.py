"""FB001, FB002, FB003 and FB015: what a row is worth."""

from __future__ import annotations

import pytest

from tests.benchmarks.checks.made_up import latency, look, majority, pair, row, summary


def test_fb001_finds_a_data_set_without_a_baseline() -> None:
    result = look("FB001", summary(row("hog")))
    assert result.status == "found"
    assert result.findings[0].dataset == "faces"
    assert "60.0\N{NO-BREAK SPACE}%" in result.findings[0].text  # 60 of 100 faces are happy


def test_fb001_is_content_with_one_and_has_nothing_to_say_of_an_empty_run() -> None:
    assert look("FB001", summary(row("hog"), majority())).status == "passed"
    assert look("FB001", summary()).status == "not-applicable"


@pytest.mark.parametrize("verdict", ["tie", "worse"])
def test_fb002_finds_a_row_that_does_not_beat_the_baseline_of_its_run(verdict: str) -> None:
    result = look("FB002", summary(majority(), row("hog", 0.62), comparisons=[pair("hog", "majority", verdict)]))
    assert result.findings[0].rows == ["hog"]
    assert (
        look("FB002", summary(majority(), row("hog"), comparisons=[pair("hog", "majority", "better")])).findings == []
    )


def test_fb002_does_not_take_a_baseline_that_misses_faces_for_the_bar() -> None:
    poor = row("majority", 0.2, "baseline")
    result = look("FB002", summary(poor, row("hog", 0.55), comparisons=[pair("hog", "majority", "better")]))
    assert result.findings[0].rows == ["hog"]  # 60 of 100 faces are happy
    assert look("FB002", summary(poor, row("hog", 0.7), comparisons=[pair("hog", "majority", "better")])).findings == []


def test_fb002_takes_the_pair_whichever_way_round_it_was_stored() -> None:
    assert look("FB002", summary(majority(), row("hog"), comparisons=[pair("majority", "hog", "worse")])).findings == []


def test_fb002_without_a_baseline_asks_whether_the_interval_clears_the_commonest_class() -> None:
    assert look("FB002", summary(row("weak", 0.64), row("good", 0.7))).findings[0].rows == ["weak"]  # 0.64 - 0.05 < 0.6
    assert look("FB002", summary(majority())).status == "not-applicable"


def two(p50: float, verdict: str, **more) -> tuple:
    rows = [row("deep", 0.81, "deep", latency=[latency(p50)], **more), row("hog", 0.8, latency=[latency(1.0)])]
    return look("FB003", summary(*rows, comparisons=[pair("deep", "hog", verdict)]))


def test_fb003_finds_what_costs_more_and_shows_nothing_for_it() -> None:
    result = two(3.0, "tie")
    assert result.findings[0].rows == ["deep"]
    assert "3.00\N{NO-BREAK SPACE}ms" in result.findings[0].text


def test_fb003_allows_what_is_better_or_as_fast() -> None:
    assert two(3.0, "better").status == "passed"
    assert two(1.02, "tie").status == "passed"  # 2 % is no difference
    assert two(0.5, "tie").status == "passed"


def test_fb003_does_not_set_two_runtimes_of_one_model_against_each_other() -> None:
    rows = [
        row("net@keras", family="deep", classifier="net", runtime="keras", latency=[latency(9.0)]),
        row("net@litert", family="deep", classifier="net", runtime="litert", latency=[latency(1.0, artefact_bytes=9)]),
    ]
    made = summary(*rows, comparisons=[pair("net@keras", "net@litert", "tie", 0.0)])
    assert look("FB003", made).status == "passed"


def test_fb003_compares_times_of_one_condition_only() -> None:
    rows = [row("deep", family="deep", latency=[latency(9.0, threads=2)]), row("hog", latency=[latency(1.0)])]
    assert look("FB003", summary(*rows, comparisons=[pair("deep", "hog", "tie")])).status == "passed"
    assert look("FB003", summary(row("hog"))).status == "not-applicable"


def test_fb015_counts_neighbours_that_cannot_be_told_apart() -> None:
    rows = [row("a", 0.82), row("b", 0.80), row("c", 0.70, scored={"tie_group": 2})]
    pairs = [pair("a", "b", "tie", 0.02), pair("b", "c", "better"), pair("a", "c", "better")]
    finding = look("FB015", summary(*rows, comparisons=pairs)).findings[0]
    assert "1 of 2 neighbours" in finding.text
    assert "2.0\N{NO-BREAK SPACE}points" in finding.text
    assert "shared by a and b" in finding.text
    assert finding.rows == ["a", "b"]


@pytest.mark.parametrize(("people", "says"), [(5, True), (6, True), (7, False)])
def test_fb015_says_where_people_are_too_few_for_any_difference(people: int, says: bool) -> None:
    # Of three pairs the smallest p counts threefold: 3 · 2 / 2⁶ is above 5 %, 3 · 2 / 2⁷ is not.
    rows = [row(name, 0.8, scored={"interval_over": "subjects"}) for name in "abc"]
    made = summary(*rows, comparisons=[pair(*two, "tie") for two in ("ab", "ac", "bc")])
    made = made.model_copy(update={"datasets": [made.datasets[0].model_copy(update={"n_subjects": people})]})
    text = look("FB015", made).findings[0].text
    assert (f"{people} people are too few for 3 comparisons" in text) == says


def test_fb015_passes_where_every_neighbour_differs() -> None:
    made = summary(row("a", 0.9), row("b", 0.7), comparisons=[pair("a", "b", "better")])
    assert look("FB015", made).status == "passed"
    assert look("FB015", summary(row("a"))).status == "not-applicable"
