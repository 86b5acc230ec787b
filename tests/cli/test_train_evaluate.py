"""`ferbench train` and `ferbench evaluate`, on the built-in faces and on real ones where they are."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferbench.benchmarks.disk import held
from ferbench.cli import main
from ferbench.errors import ParameterError

SYNTHETIC = "synthetic(kind=crops, n_train=140, n_val=35, n_test=70)"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "hog"
    code = main(["train", "hog/linear-svm", "--dataset", SYNTHETIC, "--val-split", "val", "--out", str(folder)])
    assert code == 0
    return folder


def test_train_saves_a_pipeline_with_its_record_and_validation(trained: Path) -> None:
    record = json.loads((trained / "pipeline.json").read_text())
    assert record["pipeline"] == "whole-image/hog/linear-svm@sklearn"
    assert record["trained_on"]["n"] == 140
    assert record["metrics"]["split"] == "val"
    assert record["metrics"]["n"] == 35


def test_evaluate_prints_one_json_object(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(trained), "--dataset", SYNTHETIC, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["split"] == "test"
    assert record["n"] == 70
    assert record["accuracy_ci"][0] < record["accuracy"] < record["accuracy_ci"][1]
    assert record["macro_f1_ci"][0] <= record["macro_f1"] <= record["macro_f1_ci"][1]
    assert record["accuracy"] > 2 / 7
    assert set(record["per_class"]) == {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"}
    assert len(record["dataset_revision"]) == 16
    assert sum(map(sum, record["confusion"])) == 70
    right = sum(record["confusion"][i][i] for i in range(7))
    assert record["accuracy"] == pytest.approx(right / 70)


def test_evaluate_prints_a_table_within_80_columns(trained: Path, capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    items = tmp_path / "items.csv"
    assert main(["evaluate", str(trained), "--dataset", SYNTHETIC, "--items", str(items)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("accuracy") for line in lines)
    assert len(items.read_text().splitlines()) == 71


def test_evaluate_warns_of_faces_that_were_learnt_from(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split, seen in (("train", True), ("test", False)):
        assert main(["evaluate", str(trained), "--dataset", SYNTHETIC, "--split", split]) == 0
        assert ("warning: it learnt from these very faces" in capsys.readouterr().out) is seen


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", SYNTHETIC, "--split", "tset"], "did you mean 'test'"),
        (["--dataset", "sinthetic"], "did you mean 'synthetic'"),
        (["--dataset", SYNTHETIC, "--runtime", "litert"], "cannot run linear-svm"),
        (["--dataset", "fer2013"], "FERBENCH_DATA"),
        (["--dataset", SYNTHETIC, "--items", "/no/such/folder/x.csv"], "no such folder"),
    ],
)
def test_evaluate_says_what_is_wrong(trained: Path, arguments, message, capsys) -> None:
    assert main(["evaluate", str(trained), *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.count("\n") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["haar-lbp-smv", "--dataset", SYNTHETIC], "haar-lbp-smv"),
        (["hog/linear-svm", "--dataset", SYNTHETIC, "--soft-labels", "0.5"], "for networks"),
        (["hog/linear-svm", "--dataset", SYNTHETIC, "--teacher", "tiny"], "for networks"),
        (["hog/linear-svm", "--dataset", SYNTHETIC, "--from", "tiny"], "for networks"),
        (["mini-xception", "--dataset", SYNTHETIC, "--limit", "3", "--from", "tiny"], "--from tiny has other labels"),
        (["hog/linear-svm", "--dataset", SYNTHETIC, "--val-split", "val", "--calibrate"], "for networks"),
        (["mini-xception", "--dataset", SYNTHETIC, "--calibrate"], "--calibrate needs --val-split"),
        (["mini-xception", "--dataset", SYNTHETIC, "--distil", "0.5"], "--distil needs --teacher"),
        (["mini-xception@opencv", "--dataset", SYNTHETIC], "cannot be trained for opencv"),
        (
            ["mini-xception", "--dataset", SYNTHETIC, "--limit", "3", "--val-split", "val", "--calibrate"],
            "labels that are not learnt",
        ),
        (["hog/linear-svm", "--dataset", SYNTHETIC, "--val-split", "train"], "judged on what it learns from"),
        (
            ["hog/linear-svm", "--dataset", SYNTHETIC, "--split", "all", "--val-split", "val"],
            "judged on what it learns",
        ),
        (["hog/linear-svm", "--dataset", SYNTHETIC, "--val-split", "all"], "judged on what it learns from"),
        (["hog/linear-svm", "--dataset", SYNTHETIC, "--val-dataset", "ckplus"], "--val-dataset needs --val-split"),
        (
            ["hog/linear-svm", "--dataset", SYNTHETIC, "--val-dataset", SYNTHETIC, "--val-split", "train"],
            "judged on what it learns from",
        ),
        (
            ["hog/linear-svm", "--dataset", SYNTHETIC, "--val-dataset", "synthetic(seed=5)", "--val-split", "all"],
            "--val-split all has the test split in it",
        ),
        (["hog/knn(n_neighbors=0)", "--dataset", SYNTHETIC], "n_neighbors"),
        (["hog/rbf-svm(C=-1)", "--dataset", "no-such-folder"], "C: got -1"),
        (["lbp(grid=0)/knn", "--dataset", "no-such-folder"], "grid"),
        (["hog(cell=0)/knn", "--dataset", "no-such-folder"], "cell"),
        (["hog/knn", "--dataset", SYNTHETIC, "--hold-out", "0.1"], "are for networks"),
        (["hog/knn", "--dataset", SYNTHETIC, "--set", "n_neighbors=0"], "n_neighbors"),
        (["hog/knn", "--dataset", SYNTHETIC, "--set", "neighbours=3"], "unknown parameter of classifier 'knn'"),
        (["hog/knn", "--dataset", SYNTHETIC, "--set", "features.cel=3"], "did you mean 'cell'"),
        (["hog/knn", "--dataset", SYNTHETIC, "--set", "n_neighbors"], "expected NAME=VALUE"),
        (["hog/knn", "--dataset", SYNTHETIC, "--set", "n_neighbors=3, weights=uniform"], "not a value"),
        (["hog/knn", "--dataset", SYNTHETIC, "--set", "n_neighbors=1", "--set", "n_neighbors=3"], "is set twice"),
        (["lenet", "--dataset", SYNTHETIC, "--set", "features.cell=3"], "lenet is a network and has no features"),
        (["lenet(keep=best)", "--dataset", SYNTHETIC], "decide the epoch that is kept, and there are none"),
        (
            ["lenet(keep=best, schedule=plateau)", "--dataset", SYNTHETIC, "--val-split", "test"],
            "the learning rate and the epoch that is kept would be chosen on the test split",
        ),
        (["lenet", "--dataset", SYNTHETIC, "--hold-out", "0.6"], "--hold-out is a share"),
        (["lenet", "--dataset", SYNTHETIC, "--curve", "curve.txt"], "a curve is a picture: got curve.txt"),
        (["hog/linear-svm", "--dataset", SYNTHETIC, "--limit", "0"], "--limit must be 1 or more"),
        (["hog/linear-svm", "--dataset", SYNTHETIC, "--seed", "-1"], "--seed must be 0 or more"),
    ],
)
def test_train_says_what_is_wrong(arguments, message, capsys, tmp_path: Path) -> None:
    assert main(["train", *arguments, "--out", str(tmp_path / "x")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.deep
def test_validation_faces_may_be_of_another_data_set_with_contempt(tmp_path: Path, capsys) -> None:
    faces, rng = tmp_path / "faces", np.random.default_rng(0)
    for label in ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt"):
        (faces / "val" / label).mkdir(parents=True)
        for number in range(2):
            cv2.imwrite(str(faces / "val" / label / f"{number}.png"), rng.integers(0, 256, (48, 48), np.uint8))
    mini, both = tmp_path / "mini", tmp_path / "both"
    as_they_are, without = f"images(path={faces})", f"images(path={faces}, contempt=drop)"
    train = ["train", "lenet(epochs=1)", "--dataset", SYNTHETIC, "--limit", "70", "--out", str(mini)]
    judged = [*train, "--val-split", "val", "--calibrate", "--val-dataset"]
    assert main([*judged, as_they_are]) == 2
    assert "choose a contempt policy" in capsys.readouterr().err
    assert not mini.exists()
    assert main([*judged, without]) == 0
    record = json.loads((mini / "pipeline.json").read_text())
    assert record["metrics"]["n"] == 14
    assert record["trained_on"]["dataset"] == "synthetic"
    assert record["trained_on"]["calibrated_on"]["dataset"] == record["metrics"]["dataset"]

    combine = ["combine", str(mini), "--mirror", "--val-split", "val", "--out", str(both), "--dataset"]
    assert main([*combine, as_they_are]) == 2
    assert "choose a contempt policy" in capsys.readouterr().err
    assert main([*combine, without]) == 0
    assert json.loads((both / "pipeline.json").read_text())["metrics"]["n"] == 14


@pytest.mark.deep
def test_a_stopped_training_says_how_to_go_on(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    from ferbench.classifiers.keras import training

    def stop_after_the_first(*args: object) -> None:
        write(*args)
        raise KeyboardInterrupt

    write = training._save
    command = ["train", "lenet(epochs=2)", "--dataset", SYNTHETIC, "--limit", "35", "--out", str(tmp_path / "net")]
    with monkeypatch.context() as patch:
        patch.setattr(training, "_save", stop_after_the_first)
        assert main(command) == 130
    assert "net keeps the epochs done, and the same command goes on" in capsys.readouterr().err
    assert main(command) == 0
    assert [line.split(",")[0] for line in (tmp_path / "net" / "training.csv").read_text().splitlines()][-1] == "2"


def test_parameters_of_a_preset_are_set(tmp_path: Path) -> None:
    from ferbench.pipelines import load_pipeline

    settings = ["--set", "C=0.3", "--set", "features.grid=5", "--set", "features.method=uniform"]
    train = ["train", "haar-lbp-svm", "--dataset", SYNTHETIC, "--limit", "40"]
    assert main([*train, *settings, "--out", str(tmp_path)]) == 0
    parts = load_pipeline(tmp_path).parts
    assert (parts.detector.name, parts.classifier.params["C"]) == ("haar", 0.3)
    assert parts.features is not None
    assert (parts.features.params["grid"], parts.features.params["method"]) == (5, "uniform")


@pytest.mark.deep
def test_a_network_trains_logs_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")
    spec = "se-resnet(width=8, blocks=(1,), epochs=2, batch_size=16)@litert"
    command = ["train", spec, "--dataset", SYNTHETIC, "--val-split", "val", "--limit", "70", "--out", str(tmp_path)]
    assert main(command) == 0
    assert "epoch 2: loss" in capsys.readouterr().err
    assert {"pipeline.json", "model.tflite", "model.keras", "training.csv"} <= {p.name for p in tmp_path.iterdir()}
    log = (tmp_path / "training.csv").read_text()
    assert len(log.splitlines()) == 3
    assert main(command) == 0, "a finished training answers from its checkpoint"
    more = [*command[:-1], str(tmp_path / "more"), "--from", str(tmp_path)]
    assert main(more) == 0
    record = json.loads((tmp_path / "more" / "pipeline.json").read_text())["trained_on"]
    faces = {key: record[key] for key in ("dataset", "split", "revision")}
    assert record["initial"] == tmp_path.name
    assert record["ancestors"] == [{"role": "initial weights", "name": tmp_path.name, **faces}]
    assert (tmp_path / "training.csv").read_text() == log


@pytest.mark.deep
def test_two_trainings_do_not_share_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")
    (tmp_path / "m" / "checkpoints").mkdir(parents=True)
    spec = "whole-image/se-resnet(width=8, blocks=(1,), epochs=1, batch_size=16)@litert"
    with held(tmp_path / "m" / "checkpoints", "training"):
        assert main(["train", spec, "--dataset", SYNTHETIC, "--out", str(tmp_path / "m")]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in ("is in use", f"process {os.getpid()}", "choose another --out"))
    assert not (tmp_path / "m" / "pipeline.json").exists()


def test_a_network_learns_from_a_teacher_and_is_calibrated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")
    spec = "se-resnet(width=8, blocks=(1,), epochs=2, batch_size=16)@litert"
    command = ["train", spec, "--dataset", SYNTHETIC, "--val-split", "val", "--out", str(tmp_path)]
    assert main([*command, "--teacher", "tiny", "--distil", "0.9", "--calibrate"]) == 0
    assert "temperature" in capsys.readouterr().err
    record = json.loads((tmp_path / "pipeline.json").read_text())["trained_on"]
    assert record["teachers"] == ["tiny"]
    assert {(one["name"], one["dataset"]) for one in record["ancestors"]} >= {("tiny", "fer2013")}
    assert record["distil"] == 0.9
    assert record["calibrated_on"]["split"] == "val"


def test_a_teacher_is_asked_once_about_the_same_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ferbench.cli.train import _kept_answers
    from ferbench.datasets import load_dataset
    from ferbench.pipelines import load_pipeline, make_pipeline, targets

    samples = load_dataset(SYNTHETIC, split="train")
    for n in (100, 140):
        make_pipeline("lbp(grid=3)/lda").fit(samples.subset(np.arange(n))).save(tmp_path / str(n))
    asked = []

    def ask(teacher, faces):
        asked.append(teacher.id)
        return answers(teacher, faces)

    answers = targets.teacher_answers
    monkeypatch.setattr(targets, "teacher_answers", ask)
    teachers = [load_pipeline(tmp_path / str(n)) for n in (100, 140)]
    first = [np.array(_kept_answers(teacher, samples)) for teacher in teachers]
    again = [_kept_answers(teacher, samples) for teacher in teachers]
    np.testing.assert_array_equal(first, again)
    assert len(asked) == 2
    assert np.abs(first[0] - first[1]).max() > 0.01
    assert len(_kept_answers(teachers[0], samples.subset(np.arange(50)))) == 50
    assert len(asked) == 3


@pytest.mark.deep
def test_a_preset_for_other_data_says_that_it_learns_from_labels(tmp_path: Path, capsys) -> None:
    pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")
    from argparse import Namespace

    from ferbench.cli.train import _settings

    args = Namespace(pipeline="haar-se-resnet-64", soft_labels=None, teachers=None, distil=None)
    assert _settings(args, "fer2013") == {"soft_labels": 0.3}
    assert _settings(args, "synthetic") == {}
    assert "are for another data set, and left out" in capsys.readouterr().err
    args.distil, args.teachers = 0.0, ["tiny"]
    assert _settings(args, "fer2013") == {"soft_labels": 0.3}
    args.distil, args.teachers = None, ["tiny"]
    assert _settings(args, "fer2013") == {"soft_labels": 0.3, "teachers": ["tiny"], "distil": 0.5}


@pytest.mark.deep
def test_what_validation_faces_decide_is_on_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")
    spec = "lenet(epochs=2, batch_size=35, keep=best, augmentation=none)@keras"
    curve, out = tmp_path / "curve.svg", tmp_path / "model"
    command = ["train", spec, "--dataset", SYNTHETIC, "--out", str(out)]
    assert main([*command, "--val-split", "val", "--curve", str(curve)]) == 0
    assert "kept epoch" in capsys.readouterr().err
    record = json.loads((out / "pipeline.json").read_text())["trained_on"]
    epoch = record["tuned_on"].pop("epoch")
    accuracies = [float(line.split(",")[-1]) for line in (out / "training.csv").read_text().splitlines()[1:]]
    assert accuracies[epoch - 1] == max(accuracies)
    assert (record["tuned_on"]["split"], record["tuned_on"]["n"]) == ("val", 35)
    assert record["tuned_on"]["decided"] == ["epoch that is kept"]
    assert "<svg" in curve.read_text()
    assert json.loads((out / "architecture.json").read_text())["class_name"] == "Functional"
    assert main(["evaluate", str(out), "--dataset", SYNTHETIC, "--split", "val"]) == 0
    assert "were chosen on these very faces" in capsys.readouterr().out.replace("\n", " ")
    assert main([*command[:-1], str(tmp_path / "held"), "--hold-out", "0.25"]) == 0
    record = json.loads((tmp_path / "held" / "pipeline.json").read_text())["trained_on"]
    assert record["n"] + record["tuned_on"]["n"] == 140
    assert 28 <= record["tuned_on"]["n"] <= 42, "a quarter, as far as whole subjects allow"
    assert (record["tuned_on"]["split"], record["tuned_on"]["held_back"]) == ("train", 0.25)


@pytest.mark.realdata
@pytest.mark.usefixtures("real_data")
def test_fer2013(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "hog")
    assert main(["train", "haar/hog/linear-svm", "--dataset", "fer2013", "--limit", "3000", "--out", folder]) == 0
    capsys.readouterr()
    assert main(["evaluate", folder, "--dataset", "fer2013", "--split", "val", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["n"] == 3579
    assert record["accuracy"] > 0.35
    assert main(["evaluate", folder, "--dataset", "fer2013", "--split", "test"]) == 2
    assert "no 'test' split" in capsys.readouterr().err


@pytest.mark.realdata
@pytest.mark.usefixtures("real_data")
def test_in_the_wild(capsys: pytest.CaptureFixture[str]) -> None:
    wild = ["evaluate", "tiny", "--dataset", "lfw-emotions", "--split", "all"]
    assert main(wild) == 2
    assert "contempt policy" in capsys.readouterr().err
    assert main([*wild, "--contempt", "drop", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["n_dropped"] == 2
    assert not record["detector_bypassed"]
    assert record["n_detected"] <= record["n"] == 412
    assert record["was_compared_on_these"] is True, "as its card says"
    assert record["accuracy"] > 0.64, "a floor below the card's figure: another build may move a face or two"


def test_another_detector_and_its_report_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    photos = ["--dataset", "synthetic(n_train=0, n_val=0, n_test=14)", "--split", "test"]
    assert main(["evaluate", "tiny", *photos, "--detector", "haar(min_size=60)"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "haar(min_size=60)/se-resnet" in lines[0]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(("share", "held"), [(0.1, 28), (0.4, 112), (0.35, 98), (0.03, 8)])
def test_the_share_that_is_held_back_is_the_one_asked_for(share: float, held: int) -> None:
    from ferbench.cli.fitting import hold_back
    from ferbench.datasets import load_dataset

    samples = replace(load_dataset("synthetic(kind=crops, n_train=280)").split("train"), subjects=None)
    learnt, back = hold_back(samples, share, seed=3)
    assert abs(len(back) - held) <= 2
    assert sorted([*learnt.ids, *back.ids]) == sorted(samples.ids)


def test_few_people_are_held_back_as_far_as_that_goes() -> None:
    from ferbench.cli.fitting import hold_back
    from ferbench.datasets import load_dataset

    samples = load_dataset("synthetic(kind=crops, n_train=120)").split("train")
    learnt, back = hold_back(samples, 0.4, seed=3)
    assert not set(learnt.groups) & set(back.groups)
    assert 0.25 < len(back) / 120 < 0.55
    with pytest.raises(ParameterError, match="cannot make 20 folds of synthetic: expected 2 to 9, its subjects"):
        hold_back(samples, 0.05, seed=3)


@pytest.mark.deep
def test_a_training_that_diverges_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "lenet(epochs=3, learning_rate=1e9)", "--dataset", SYNTHETIC, "--limit", "40"]
    assert main([*command, "--out", str(tmp_path)]) == 2
    assert (
        "the training diverged in epoch 1: got a loss or probabilities that are no numbers; lower learning_rate"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "pipeline.json").exists()


@pytest.mark.deep
def test_what_settings_were_chosen_on_stays_on_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Through an ensemble, and through a search."""
    for seed in (1, 2):
        network = f"lenet(epochs=2, keep=best, seed={seed})"
        folder = str(tmp_path / f"m{seed}")
        train = ["train", network, "--dataset", SYNTHETIC, "--limit", "40", "--val-split", "val"]
        assert main([*train, "--out", folder]) == 0
    both = str(tmp_path / "both")
    assert main(["combine", str(tmp_path / "m1"), str(tmp_path / "m2"), "--out", both]) == 0
    tune = ["tune", "hog/knn", "--dataset", SYNTHETIC, "--limit", "40", "--val-split", "val", "--trials", "2"]
    assert main([*tune, "--search", "n_neighbors=1:3", "--out", str(tmp_path / "tuned")]) == 0
    best = str(tmp_path / "best")
    train = ["train", str(tmp_path / "tuned" / "best.yaml"), "--dataset", SYNTHETIC, "--limit", "40"]
    assert main([*train, "--out", best]) == 0
    for model in (both, best):
        capsys.readouterr()
        for split, expected in (("val", True), ("test", False)):
            assert main(["evaluate", model, "--dataset", SYNTHETIC, "--split", split, "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["was_tuned_on_these"] is expected
        suite = tmp_path / "suite.yaml"
        suite.write_text(
            f"schema: 1\nname: s\ndatasets: [{{name: '{SYNTHETIC}', test: val}}]\n"
            f"pipelines: [{{id: m, saved: {model}}}]\nscenarios: []\n"
        )
        assert main(["run", str(suite), "--plan"]) == 2
        assert "its settings were chosen on" in capsys.readouterr().err
