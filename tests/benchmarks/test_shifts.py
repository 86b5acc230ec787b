"""Suites that ask for spoilt faces and for other data sets: what they say, the cells they make, and a whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferbench.benchmarks.estimate import describe_plan, estimate_wall
from ferbench.benchmarks.facts import DatasetFacts, SplitFacts
from ferbench.benchmarks.plan import Plan, expand
from ferbench.benchmarks.pretrained import SavedPipeline
from ferbench.benchmarks.runner import Outcome, RunOptions, make_plan, open_run, run_plan
from ferbench.benchmarks.suite_file import bundled_suites, parse_suite, read_suite
from ferbench.cli.shifts import shifts_text
from ferbench.errors import InvalidSuiteError
from ferbench.pipelines.spec import parse_pipeline_id
from ferbench.reports import build_report

TEXT = """\
schema: 1
name: shifted
seed: 7
datasets:
  - {name: fer2013, train: train, test: val}
  - {name: ferplus, train: train, test: val}
  - {name: ckplus, protocol: subject-kfold, folds: 3}
pipelines:
  - {id: lbp, features: lbp(grid=7), classifier: linear-svm}
scenarios: []
"""
CROSS = "cross: {contempt: drop, missing: drop}\n"
SPOILT = "corruptions: {names: [jpeg, noise], severities: [5, 1]}\n"
FER7 = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
LABELS = {"fer2013": FER7, "ferplus": [*FER7, "contempt"], "ckplus": [*FER7[:6], "contempt"]}


def facts(spec: str) -> DatasetFacts:
    sizes = {
        name: SplitFacts(n=n, n_subjects=90, class_counts={}) for name, n in (("train", 900), ("val", 90), ("all", 981))
    }
    return DatasetFacts(
        spec=spec, title=spec, kind="crops", is_synthetic=False, revision=f"of-{spec}", licence="", labels=LABELS[spec],
        splits=sizes,
    )  # fmt: skip


def plan(text: str, saved: dict[str, SavedPipeline] | None = None) -> Plan:
    suite = parse_suite(text)
    return expand(suite, None, {d.name: facts(d.name) for d in suite.datasets}, machine="m", saved=saved)


def trained(split: str, **more: object) -> dict[str, SavedPipeline]:
    parts = parse_pipeline_id("whole-image/lbp/linear-svm@sklearn")
    record = {"dataset": "fer2013", "split": split, "revision": "of-fer2013", **more}
    return {"ready": SavedPipeline("ready", Path(), parts, tuple(FER7), record, ("x",), "c0")}


def test_spoilt_faces_are_cells_of_each_row_one_for_each_corruption() -> None:
    expanded = plan(TEXT + SPOILT)
    cells = expanded.of_kind("robustness")
    # Two corruptions, on two data sets and in three folds of the third.
    assert len(cells) == 2 * (2 + 3)
    assert {cell.options["corruption"] for cell in cells} == {"noise", "jpeg"}
    assert {tuple(cell.options["severities"]) for cell in cells} == {(1, 5)}
    fits = {cell.id for cell in expanded.of_kind("fit")}
    assert {cell.options["fit"] for cell in cells} == fits
    # Clean cells are the ones that they are without corruptions.
    assert {c.id for c in expanded.of_kind("quality")} == {c.id for c in plan(TEXT).of_kind("quality")}
    text = describe_plan(expanded, expanded.cells, set(), 1)
    assert "lbp  5 quality, 10 robustness, 0 latency" in text
    assert "20 cells (5 fit, 5 quality, 10 robustness, 0 latency)" in text
    assert estimate_wall(expanded.cells, expanded, 1) > estimate_wall(plan(TEXT).cells, expanded, 1)


def test_every_pipeline_goes_to_every_other_data_set() -> None:
    expanded = plan(TEXT + CROSS)
    cells = expanded.of_kind("cross")
    assert sorted((c.options["trained_on"], c.dataset, c.eval_split) for c in cells) == [
        ("ckplus", "fer2013", "val"),
        ("ckplus", "ferplus", "val"),
        ("fer2013", "ckplus", "all"),
        ("fer2013", "ferplus", "val"),
        ("ferplus", "ckplus", "all"),
        ("ferplus", "fer2013", "val"),
    ]
    # No fold's model has seen the whole of a folded data set: one more is fitted, to all of it.
    (whole,) = [c for c in expanded.of_kind("fit") if c.dataset == "ckplus" and c.fold is None]
    assert {c.options["fit"] for c in cells if c.options["trained_on"] == "ckplus"} == {whole.id}
    assert len(expanded.of_kind("fit")) == 2 + 3 + 1
    assert {c.id for c in expanded.only(["lbp"])} == {c.id for c in expanded.cells}
    assert "lbp  5 quality, 6 cross, 0 latency" in describe_plan(expanded, expanded.cells, set(), 1)


def test_pictures_that_were_learnt_from_are_refused_with_the_reason() -> None:
    text = TEXT.replace("{name: ferplus, train: train, test: val}", "{name: ferplus, train: null, test: all}") + CROSS
    expanded = plan(text)
    (refused,) = [one for one in expanded.refused if one.trained_on == "fer2013"]
    assert (refused.row, refused.dataset) == ("lbp", "ferplus")
    assert "fer2013 train shows what ferplus all shows" in refused.reason
    assert ("fer2013", "ferplus") not in {(c.options["trained_on"], c.dataset) for c in expanded.of_kind("cross")}
    assert "refused: lbp of fer2013 on ferplus" in describe_plan(expanded, expanded.cells, set(), 1)
    # Nothing is fitted to it, and nothing that learnt from it is scored.
    assert {c.dataset for c in expanded.of_kind("fit")} == {"fer2013", "ckplus"}


def test_pictures_that_settings_were_chosen_on_are_refused_too() -> None:
    text = TEXT.replace(
        "{name: fer2013, train: train, test: val}", "{name: fer2013, train: train, tune: test, test: val}"
    )
    text = text.replace("{name: ferplus, train: train, test: val}", "{name: ferplus, train: train, test: test}")
    text = text.replace("classifier: linear-svm", "classifier: linear-svm, grid: {C: [1, 2]}, search: {by: tune}")
    text = text.replace("  - {name: ckplus, protocol: subject-kfold, folds: 3}\n", "").replace(
        "{name: ferplus, train: train", "{name: ferplus, train: train, tune: val"
    )
    suite = parse_suite(text + CROSS)
    sizes = {name: SplitFacts(n=90, n_subjects=None, class_counts={}) for name in ("train", "val", "test")}
    known = {d.name: facts(d.name).model_copy(update={"splits": sizes}) for d in suite.datasets}
    refused = expand(suite, None, known, machine="m").refused
    assert {(one.trained_on, one.dataset) for one in refused} == {("fer2013", "ferplus"), ("ferplus", "fer2013")}
    assert any("fer2013 test shows what ferplus test shows" in one.reason for one in refused)


ALONE = TEXT.replace("{id: lbp, features: lbp(grid=7), classifier: linear-svm}", "{id: ready, saved: ready}") + CROSS


def test_a_pipeline_that_came_trained_is_a_line_of_the_matrix() -> None:
    expanded = plan(ALONE, trained("train"))
    assert {c.dataset for c in expanded.of_kind("quality")} == {"fer2013"}  # it knows all the expressions there
    assert {c.dataset: c.options["trained_on"] for c in expanded.of_kind("cross")} == {
        "ferplus": "fer2013",
        "ckplus": "fer2013",
    }
    assert expanded.refused == ()
    assert expanded.of_kind("fit") == []


CHOSEN_ON = {"dataset": "ferplus", "split": "val", "revision": "of-ferplus"}


@pytest.mark.parametrize(
    "record",
    [
        ("val", {}),
        ("train", {"tuned_on": CHOSEN_ON}),
        ("train", {"searched_on": CHOSEN_ON}),
        ("train", {"members": [{"tuned_on": CHOSEN_ON}]}),
    ],
)
def test_a_pipeline_that_came_trained_is_refused_where_it_learnt_or_was_tuned(record: tuple) -> None:
    split, more = record
    expanded = plan(ALONE, trained(split, **more))
    assert {one.dataset for one in expanded.refused} == {"fer2013", "ferplus"}
    assert {c.dataset for c in expanded.cells} == {"ckplus"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TEXT + "corruptions: {names: [noice]}\n", "line 11.*did you mean 'noise'"),
        (TEXT + "corruptions: {names: noise}\n", r"a list, or the word all: \[noise\]"),
        (TEXT + "corruptions: {severities: [1, 6]}\n", "no severity 6"),
        (TEXT + "corruptions: {severity: [1]}\n", "did you mean 'severities'"),
        (TEXT + "corruptions: {baseline: lpb}\n", "did you mean 'lbp'"),
        (TEXT + "cross: {contemt: drop}\n", "did you mean 'contempt'"),
        (
            TEXT.replace("train: train, test: val}\n  - {name: ferplus", "train: null}\n  - {name: ferplus"),
            "add 'cross:'",
        ),
        (TEXT.replace("train: train, test: val", "train: null, tune: val", 1) + CROSS, "remove 'tune'"),
        (
            TEXT + "profiles: {quick: {datasets: [{name: fer2013}, {name: fer2013}]}}\n",
            "line 11: two entries for dataset",
        ),
        (TEXT + CROSS + "profiles: {quick: {datasets: [{name: fer2013}]}}\n", "two data sets or more"),
        (TEXT + "profiles: {quick: {datasets: [{nam: fer2013}]}}\n", "did you mean 'name'"),
    ],
)
def test_what_a_suite_says_wrongly_is_said_with_its_line(text: str, says: str) -> None:
    with pytest.raises(InvalidSuiteError, match=says):
        parse_suite(text)


@pytest.mark.parametrize(
    ("block", "says"),
    [("cross: {missing: drop}", "cross: {contempt: drop}"), ("cross: {contempt: drop}", "learnt 'neutral'.*missing")],
)
def test_expressions_that_were_never_learnt_need_a_policy_before_anything_runs(block: str, says: str) -> None:
    with pytest.raises(InvalidSuiteError, match=says):
        plan(f"{TEXT}{block}\n")


def test_a_profile_may_have_data_sets_of_its_own() -> None:
    suite = parse_suite(TEXT + "profiles: {full: {}, quick: {datasets: [{name: synthetic}]}}\n")
    assert [d.name for d in suite.under("quick").datasets] == ["synthetic"]
    assert suite.under(None) is suite


@pytest.mark.parametrize("name", ["robustness", "cross-dataset"])
def test_the_bundled_suites_need_no_download_under_quick(name: str) -> None:
    suite = read_suite(bundled_suites()[name])
    assert next(iter(suite.profiles)) == "quick"
    assert {d.name.split("(")[0] for d in suite.under("quick").datasets} == {"synthetic"}
    assert "fer2013" in {d.name for d in suite.under("full").datasets}


# A whole run --------------------------------------------------------------------------------------------------------

RUN = """\
schema: 1
name: tiny
seed: 3
datasets:
  - {name: "synthetic(kind=crops, n_train=84, n_val=0, n_test=42)"}
  - {name: "synthetic(kind=crops, seed=5, n_train=42, n_val=0, n_test=0)", protocol: subject-kfold, folds: 2}
  - {name: "synthetic(kind=crops, seed=9, n_train=0, n_val=0, n_test=42)", train: null}
