"""Tuning: what is searched, that it is found, gone on with, never on a test split, and comes out as a preset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("optuna", reason="needs the tune extra: pip install 'ferbench[tune]'")

from ferbench.cli import main
from ferbench.errors import ParameterError, UnknownNameError
from ferbench.pipelines import Pipeline, make_pipeline, parse_pipeline_id
from ferbench.pipelines.preset import find_preset, preset_text, read_preset
from ferbench.pipelines.spec import with_values
from ferbench.tuning.space import parse_dimension, search_space, untried
from ferbench.tuning.study import tune

SYNTHETIC = "synthetic(kind=crops, n_train=140, n_val=70, n_test=35)"
KNN = ["tune", "hog/knn", "--dataset", SYNTHETIC]
KNN += ["--search", "n_neighbors=1|60", "--search", "weights=uniform|distance"]


def test_ranges_and_choices_are_read() -> None:
    learning_rate = parse_dimension("learning_rate=1e-4:1e-2:log")
    assert (learning_rate.low, learning_rate.high, learning_rate.is_log) == (1e-4, 1e-2, True)
    assert parse_dimension("batch_size=32|64").choices == (32, 64)
    assert parse_dimension("augmentation=light|strong").choices == ("light", "strong")
    whole, share = (parse_dimension(text).distribution() for text in ("k=1:9", "dropout=0.0:0.5"))
    assert type(whole).__name__ == "IntDistribution"
    assert type(share).__name__ == "FloatDistribution"


@pytest.mark.parametrize(
    "text", ["C", "C=", "C=1", "C=10:1", "C=0:1:log", "C=1:2:lin", "C=a:b", "=1:2", "C=1:2:log:3", "n=5|5"]
)
def test_what_is_no_range_is_named(text: str) -> None:
    with pytest.raises(ParameterError):
        parse_dimension(text)


def test_what_is_searched_unasked_is_what_the_classifier_has() -> None:
    names = [d.name for d in search_space(parse_pipeline_id("hog/rbf-svm"), [])]
    assert names == ["C", "gamma"]
    with pytest.raises(ParameterError, match="use --search"):
        search_space(parse_pipeline_id("majority"), [])
    with pytest.raises(ParameterError, match="twice"):
        search_space(parse_pipeline_id("hog/knn"), ["n_neighbors=1:2", "n_neighbors=3:4"])


def test_a_range_of_a_real_parameter_is_one_of_real_numbers() -> None:
    space = search_space(parse_pipeline_id("hog(cell=8)/rbf-svm"), ["C=1:100:log", "gamma=1:3", "features.cell=4:8"])
    assert [type(d.low) for d in space] == [float, float, int]
    (neighbours,) = search_space(parse_pipeline_id("hog/knn"), ["n_neighbors=1:31"])
    assert neighbours.values == range(1, 32)
    for text in ("C=1:", "C=1||3", "C=1, gamma=2:3"):
        with pytest.raises(ParameterError):
            search_space(parse_pipeline_id("hog/rbf-svm"), [text])


def test_values_go_where_they_belong() -> None:
    parts = with_values(parse_pipeline_id("haar/lbp(grid=7)/linear-svm(C=3)"), {"C": 0.5, "features.grid": 5})
    assert parts.id == "haar/lbp(grid=5)/linear-svm(C=0.5)@sklearn"
    with pytest.raises(ParameterError, match="lenet is a network and has no features: got grid"):
        with_values(parse_pipeline_id("lenet"), {"features.grid": 5})


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    assert main([*KNN, "--trials", "4", "--out", str(folder)]) == 0
    return folder


def test_the_winner_is_a_preset_that_trains(searched: Path, tmp_path: Path) -> None:
    table = pd.read_csv(searched / "trials.csv")
    assert len(table) == 4
    assert set(table["n_neighbors"]) <= {1, 60}
    best = table.loc[table["score"].idxmax()]
    preset = read_preset(searched / "best.yaml")
    assert parse_pipeline_id(preset.pipeline).classifier.params["n_neighbors"] == best["n_neighbors"]
    assert "on which it was chosen" in preset.source
    command = ["train", str(searched / "best.yaml"), "--dataset", SYNTHETIC, "--out", str(tmp_path / "model")]
    assert main(command) == 0
    assert f"knn(n_neighbors={best['n_neighbors']}" in (tmp_path / "model" / "pipeline.json").read_text()


def test_a_search_that_was_stopped_goes_on_as_if_undisturbed(searched: Path, tmp_path: Path, capsys) -> None:
    assert main([*KNN, "--trials", "2", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main([*KNN, "--trials", "4", "--out", str(tmp_path)]) == 0
    ours, theirs = (pd.read_csv(folder / "trials.csv").drop(columns="seconds") for folder in (tmp_path, searched))
    pd.testing.assert_frame_equal(ours, theirs)
    captured = capsys.readouterr()
    assert captured.err.count("trial 1 of 4") == 1
    assert captured.out == f"{tmp_path / 'best.yaml'}\n"
    assert max(len(line) for line in captured.err.splitlines() if line.startswith("trial")) <= 80
    assert main([*KNN, "--trials", "4", "--seed", "1", "--out", str(tmp_path)]) == 2
    assert "another search: got another seed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "test"], "chosen on the test split: got --split test"),
        (["--val-split", "test"], "chosen on the test split: got --val-split test"),
        (["--split", "all"], "chosen on the test split"),
        (["--val-split", "train"], "judged on what it learns from"),
        (["--metric", "acuracy"], "did you mean 'accuracy'"),
        (["--trials", "0"], "--trials must be 1 or more"),
        (["--seed", "-1"], "--seed must be 0 or more"),
        (["--folds", "1"], "--folds must be 2 or more"),
        (["--search", "n_neighbours=1:3"], "did you mean 'n_neighbors'"),
        (["--search", "n_neighbors=3"], "not a range to search"),
        (["--search", "features.cel=4|6"], "did you mean 'cell"),
        (["--search", "n_neighbors=0:3"], "n_neighbors"),
        (["--search", "features.cell=[4,6]|8"], "a list cannot be searched"),
        (["--search", "features.cell=6|200"], "crops are too small for these features"),
    ],
)
def test_what_cannot_be_searched_is_one_line(arguments: list[str], message: str, tmp_path: Path, capsys) -> None:
    command = ["tune", "hog/knn", "--dataset", SYNTHETIC, *arguments, "--out", str(tmp_path / "x")]
    assert main(command) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.count("\n") == 0
    assert not (tmp_path / "x").exists()


def test_values_of_which_nothing_comes_are_a_failed_trial(tmp_path: Path, capsys) -> None:
    command = ["tune", "hog/rbf-svm", "--dataset", SYNTHETIC, "--limit", "70", "--folds", "2"]
    # Before the fit nobody knows how much memory its kernel values take.
    assert main([*command, "--search", "memory_mb=0.001|4000", "--trials", "5", "--out", str(tmp_path / "a")]) == 0
    table = pd.read_csv(tmp_path / "a" / "trials.csv").set_index("memory_mb")
    assert "too much memory" in table.loc[0.001, "error"]
    assert np.isnan(table.loc[0.001, "score"])
    assert table.loc[4000, "score"] > 0
    assert "memory_mb: 4000" in (tmp_path / "a" / "best.yaml").read_text()
    said = capsys.readouterr().err
    assert "failed: the kernel values of this training set need too much memory" in said
    assert "the best 1 of 2, 1 failed" in said
    assert main([*command, "--search", "memory_mb=0.0005|0.001", "--out", str(tmp_path / "b")]) == 2
    assert "no trial was carried to its end: got 2 trials; the first failure: the kernel" in capsys.readouterr().err


def test_what_is_searched_unasked_can_be() -> None:
    for name in ("hog/linear-svm", "hog/local-svm", "hog/knn", "hog/rbf-svm"):
        parts = parse_pipeline_id(name)
        for dimension in search_space(parts, []):
            for value in dimension.ends:
                Pipeline(with_values(parts, {dimension.name: value})).check_parameters()


@pytest.mark.deep
def test_a_network_is_tuned_on_a_validation_split(tmp_path: Path) -> None:
    pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")
    spec = "lenet(epochs=1, batch_size=35, augmentation=none)@litert"
    command = ["tune", spec, "--dataset", SYNTHETIC, "--val-split", "val", "--limit", "70", "--out", str(tmp_path)]
    assert main([*command, "--search", "learning_rate=1e-7|0.002", "--trials", "2"]) == 0
    preset = find_preset(str(tmp_path / "best.yaml"))
    assert preset is not None
    assert preset.pipeline.startswith("whole-image/lenet(")
    assert preset.pipeline.endswith("@litert")
    assert len(pd.read_csv(tmp_path / "trials.csv")) == 2


def test_trials_that_fall_behind_are_cut_short(tmp_path: Path) -> None:
    parts = parse_pipeline_id("hog/knn")

    class Scripted:
        def score(self, parts, report) -> float:
            n = parts.classifier.params["n_neighbors"]
            for step in (1, 2, 3):
                report(step, 1 / n)
            return 1 / n

    space = (parse_dimension("n_neighbors=1:50"),)
    facts = {"metric": "accuracy", "scored": "nothing", "dataset": "d", "split": "train", "revision": "r"}
    done = tune(parts, space, Scripted(), tmp_path, n_trials=20, seed=0, facts=facts)
    assert {trial.was_cut_short for trial in done[:5]} == {False}
    cut = [trial for trial in done if trial.was_cut_short]
    assert cut
    assert min(trial.values["n_neighbors"] for trial in cut) > min(t.values["n_neighbors"] for t in done)
    best = max((t for t in done if not t.was_cut_short), key=lambda t: t.score)
    assert f"n_neighbors: {best.values['n_neighbors']}" in (tmp_path / "best.yaml").read_text()


def test_no_set_of_values_is_tried_twice_also_after_a_stop(tmp_path: Path) -> None:
    parts, facts = (
        parse_pipeline_id("hog/knn"),
        {"metric": "accuracy", "scored": "nothing", "dataset": "d", "split": "train", "revision": "r"},
    )
    space = (parse_dimension("n_neighbors=1:3"), parse_dimension("weights=uniform|distance"))

    class Scripted:
        def score(self, parts, report) -> float:
            return 1 / parts.classifier.params["n_neighbors"]

    whole = tune(parts, space, Scripted(), tmp_path / "a", n_trials=20, seed=0, facts=facts)
    assert len({tuple(trial.values.items()) for trial in whole}) == len(whole) == 6
    tune(parts, space, Scripted(), tmp_path / "b", n_trials=4, seed=0, facts=facts)
    again = tune(parts, space, Scripted(), tmp_path / "b", n_trials=6, seed=0, facts=facts)
    assert [trial.values for trial in again] == [trial.values for trial in whole]
    assert untried((parse_dimension("C=0.1:10:log"),), []) is None


def test_of_equal_sets_the_earliest_wins_whatever_rounding_says(tmp_path: Path) -> None:
    facts = {"metric": "accuracy", "scored": "nothing", "dataset": "d", "split": "train", "revision": "r"}
    scores = iter((0.3499999999999999, 0.35000000000000003, 0.35))

    class Scripted:
        def score(self, parts, report) -> float:
            return next(scores)

    space = (parse_dimension("n_neighbors=1:3"),)
    first, *_ = tune(parse_pipeline_id("hog/knn"), space, Scripted(), tmp_path, n_trials=3, seed=0, facts=facts)
    assert f"n_neighbors: {first.values['n_neighbors']}\n" in (tmp_path / "best.yaml").read_text()


def test_fewer_trials_than_were_done_are_counted_as_they_are(searched: Path, capsys) -> None:
    assert main([*KNN, "--trials", "2", "--out", str(searched)]) == 0
    said = capsys.readouterr().err
    assert "trial 4 of 4: " in said
    assert "4 trials were done before; --trials 2 asks for no more" in said


def test_more_folds_than_faces_of_a_class_are_one_line_of_ours(tmp_path: Path, capsys) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for label in ("happy", "sad"):
        (tmp_path / "faces" / "train" / label).mkdir(parents=True)
        for k in range(4):
            Image.fromarray(rng.integers(0, 255, (48, 48), np.uint8)).save(tmp_path / f"faces/train/{label}/{k}.png")
    command = ["tune", "hog/knn", "--dataset", str(tmp_path / "faces"), "--folds", "5", "--out", str(tmp_path / "x")]
    assert main(command) == 2
    says = "got 4 faces of happy, its largest class, expected 5 or more; take fewer folds or more faces\n"
    assert capsys.readouterr().err.endswith(says)


def test_a_preset_file_goes_round(tmp_path: Path) -> None:
    pipeline = "haar/se-resnet(blocks=(1, 2), dropout=0.2, learning_rate=2e-05, stem=stride)@litert"
    (tmp_path / "mine.yaml").write_text(preset_text("mine", pipeline))
    preset = read_preset(tmp_path / "mine.yaml")
    assert (preset.pipeline, preset.published) == (pipeline, None)
    assert (preset.name, preset.title) == ("mine", "mine")
    assert make_pipeline(str(tmp_path / "mine.yaml")).id == pipeline


PUBLISHED = "published: {dataset: fer2013, accuracy: 0.6, protocol: x"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("title: a\npipeline: hog/knn\nrecipie: {}\n", UnknownNameError, "did you mean 'recipe'"),
        ("title: a\n", ParameterError, "no pipeline"),
        ("- a\n", ParameterError, "is no preset"),
        ("title: [\n", ParameterError, "is no YAML file"),
        ("title: a\npipeline: hog/knn(n_neighbors=3)\nrecipe: {n_neighbors: 4}\n", ParameterError, "says twice"),
        ("title: a\npipeline: hog/knn\nrecipe: 4\n", ParameterError, "recipe in"),
        ("title: a\npipeline: hog/knm\n", UnknownNameError, "did you mean 'knn'"),
        ("title: a\npipeline: hog/knn\npublished: {accuracy: 0.6}\n", ParameterError, "no protocol"),
        (f"title: a\npipeline: hog/knn\n{PUBLISHED}, macrof1: 0.5}}\n", UnknownNameError, "did you mean 'macro_f1'"),
        (f"title: a\npipeline: hog/knn\n{PUBLISHED}, recall: 62}}\n", ParameterError, "a share from 0 to 1"),
    ],
)
def test_a_preset_file_that_cannot_be_is_named(text, error, message, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(error, match=message):
        make_pipeline(str(tmp_path / "mine.yaml"))


def test_numbers_that_yaml_takes_for_texts_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("title: a\npipeline: mini-xception\nrecipe: {learning_rate: 5e-4}\n")
    params = parse_pipeline_id(read_preset(tmp_path / "mine.yaml").pipeline).classifier.params
    assert params == {"learning_rate": 5e-4}
    with pytest.raises(ParameterError, match="no such preset file"):
        make_pipeline(str(tmp_path / "other.yaml"))
