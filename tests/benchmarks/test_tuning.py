"""Searches for settings: scores known from scikit-learn, training faces only, resumed fit by fit, and reported."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from ferbench.benchmarks import tuning, views
from ferbench.benchmarks.cells import Cell
from ferbench.benchmarks.runner import Outcome, RunOptions, make_plan, open_run, run_plan
from ferbench.benchmarks.searches import SearchSummary
from ferbench.benchmarks.suite_file import parse_suite
from ferbench.benchmarks.tuning import METRICS, find_settings, score
from ferbench.datasets import load_dataset, subject_folds
from ferbench.errors import InvalidSuiteError
from ferbench.features.pca import PCAFeatures
from ferbench.pipelines import load_pipeline, make_pipeline

DATA = "synthetic(kind=crops, n_train=126, n_val=42, n_test=42)"
SUITE = f"""\
schema: 1
name: tuned
seed: 3
datasets:
  - {{name: "{DATA}", tune: val}}
pipelines:
  - id: near
    features: pixels
    classifier: knn(calibrate=False)
    grid: {{n_neighbors: [1, 7], weights: [uniform, distance]}}
    search: {{folds: 3}}
  - {{id: plain, features: pixels, classifier: knn(calibrate=False)}}
scenarios: []
"""
EIGEN = """\
    features: pca(n_components=8)
    classifier: lda(calibrate=False)
    grid: {shrinkage: [auto, 0.1, 0.5, 0.9]}