pipelines:
  - {id: majority, classifier: majority}
  - {id: texture, features: lbp(grid=4), classifier: logistic-regression}
scenarios: []
corruptions: {names: [low-light, contrast], severities: [1, 5], baseline: texture}
cross: {contempt: drop}
"""


def run(folder: Path) -> Outcome:
    plan = make_plan(parse_suite(RUN), None)
    options = RunOptions(runs=folder / "runs")
    return run_plan(plan, open_run(plan, options, RUN), options, "ferbench run tiny")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield run(tmp_path_factory.mktemp("run"))


def test_every_figure_comes_from_rows_that_are_stored(finished: Outcome) -> None:
    first = finished.summary.datasets[0].spec
    records = {one.row: one for one in finished.summary.robustness if one.dataset == first}
    parts = finished.run.parts().values()
    stored = {
        part.cell.options["corruption"]: finished.run.items(part.cell.id)
        for part in parts
        if part.cell.kind == "robustness" and (part.cell.row, part.cell.dataset) == ("texture", first)
    }
    assert set(stored) == {"low-light", "contrast"}
    means = []
    for name, items in stored.items():
        assert len(items) == 2 * 42
        by_severity = (items["predicted"] == items["truth"]).groupby(items["severity"]).mean()
        assert [one.value for one in records["texture"].accuracy[name]] == pytest.approx(list(by_severity))
        means.append(by_severity.mean())
    assert records["texture"].mean.value == pytest.approx(np.mean(means))
    assert records["texture"].interval_over == "subjects"
    assert records["majority"].relative.value == pytest.approx(1)
    assert records["texture"].mce.value == pytest.approx(1)


def test_spoilt_faces_are_not_what_the_clean_ones_are(finished: Outcome) -> None:
    """Features come from a cache: that of the clean faces must not answer for others."""
    tables = {
        str(part.cell.options.get("corruption")): finished.run.items(part.cell.id)
        for part in finished.run.parts().values()
        if part.cell.row == "texture" and part.cell.eval_split == "test" and part.cell.kind in ("quality", "robustness")
    }
    clean, dark = tables["None"]["p_happy"], tables["low-light"].query("severity == 5")["p_happy"]
    assert np.abs(clean.to_numpy() - dark.to_numpy()).max() > 0.01


def test_the_matrix_has_a_diagonal_and_paired_differences(finished: Outcome) -> None:
    a, b, c = (info.spec for info in finished.summary.datasets)
    cells = {(one.trained_on, one.dataset): one for one in finished.summary.transfers if one.row == "texture"}
    assert set(cells) == {(a, a), (a, b), (a, c), (b, a), (b, b), (b, c)}
    assert {key for key, one in cells.items() if one.is_diagonal} == {(a, a), (b, b)}
    assert [cells[a, b].n, cells[b, a].n] == [42, 42]
    assert cells[b, a].drop.value == pytest.approx(cells[a, a].accuracy.value - cells[b, a].accuracy.value)
    assert cells[a, c].drop is None  # nothing has learnt from the third
    (mean,) = [one for one in finished.summary.generalisation if (one.row, one.trained_on) == ("texture", a)]
    assert mean.others == pytest.approx((cells[a, b].accuracy.value + cells[a, c].accuracy.value) / 2)


def test_what_is_done_stays_done(finished: Outcome) -> None:
    folder = finished.run.folder
    assert run(folder.parent.parent).n_done == 0
    victim = next(part.cell for part in finished.run.parts().values() if part.cell.kind == "robustness")
    before = finished.run.items(victim.id)
    (folder / "parts" / f"{victim.id}.json").unlink()
    again = run(folder.parent.parent)
    assert again.n_done == 1
    assert again.summary.robustness == finished.summary.robustness
    pd.testing.assert_frame_equal(again.run.items(victim.id), before)


def test_the_report_and_the_terminal_show_both(finished: Outcome, tmp_path: Path) -> None:
    html, markdown = (path.read_text(encoding="utf-8") for path in build_report(finished.run.folder, out=tmp_path))
    assert html.count("<h2>Robustness</h2>") == html.count("<h2>Across data sets</h2>") == 1
    assert "-robustness-960" in html  # the figure, for a screen
    assert "var(--line-2)" in html
    assert "| Learnt from | synthetic(n\\_test=42, n\\_train=84) |" in markdown
    assert "mCE % | Relative mCE %" in markdown
    text = shifts_text(finished.summary)
    assert max(map(len, text.splitlines())) <= 80
    assert "  2 = synthetic(n_test=0, n_train=42, seed=5)" in text
    plain = finished.summary.model_copy(update={"robustness": [], "transfers": []})
    assert shifts_text(plain) == ""
