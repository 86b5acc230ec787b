"""The verdict says who wins, what it costs and what to choose, in plain sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ferbench.benchmarks.records import RowSummary, Summary
from ferbench.reports.context import build_context
from ferbench.reports.verdict import verdict


def sentences(summary: Summary, rows: Sequence[RowSummary], *, dataset: int = 0) -> list[str]:
    context = build_context(summary.model_copy(update={"rows": list(rows)}))
    told = verdict(context.datasets[dataset])
    return [
        "".join(p if isinstance(p, str) else p.text for p in one).replace("\N{NO-BREAK SPACE}", " ") for one in told
    ]


def by_name(summary: Summary, *names: str) -> list[RowSummary]:
    return [row for row in summary.rows if row.row in names and row.dataset == "fer2013"]


def test_a_clear_winner_is_ahead_by_points_with_an_interval_and_a_test(summary: Summary) -> None:
    first, _, third = sentences(summary, by_name(summary, "mini-xception-litert", "hog-lbp-rbf-svm", "majority"))
    assert first == (
        "On FER2013 (3,589 faces), mini-xception-litert is right most often, 60.0 % end to end (95 % interval "
        "58.4–61.6), 5.5 points ahead of hog-lbp-rbf-svm (paired test, Holm-corrected p = 0.001)."
    )
    assert third.startswith("Choose mini-xception-litert whatever the budget")


def test_a_tie_is_called_a_tie_and_the_faster_is_chosen(summary: Summary) -> None:
    rows = by_name(summary, "mini-xception-litert", "mini-xception-keras", "majority")
    slow = [
        row.model_copy(update={"latency": rows[1].latency}) if row.row.endswith("litert") else
        row.model_copy(update={"latency": rows[0].latency}) if row.row.endswith("keras") else row
        for row in rows
    ]  # fmt: skip
    first, second, third = sentences(summary, slow)
    assert "but cannot be told apart from mini-xception-keras" in first
    assert "It takes 2.71 ms a frame at the median on one CPU thread" in second
    assert third.startswith("Choose mini-xception-keras at 0.24 ms: as far as these faces can tell it is as good")


def test_below_the_winners_cost_the_front_names_the_next(summary: Summary) -> None:
    _, second, third = sentences(summary, by_name(summary, "mini-xception-keras", "hog-linear-svm", "pca-svm"))
    assert "the fastest, hog-linear-svm, takes 0.28 ms and is right 12.2 points less often" in second
    assert third == (
        "Choose mini-xception-keras wherever 2.71 ms a frame fit the budget; "
        "below that, hog-linear-svm (0.28 ms, 47.7 %)."
    )


def test_what_a_baseline_ties_with_is_no_choice_for_a_smaller_budget_either(summary: Summary) -> None:
    best, cheap, baseline = by_name(summary, "mini-xception-keras", "hog-linear-svm", "majority")
    assert "below that, hog-linear-svm" in sentences(summary, [best, cheap, baseline])[2]
    group = cheap.quality.tie_group
    tied = baseline.model_copy(update={"quality": baseline.quality.model_copy(update={"tie_group": group})})
    told = sentences(summary, [best, cheap, tied])[2]
    assert told == "Choose mini-xception-keras wherever 2.71 ms a frame fit the budget."


def test_of_equals_below_the_winners_cost_the_fastest_is_named(summary: Summary) -> None:
    rows = by_name(summary, "mini-xception-keras", "hog-linear-svm", "pca-svm")
    tied = [
        row.model_copy(update={"quality": row.quality.model_copy(update={"tie_group": 2})})
        if row.row != "mini-xception-keras" else row
        for row in rows
    ]  # fmt: skip
    quick = min((row for row in tied[1:]), key=lambda row: row.latency[0].stages["total"].p50)
    assert f"below that, {quick.row} (" in sentences(summary, tied)[2]


def test_a_baseline_is_never_recommended(summary: Summary) -> None:
    nothing = "No pipeline is shown to beat one that ignores the face, so there is nothing to choose yet."
    assert sentences(summary, by_name(summary, "majority"))[2] == nothing
    best, baseline = by_name(summary, "hog-linear-svm", "majority")
    tied = baseline.model_copy(
        update={"quality": baseline.quality.model_copy(update={"tie_group": best.quality.tie_group})}
    )
    assert sentences(summary, [best, tied])[2] == nothing
    # Where faces are missed, a row may beat the baseline of its detector and still be below the commonest class.
    accuracy = best.quality.end_to_end["accuracy"].model_copy(update={"value": 0.2})
    poor = best.quality.model_copy(update={"end_to_end": {**best.quality.end_to_end, "accuracy": accuracy}})
    assert sentences(summary, [best.model_copy(update={"quality": poor})])[2] == nothing


def test_without_a_score_the_verdict_points_to_the_reasons(make_summary: Callable[..., Summary]) -> None:
    summary = make_summary()
    (only,) = sentences(summary, [row for row in summary.rows if row.status != "ok"])
    assert only.startswith("Nothing was scored on FER2013")


def test_synthetic_faces_are_called_synthetic(summary: Summary) -> None:
    assert "(240 synthetic faces)" in sentences(summary, summary.rows, dataset=1)[0]


def test_of_equals_as_fast_as_each_other_the_one_that_is_right_most_often_is_named(summary: Summary) -> None:
    rows = by_name(summary, "mini-xception-litert", "mini-xception-keras")
    (latency,) = rows[0].latency
    total = latency.stages["total"]
    quicker = latency.model_copy(
        update={"stages": {**latency.stages, "total": total.model_copy(update={"p50": total.p50 - 0.04})}}
    )
    alike = [
        row.model_copy(update={"latency": [quicker if row.row.endswith("keras") else latency]}) for row in rows
    ]  # fmt: skip
    assert sentences(summary, alike)[2] == (
        "Choose mini-xception-litert whatever the budget: nothing that looks at the face is clearly faster."
    )