"""
NEAR = SUITE[SUITE.index("    features: pixels") : SUITE.index("    search:")]


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def fit_cell(text: str = SUITE) -> Cell:
    return make_plan(parse_suite(text), None).of_kind("fit")[0]


def search(path: Path, text: str = SUITE) -> SearchSummary:
    cell = fit_cell(text)
    return find_settings(cell, make_pipeline(cell.pipeline.id), path / "search.json")


def run(folder: Path, text: str = SUITE) -> Outcome:
    plan = make_plan(parse_suite(text), None)
    options = RunOptions(runs=folder / "runs")
    return run_plan(plan, open_run(plan, options, text), options, "ferbench run tuned")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, _own_cache: None) -> Outcome:
    return run(tmp_path_factory.mktemp("finished"))


def means(found: SearchSummary) -> dict[str, float]:
    return {str(sorted(one.parameters.items())): one.mean for one in found.candidates}


def known_means(grid: GridSearchCV) -> dict[str, float]:
    return {
        str(sorted((name.removeprefix("classifier__"), value) for name, value in parameters.items())): mean
        for parameters, mean in zip(grid.cv_results_["params"], grid.cv_results_["mean_test_score"], strict=True)
    }


def test_a_grid_of_a_network_gives_each_candidate_crops_of_the_training_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = SUITE.index("    features: pixels")
    end = SUITE.index("    search:")
    text = SUITE[:start] + "    classifier: lenet(epochs=1)\n    grid: {dropout: [0.0, 0.2]}\n" + SUITE[end:]
    seen = []

    class Majority:
        def __init__(self, spec: str) -> None:
            self.spec = spec

        def fit(self, crops: np.ndarray, labels: np.ndarray) -> "Majority":
            seen.append((self.spec, crops.shape, crops.dtype))
            self.classes_ = np.unique(labels)
            return self

        def predict_proba(self, crops: np.ndarray) -> np.ndarray:
            return np.eye(len(self.classes_))[np.zeros(len(crops), int)]

    monkeypatch.setattr(tuning, "create", lambda group, spec: Majority(str(spec)))
    found = search(tmp_path, text)
    specs = [f"lenet(dropout={dropout}, epochs=1)" for dropout in (0.0, 0.2)]
    assert seen == [(spec, (84, 48, 48), np.uint8) for spec in specs * 3]
    assert found.parameters == {"dropout": 0.0}
    assert found.n_fits == 6


def test_scores_are_those_of_scikit_learns_grid_search(tmp_path: Path) -> None:
    samples = load_dataset(DATA, "train")
    rows = np.asarray(samples.images).reshape(len(samples), -1) / np.float32(255)
    grid = {"n_neighbors": [1, 7], "weights": ["uniform", "distance"]}
    known = GridSearchCV(KNeighborsClassifier(algorithm="brute"), grid, cv=subject_folds(samples, 3, 3))
    known.fit(rows, samples.labels)
    found = search(tmp_path)
    assert means(found) == pytest.approx(known_means(known))
    assert found.best.mean == pytest.approx(known.best_score_)
    assert found.parameters == known.best_params_
    spread = known.cv_results_["std_test_score"][known.best_index_]
    assert found.best.spread == pytest.approx(spread * (3 / 2) ** 0.5)  # scikit-learn divides by n
    assert (found.n_fits, found.n_faces) == (12, 126)


def test_features_that_learn_are_learnt_from_the_training_part_of_each_fold(tmp_path: Path) -> None:
    samples = load_dataset(DATA, "train")
    chain = Pipeline(
        [("features", PCAFeatures(n_components=8)), ("classifier", LinearDiscriminantAnalysis(solver="lsqr"))]
    )
    grid = {"classifier__shrinkage": ["auto", 0.1, 0.5, 0.9]}
    known = GridSearchCV(chain, grid, cv=subject_folds(samples, 3, 3), scoring="f1_macro")
    known.fit(np.asarray(samples.images), samples.labels)
    found = search(tmp_path, SUITE.replace(NEAR, EIGEN).replace("folds: 3", "folds: 3, metric: macro_f1"))
    assert means(found) == pytest.approx(known_means(known), abs=1e-3)


def test_a_tune_split_is_scored_by_what_learnt_from_the_whole_training_split(tmp_path: Path) -> None:
    train, val = load_dataset(DATA, "train"), load_dataset(DATA, "val")
    learn, judge = (np.asarray(s.images).reshape(len(s), -1) / np.float32(255) for s in (train, val))
    found = search(tmp_path, SUITE.replace("folds: 3", "by: tune"))
    for one in found.candidates:
        model = KNeighborsClassifier(algorithm="brute", **one.parameters).fit(learn, train.labels)
        assert one.mean == pytest.approx(model.score(judge, val.labels))
        assert one.spread is None
    assert found.by == "the split val"
    assert (found.n_fits, found.n_faces) == (4, 42)


@pytest.mark.parametrize("how", ["folds: 3", "by: tune", "folds: 3, method: halving"])
def test_the_scored_split_is_never_looked_at(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, load = set(), views.load_view
    monkeypatch.setattr(views, "load_view", lambda *args: seen.add(args[2]) or load(*args))
    search(tmp_path, SUITE.replace("folds: 3", how))
    assert seen == ({"train", "val"} if how == "by: tune" else {"train"})


def test_folds_share_no_subject_and_stay_inside_the_training_part_of_a_fold(tmp_path: Path) -> None:
    text = SUITE.replace("tune: val", "protocol: subject-kfold, folds: 2")
    cells = make_plan(parse_suite(text), None).of_kind("fit")
    for cell in [cell for cell in cells if "grid" in cell.options]:
        pipeline = make_pipeline(cell.pipeline.id)
        view = views.View(cell, pipeline)
        people = view.samples.subjects
        for part in tuning._parts(cell, pipeline):
            learn, judge = set(people[part.learn.at]), set(people[part.judge.at])
            assert not learn & judge
            assert learn | judge == set(people[view.rows])


def test_halving_scores_few_on_all_faces_and_says_so(tmp_path: Path) -> None:
    found = search(tmp_path, SUITE.replace(NEAR, EIGEN).replace("folds: 3", "folds: 3, method: halving"))
    assert [one.share for one in found.candidates] == pytest.approx([1, 1, 1 / 3, 1 / 3])
    assert found.candidates[0].mean >= found.candidates[1].mean
    assert found.n_fits == 4 * 3 + 2 * 3
    assert found.parameters == found.candidates[0].parameters


def test_a_share_of_the_faces_has_every_class_and_is_part_of_a_larger_one() -> None:
    labels = np.array(["happy"] * 90 + ["sad"] * 9 + ["fear"])
    small, large = (set(tuning._share_of(labels, share, 1).tolist()) for share in (1 / 9, 1 / 3))
    assert small < large
    assert {str(name): int((labels[list(small)] == name).sum()) for name in set(labels)} == {
        "happy": 10, "sad": 1, "fear": 1
    }  # fmt: skip


def test_metrics_equal_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth, p = rng.integers(0, 3, 60), rng.dirichlet(np.ones(4), 60)  # nobody shows the fourth class
    predicted = p.argmax(axis=1)
    got = {name: score(name, truth, p) for name in METRICS}
    assert got["accuracy"] == pytest.approx((truth == predicted).mean())
    assert got["log_loss"] == pytest.approx(log_loss(truth, p, labels=range(4)))
    assert got["macro_f1"] == pytest.approx(f1_score(truth, predicted, labels=range(3), average="macro"))
    seen = predicted < 3  # scikit-learn warns of predictions that are no true class
    assert score("balanced_accuracy", truth[seen], p[seen]) == pytest.approx(
        balanced_accuracy_score(truth[seen], predicted[seen])
    )


@pytest.mark.parametrize("stop_after", [1, 7])
def test_a_search_that_was_killed_goes_on_with_the_next_fit(
    stop_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, create = search(tmp_path / "whole"), tuning.create
    fits = [0]

    def counted(group: str, spec: object) -> object:
        fits[0] += group == "classifiers"
        if fits[0] == stop_after + 1:
            raise KeyboardInterrupt
        return create(group, spec)

    monkeypatch.setattr(tuning, "create", counted)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path)
    assert len(json.loads((tmp_path / "search.json").read_text())["scores"]) == stop_after
    again = search(tmp_path)
    assert fits[0] == 12 + 1  # the one that was interrupted was begun twice
    assert means(again) == means(whole)


def test_a_damaged_file_of_scores_is_not_believed(tmp_path: Path) -> None:
    whole = search(tmp_path)
    path = tmp_path / "search.json"
    for damaged in (path.read_text().replace("0.", "0.9", 1), path.read_text()[:50], "[]", ""):
        path.write_text(damaged)
        assert means(search(tmp_path)) == means(whole)


def test_the_row_is_fitted_with_what_was_chosen(finished: Outcome) -> None:
    rows = {row.row: row for row in finished.summary.rows}
    (found,) = rows["near"].searches
    assert rows["plain"].searches == []
    assert rows["near"].pipeline.classifier == "knn(calibrate=False)"  # the row is the grid, not what it chose
    cell = next(part.cell for part in finished.run.parts().values() if "grid" in part.cell.options)
    loaded = load_pipeline(finished.run.artefact(cell))
    assert str(loaded.parts.classifier) == found.classifier
    assert loaded.trained_on["tuned_on"]["parameters"] == found.parameters
    assert loaded.trained_on["tuned_on"]["split"] == "train"
    assert finished.run.search_path(cell).is_file()
    again = run(finished.run.folder.parent.parent)
    assert again.n_done == 0


def test_the_whole_table_is_in_both_reports_and_in_show(finished: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    from ferbench.cli import main
    from ferbench.reports import build_report

    (found,) = finished.summary.rows[0].searches
    build_report(finished.run.folder, formats=["html", "md"])
    html, markdown = (
        (finished.run.folder / "report" / name).read_text(encoding="utf-8") for name in ("index.html", "report.md")
    )
    assert main(["show", str(finished.run.folder)]) == 0
    shown = capsys.readouterr().out
    assert '<section id="tuning">' in html
    for one in found.candidates:
        k, weights = one.parameters.values()
        percent, spread = f"{100 * one.mean:.1f}", f"{100 * one.spread:.1f}"
        assert f"<td>{k}</td><td>{weights}</td>" in html
        assert f"| {k} | {weights} | {percent} | {spread} |" in markdown
        assert f"n_neighbors={k}, weights={weights}: {one.mean:.3f} ± {one.spread:.3f}" in shown
    assert found.text in html


def test_a_report_without_tuning_has_no_such_section(tmp_path: Path) -> None:
    from ferbench.reports import build_report

    text = SUITE[: SUITE.index("  - id: near")] + SUITE[SUITE.index("  - {id: plain") :]
    outcome = run(tmp_path, text)
    (page, *_) = build_report(outcome.run.folder, formats=["html"])
    assert "tuning" not in page.read_text(encoding="utf-8")


def test_a_misspelt_parameter_of_a_grid_is_said_before_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidSuiteError, match="did you mean 'n_neighbors'"):
        run(tmp_path, SUITE.replace("grid: {n_neighbors", "grid: {n_neighbours"))


def test_a_candidate_that_cannot_be_fitted_is_a_failed_row_that_names_it(tmp_path: Path) -> None:
    # Before the fit nobody knows how much memory its kernel values take.
    text = SUITE.replace(NEAR, "    features: pixels\n    classifier: rbf-svm\n    grid: {memory_mb: [4000, 0.001]}\n")
    row = run(tmp_path, text).summary.rows[0]
    assert row.status == "failed"
    assert "rbf-svm(memory_mb=0.001) cannot be tried" in row.error.message
