"""Expansion: pure, ordered, and identified by what determines the outcome."""

import pytest

from ferbench.benchmarks.estimate import describe_plan, say_duration
from ferbench.benchmarks.facts import DatasetFacts, SplitFacts
from ferbench.benchmarks.plan import Plan, expand
from ferbench.benchmarks.suite_file import parse_suite
from ferbench.errors import InvalidSuiteError, ParameterError, UnknownNameError

TEXT = """\
schema: 1
name: two
seed: 7
datasets:
  - {name: fer2013, train: train, test: val}
  - {name: ckplus, protocol: subject-kfold, folds: 10}
pipelines:
  - {id: lbp, detector: haar, features: lbp(grid=7), classifier: linear-svm, limit: 500}
  - {id: net, detector: haar, classifier: mini-xception, runtimes: [keras, litert]}
  - {id: ready, preset: pca-svm}
  - {id: slow, classifier: knn, profiles: {quick: {skip: true}}}
scenarios: [single-stream, offline(batch=8)]
profiles:
  quick: {train_limit: 1000, test_limit: 200, folds: 3, rounds: 2}
  full: {}
"""


def facts(spec: str, revision: str = "r1", **splits: int) -> DatasetFacts:
    sizes = {name: SplitFacts(n=n, n_subjects=118, class_counts={}) for name, n in splits.items()}
    return DatasetFacts(
        spec=spec,
        title=spec,
        kind="crops",
        is_synthetic=False,
        revision=revision,
        licence="",
        labels=["happy", "sad"],
        splits=sizes,
    )


def plan(text: str = TEXT, profile: str | None = "quick", revision: str = "r1", machine: str = "m1") -> Plan:
    known = {"fer2013": facts("fer2013", revision, train=28544, val=3579), "ckplus": facts("ckplus", all=981)}
    suite = parse_suite(text)
    return expand(suite, profile, {d.name: known[d.name] for d in suite.datasets}, machine=machine)


def test_the_cells_of_a_suite_are_counted_and_ordered() -> None:
    expanded = plan()
    kinds = [cell.kind for cell in expanded.cells]
    # fer2013: 3 fits, 4 rows; ckplus: the same in each of 3 folds.
    assert kinds.count("fit") == 3 + 3 * 3
    assert kinds.count("quality") == 4 + 4 * 3
    # Two scenarios in two rounds for each row; of the folds only the first is timed.
    assert kinds.count("latency") == 2 * 4 * 2 * 2
    assert kinds == sorted(kinds, key=["fit", "quality", "latency"].index)
    assert len({cell.id for cell in expanded.cells}) == len(expanded.cells)


def test_crops_that_need_no_detector_and_photographs_without_one_are_noted() -> None:
    known = {"fer2013": facts("fer2013", train=90, val=30), "ckplus": facts("ckplus", all=981)}
    known["ckplus"] = known["ckplus"].model_copy(update={"kind": "photos"})
    text = describe_plan(made := expand(parse_suite(TEXT), "full", known, machine="m1"), made.cells, set(), jobs=1)
    assert "note: fer2013 holds face crops: the detector is bypassed (haar)" in text
    assert "note: ckplus holds photographs: without a detector the whole picture counts as the face of slow;" in text
    blind = TEXT.replace("{id: slow, classifier: knn", "{id: slow, classifier: majority")
    baseline = expand(parse_suite(blind), "full", known, machine="m1")
    assert "note: ckplus" not in describe_plan(baseline, baseline.cells, set(), jobs=1), "a baseline looks at no face"
    assert "note: ckplus" not in describe_plan(made, made.cells, {cell.id for cell in made.cells}, jobs=1)


def test_folds_are_counted_within_the_limit() -> None:
    counts = {"happy": 60, "sad": 40}
    everybody = SplitFacts(n=100, n_subjects=50, class_counts=counts)
    known = {"fer2013": facts("fer2013", train=90, val=30)}
    known["ckplus"] = facts("ckplus", all=100).model_copy(update={"splits": {"all": everybody}})
    suite = parse_suite(TEXT.replace("full: {}", "full: {limit: 12}"))
    with pytest.raises(InvalidSuiteError, match=r"10 subject-independent folds of ckplus .* got 8 faces of happy"):
        expand(suite, "full", known, machine="m1")


def test_runtimes_share_a_fit() -> None:
    nets = [c for c in plan().of_kind("quality") if c.row.startswith("net") and c.dataset == "fer2013"]
    assert {c.row for c in nets} == {"net@keras", "net@litert"}
    assert len({c.options["fit"] for c in nets}) == 1


def test_every_cell_after_a_fit_names_a_fit_of_the_plan() -> None:
    expanded = plan()
    fits = {cell.id for cell in expanded.of_kind("fit")}
    assert {cell.options["fit"] for cell in expanded.cells if cell.kind != "fit"} == fits


def test_limits_meet_in_the_smallest() -> None:
    fits = {c.row: c.limit for c in plan().of_kind("fit") if c.dataset == "fer2013"}
    assert fits == {"lbp": 500, "net@keras": 1000, "ready": 1000}
    assert {c.limit for c in plan(profile="full").of_kind("quality")} == {None}


