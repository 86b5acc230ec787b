"""Grids in a plan: candidates, rungs, counted fits, what cells depend on, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from ferbench.benchmarks.estimate import describe_plan, estimate_cell
from ferbench.benchmarks.facts import DatasetFacts, SplitFacts
from ferbench.benchmarks.grid import candidates, count_fits, rungs, search_work
from ferbench.benchmarks.plan import Plan, expand, needed_splits
from ferbench.benchmarks.pretrained import SavedPipeline, check_saved
from ferbench.benchmarks.suite_file import parse_suite
from ferbench.errors import InvalidSuiteError
from ferbench.pipelines.spec import parse_pipeline_id

TEXT = """\
schema: 1
name: tuned
seed: 7
datasets:
  - {name: fer2013, train: train, tune: val, test: test}
pipelines:
  - id: texture
    features: lbp(grid=7)
    classifier: rbf-svm
    grid: {C: [1, 10, 100], gamma: [0.5, scale]}
  - {id: plain, features: lbp(grid=7), classifier: rbf-svm}
scenarios: []
profiles:
  full: {}
  quick: {train_limit: 1000, test_limit: 200}
"""


def facts(spec: str = "fer2013") -> DatasetFacts:
    sizes = {"train": 28544, "val": 3579, "test": 3574, "all": 35697}
    return DatasetFacts(
        spec=spec, title=spec, kind="crops", is_synthetic=False, revision="r1", licence="", labels=["happy", "sad"],
        splits={name: SplitFacts(n=n, n_subjects=118, class_counts={}) for name, n in sizes.items()},
    )  # fmt: skip


def plan(text: str = TEXT, profile: str | None = "full") -> Plan:
    suite = parse_suite(text)
    return expand(suite, profile, {d.name: facts(d.name) for d in suite.datasets}, machine="m1")


def fit(text: str = TEXT, row: str = "texture", profile: str | None = "full"):
    return next(cell for cell in plan(text, profile).of_kind("fit") if cell.row == row)


def test_candidates_are_every_combination_in_the_order_of_the_suite() -> None:
    got = candidates("rbf-svm(balanced=True)", {"C": [1, 10], "gamma": [0.5, "scale"]})
    assert [str(one) for one in got] == [
        "rbf-svm(C=1, balanced=True, gamma=0.5)",
        "rbf-svm(C=1, balanced=True, gamma=scale)",
        "rbf-svm(C=10, balanced=True, gamma=0.5)",
        "rbf-svm(C=10, balanced=True, gamma=scale)",
    ]


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, [(1, 1)]),
        (3, [(3, 1)]),
        (4, [(4, 1 / 3), (2, 1)]),
        (9, [(9, 1 / 3), (3, 1)]),
        (12, [(12, 1 / 9), (4, 1 / 3), (2, 1)]),
    ],
)
def test_halving_keeps_a_third_and_ends_with_all_faces(n: int, expected: list[tuple[int, float]]) -> None:
    assert [(rung.n_candidates, rung.share) for rung in rungs(n, "halving")] == [
        (count, pytest.approx(share)) for count, share in expected
    ]
    assert [(rung.n_candidates, rung.share) for rung in rungs(n, "full")] == [(n, 1)]


@pytest.mark.parametrize(
    ("search", "n_fits", "work"),
    [
        ("{}", 6 * 5, 6 * 5 * 0.8),
        ("{folds: 3}", 6 * 3, 6 * 3 * 2 / 3),
        ("{folds: 3, method: halving}", 6 * 3 + 2 * 3, (6 / 3 + 2) * 3 * 2 / 3),
        ("{by: tune}", 6, 6),
    ],
)
def test_fits_of_a_search_are_counted(search: str, n_fits: int, work: float) -> None:
    cell = fit(TEXT.replace("scale]}", f"scale]}}\n    search: {search}"))
    assert count_fits(cell) == 1 + n_fits
    assert search_work(cell)[0] == pytest.approx(work)
    assert count_fits(fit(row="plain")) == 1
    assert search_work(fit(row="plain")) == (0, 0)


def test_the_plan_says_what_is_tried_and_its_time_grows_with_it() -> None:
    made = plan()
    text = describe_plan(made, made.cells, set(), jobs=1)
    assert "tuned: 6 settings of C, gamma on 5 folds: 30 fits" in text
    assert "32 fits in all, 30 of them to choose settings" in text
    tuned, plain = (estimate_cell(fit(row=name), made) for name in ("texture", "plain"))
    assert 15 < tuned / plain < 60
    assert "settings" not in describe_plan(made, [c for c in made.cells if c.row == "plain"], set(), jobs=1)


def test_cells_depend_on_the_grid_and_on_how_it_is_searched() -> None:
    variants = [
        TEXT,
        TEXT.replace("[1, 10, 100]", "[1, 10]"),
        TEXT.replace("[1, 10, 100]", "[10, 1, 100]"),  # of equals the first is chosen
        TEXT.replace("scale]}", "scale]}\n    search: {folds: 3}"),
        TEXT.replace("scale]}", "scale]}\n    search: {method: halving}"),
        TEXT.replace("scale]}", "scale]}\n    search: {by: tune}"),
        TEXT.replace("scale]}", "scale]}\n    search: {metric: macro_f1}"),
    ]
    assert len({fit(text).id for text in variants}) == len(variants)
    assert len({plan(text).digest for text in variants}) == len(variants)
    scored = {cell.id for text in variants for cell in plan(text).of_kind("quality") if cell.row == "texture"}
    assert len(scored) == len(variants)
    assert len({fit(text, "plain").id for text in variants}) == 1
    assert fit().id == fit(TEXT.replace("scale]}", "scale]}\n    search: {folds: 5}")).id  # what is the default anyway


def test_a_suite_without_a_grid_is_the_run_that_it_was_before_there_were_grids() -> None:
    text = "\n".join(line for line in TEXT.splitlines() if "grid: {" not in line)
    made = plan(text.replace("rbf-svm\n", "linear-svm\n"))
    assert made.of_kind("fit")[0].options == {}
    assert made.digest == "adf525b9"


def test_the_tuned_row_and_the_plain_one_are_two_rows_and_equal_grids_one() -> None:
    assert {cell.row for cell in plan().of_kind("quality")} == {"texture", "plain"}
    grid = "grid: {C: [1, 10, 100], gamma: [0.5, scale]}"
    again = TEXT.replace("lbp(grid=7), classifier: rbf-svm}", f"lbp(grid=7), classifier: rbf-svm, {grid}}}")
    with pytest.raises(InvalidSuiteError, match="'texture' and 'plain' are the same"):
        plan(again)


def test_a_profile_takes_a_smaller_grid_or_none() -> None:
    smaller = TEXT.replace("scale]}", "scale]}\n    profiles: {quick: {grid: {C: [1]}}}")
    assert fit(smaller, profile="quick").options["grid"] == {"C": [1]}
    assert fit(smaller).options["grid"]["C"] == [1, 10, 100]
    none = TEXT.replace("scale]}", "scale]}\n    limit: 50\n    profiles: {quick: {grid: {}}}")
    assert fit(none, profile="quick").options == {}


def test_a_tune_split_is_read_only_where_something_is_tuned_on_it() -> None:
    for text, expected in (
        (TEXT, ("train", "test")),
        (TEXT.replace("scale]}", "scale]}\n    search: {by: tune}"), ("train", "val", "test")),
    ):
        suite = parse_suite(text)
        assert needed_splits(suite, suite.datasets[0]) == expected
    cell = fit(TEXT.replace("scale]}", "scale]}\n    search: {by: tune}"), profile="quick")
    assert cell.options["search"]["split"] == "val"
    assert cell.options["search"]["limit"] == 200


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("tune: val, ", "", "no tune split; name one"),
        (
            "train: train, tune: val, test: test",
            "protocol: subject-kfold, folds: 3",
            "folds, of which none is set aside",
        ),
    ],
)
def test_a_tune_split_that_is_not_there_is_refused(old: str, new: str, says: str) -> None:
    text = TEXT.replace("scale]}", "scale]}\n    search: {by: tune}").replace(old, new)
    with pytest.raises(InvalidSuiteError, match=says) as refused:
        plan(text)
    assert "line 7" in str(refused.value)


def test_a_parameter_that_is_set_twice_is_refused() -> None:
    with pytest.raises(InvalidSuiteError, match="line 7: 'C' is set in the classifier and in the grid"):
        plan(TEXT.replace("classifier: rbf-svm\n", "classifier: rbf-svm(C=5)\n"))


def test_a_saved_pipeline_is_not_scored_on_the_split_that_its_settings_were_chosen_on() -> None:
    learnt: dict[str, Any] = {"dataset": "fer2013", "split": "train", "revision": "r1"}
    learnt["tuned_on"] = learnt | {"split": "val"}
    parts = parse_pipeline_id("hog/linear-svm")
    saved = SavedPipeline("mine", Path(), parts, ("happy", "sad"), learnt, (), "")
    check_saved(saved, facts(), "test", "my.yaml, line 3")
    with pytest.raises(InvalidSuiteError, match="line 3: mine would be scored on faces that its settings"):
        check_saved(saved, facts(), "val", "my.yaml, line 3")