def test_a_profile_changes_and_leaves_out_pipelines() -> None:
    text = TEXT.replace("skip: true", "classifier: knn(n_neighbors=3)")
    rows = {c.row: c.pipeline.classifier for c in plan(text).of_kind("quality")}
    assert rows["slow"] == "knn(n_neighbors=3)"
    assert "slow" not in {c.row for c in plan().cells}
    assert "slow" in {c.row for c in plan(profile="full").cells}


def test_ids_say_what_determines_the_outcome() -> None:
    base = plan()

    def ids(other: Plan, kind: str, dataset: str = "fer2013") -> set[str]:
        return {c.id for c in other.cells if c.kind == kind and c.dataset == dataset}

    renamed = plan(TEXT.replace("id: lbp", "id: texture"))
    assert {c.id for c in renamed.cells} == {c.id for c in base.cells}
    moved = plan(machine="m2")
    assert ids(moved, "quality") == ids(base, "quality")
    assert not ids(moved, "latency") & ids(base, "latency")
    for changed in (plan(revision="r2"), plan(TEXT.replace("seed: 7", "seed: 8"))):
        for kind in ("fit", "quality", "latency"):
            assert not ids(changed, kind) & ids(base, kind)
    # A change of the training set alone changes what is scored with it.
    assert not ids(plan(TEXT.replace("train_limit: 1000", "train_limit: 400")), "quality") & ids(base, "quality")


def test_a_run_is_known_by_suite_profile_data_and_machine() -> None:
    digests = {p.digest for p in (plan(), plan(profile="full"), plan(revision="r2"), plan(machine="m2"))}
    assert len(digests) == 4
    assert plan().digest == plan("# a comment changes nothing\n" + TEXT).digest


def test_only_keeps_the_fits_that_rows_need() -> None:
    expanded = plan()
    cells = expanded.only(["net@litert"], latency=False)
    assert {c.kind for c in cells} == {"fit", "quality"}
    assert {c.row for c in cells if c.kind == "quality"} == {"net@litert"}
    assert len([c for c in cells if c.kind == "fit" and c.dataset == "fer2013"]) == 1
    assert {c.row for c in expanded.only(["net"]) if c.kind == "quality"} == {"net@keras", "net@litert"}
    with pytest.raises(UnknownNameError, match="did you mean 'lbp'"):
        expanded.only(["lpb"])


@pytest.mark.parametrize(
    ("old", "new", "error", "says"),
    [
        ("id: ready, preset: pca-svm", "id: ready, preset: pca-swm", UnknownNameError, "did you mean 'pca-svm'"),
        ("limit: 500}", "limit: 500, published: haar-lent}", UnknownNameError, "did you mean 'haar-lenet'"),
        ("limit: 500}", "limit: 500, published: haar-lenet}", InvalidSuiteError, "a preset without published figures"),
        ("runtimes: [keras, litert]", "runtimes: [sklearn]", ParameterError, "cannot run mini-xception"),
        ("classifier: mini-xception,", "features: hog, classifier: mini-xception,", ParameterError, "takes crops"),
        ("folds: 3", "folds: 119", InvalidSuiteError, "118 subjects"),
        (
            "id: ready, preset: pca-svm",
            "id: again, detector: haar, features: lbp(grid=7), classifier: linear-svm, limit: 500",
            InvalidSuiteError,
            "same pipeline",
        ),
    ],
)
def test_what_cannot_be_expanded_is_refused(old: str, new: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        plan(TEXT.replace(old, new))


def test_published_figures_are_those_of_the_preset_or_of_the_one_that_is_named() -> None:
    text = TEXT.replace("preset: pca-svm", "preset: haar-krishna-cnn")
    text = text.replace("mini-xception,", "mini-xception, published: haar-mini-xception,")
    published = plan(text).published
    assert {row: one.preset for row, one in published.items()} == {
        "net@keras": "haar-mini-xception",
        "net@litert": "haar-mini-xception",
        "ready": "haar-krishna-cnn",
    }
    figures = published["ready"].figures
    assert (figures.accuracy, figures.macro_f1) == (0.627, None)
    changed = text.replace("preset: haar-krishna-cnn", "preset: haar-krishna-cnn, profiles: {quick: {classifier: knn}}")
    assert "ready" not in plan(changed).published
    assert "ready" in plan(changed, "full").published


def test_the_plan_in_words_has_counts_a_time_and_the_bypass() -> None:
    expanded = plan()
    done = {expanded.cells[0].id}
    text = describe_plan(expanded, expanded.cells, done, jobs=2)
    assert f"{len(expanded.cells)} cells (12 fit, 16 quality, 32 latency); 1 done already" in text
    assert "detector bypassed" in text
    assert "with 2 jobs" in text


def test_durations_as_people_say_them() -> None:
    assert [say_duration(s) for s in (0.2, 60, 600, 2 * 3600)] == ["1 s", "60 s", "10 min", "2 h 0 min"]
