import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from ferbench.errors import ModelFileError, NotFittedError, ParameterError, UnknownNameError
from ferbench.pipelines import load_pipeline, make_pipeline
from ferbench.pipelines.storage import check_folder
from tests.pipelines.conftest import striped_crops


@pytest.fixture(scope="module")
def fitted():
    return make_pipeline("haar", "hog", "linear-svm").fit(*striped_crops(90))


@pytest.fixture
def saved(fitted, tmp_path: Path) -> Path:
    return fitted.save(tmp_path / "model", metrics={"accuracy": 0.5})


@pytest.mark.parametrize(
    "name",
    [
        "lbp(grid=4)/linear-svm",
        "pixels/logistic-regression",
        "pca(n_components=8)/rbf-svm",
        "hog/knn",
        "hog/random-forest(n_estimators=5)",
        "majority",
    ],
)
def test_every_classifier_survives_the_disk_to_the_last_bit(name: str, tmp_path: Path) -> None:
    crops, labels = striped_crops(60)
    pipeline = make_pipeline(name).fit(crops, labels)
    loaded = load_pipeline(pipeline.save(tmp_path))
    assert loaded.id == pipeline.id
    assert loaded.labels == pipeline.labels
    np.testing.assert_array_equal(loaded.classify(crops), pipeline.classify(crops))


def test_it_is_loaded_behind_another_detector_which_is_tried_at_once(saved: Path) -> None:
    loaded = load_pipeline(saved, detector="yunet(align=eyes)")
    assert loaded.id == "yunet(align=eyes)/hog/linear-svm@sklearn"
    assert loaded.detect([data.astronaut()]).landmarks is not None
    with pytest.raises(ParameterError, match="parameter score_threshold: got 2"):
        load_pipeline(saved, detector="yunet(score_threshold=2)")
    with pytest.raises(UnknownNameError, match="yunet"):
        load_pipeline(saved, detector="yunett")


def test_a_shipped_name_is_not_a_folder_that_is_called_so(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    saved.rename("majority-like")
    Path("majority-like").rename("tiny")
    assert load_pipeline("tiny").family == "deep"
    assert load_pipeline("./tiny").id == load_pipeline(Path("tiny")).id == "haar/hog/linear-svm@sklearn"


def test_a_save_that_fails_leaves_what_was_there(fitted, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def full(estimator: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skops.io.dump", full)
    with pytest.raises(OSError, match="No space"):
        fitted.save(saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_a_folder_of_something_else_is_not_saved_over(fitted, saved: Path, tmp_path: Path) -> None:
    check_folder(saved, fitted, {})
    check_folder(tmp_path / "new", fitted, {})
    record = json.loads((saved / "pipeline.json").read_text())
    exported = record | {"pipeline": "haar/se-resnet@onnx"}
    (saved / "pipeline.json").write_text(json.dumps(exported))
    check_folder(saved, make_pipeline("haar", "se-resnet"), {})
    (saved / "pipeline.json").write_text(json.dumps(record))
    training = tmp_path / "training"
    (training / "checkpoints").mkdir(parents=True)
    (training / "curve.svg").touch()
    check_folder(training, fitted, {})
    with pytest.raises(ModelFileError, match=r"model holds something else: got haar/hog/linear-svm@sklearn, expected"):
        check_folder(saved, make_pipeline("haar", "hog", "linear-svm(C=3)"), {})
    photos = tmp_path / "photos"
    photos.mkdir()
    check_folder(photos, fitted, {})
    (photos / "me.jpg").touch()
    with pytest.raises(ModelFileError, match=r"photos holds something else: got me\.jpg in it"):
        check_folder(photos, fitted, {})
    with pytest.raises(ModelFileError, match="got a file"):
        check_folder(photos / "me.jpg", fitted, {})


def test_a_pipeline_that_learnt_otherwise_is_not_saved_over(fitted, saved: Path) -> None:
    def learn(**trained_on: object) -> None:
        record = json.loads((saved / "pipeline.json").read_text())
        (saved / "pipeline.json").write_text(json.dumps(record | {"trained_on": trained_on}))

    learn(dataset="mine", split="train", n=20)
    check_folder(saved, fitted, {"dataset": "mine", "split": "train", "n": 20})
    with pytest.raises(
        ModelFileError, match="that learnt otherwise: got dataset mine; n 20, expected dataset fer2013; n 9"
    ):
        check_folder(saved, fitted, {"dataset": "fer2013", "split": "train", "n": 9})
    learn(dataset="mine", n=18, n_missed=2, teachers=["big"])
    check_folder(saved, fitted, {"dataset": "mine", "n": 20, "teachers": ["big"], "initial": None})
    with pytest.raises(ModelFileError, match="got teachers big; initial none, expected teachers none; initial tiny"):
        check_folder(saved, fitted, {"n": 20, "teachers": None, "initial": "tiny"})
    learn(members=[{"pipeline": "a", "share": 1, "n": 3}, {"pipeline": "b", "share": 1}])
    check_folder(saved, fitted, {"members": [{"pipeline": "a", "share": 1}, {"pipeline": "b", "share": 1}]})
    with pytest.raises(ModelFileError, match=r"got members a \(1\), b \(1\), expected members b \(1\), c \(1\)"):
        check_folder(saved, fitted, {"members": [{"pipeline": "b", "share": 1}, {"pipeline": "c", "share": 1}]})


@pytest.mark.parametrize("threads", [0, -1, True, 1.0, "2"])
def test_threads_are_a_number_above_zero(saved: Path, threads: object) -> None:
    for name in ("tiny", saved):
        with pytest.raises(ParameterError, match="threads: got"):
            load_pipeline(name, threads=threads)


def test_what_names_no_pipeline_is_said() -> None:
    with pytest.raises(ParameterError, match="a saved pipeline is named: got None"):
        load_pipeline(None)


def test_an_exchanged_file_is_named(saved: Path) -> None:
    with (saved / "model.skops").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelFileError, match=r"model\.skops was exchanged or damaged: got sha256"):
        load_pipeline(saved)


def test_a_missing_file_is_named(saved: Path) -> None:
    (saved / "model.skops").unlink()
    with pytest.raises(ModelFileError, match=r"model\.skops is missing"):
        load_pipeline(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "unknown format: got version 99, expected version 1"),
        ({"files": {"../model.skops": "0"}}, "outside its folder"),
        ({"files": []}, r"damaged: got files = \[\]"),
        ({"files": {}}, "no model for the sklearn runtime"),
        ({"input_size": "48"}, "damaged: got input_size"),
        ({"label_space": None}, "damaged: got label_space"),
        ({"classes": ["joyful"]}, "not in its label space"),
    ],
)
def test_a_foreign_record_is_refused(saved: Path, change: dict[str, object], message: str) -> None:
    path = saved / "pipeline.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelFileError, match=message):
        load_pipeline(saved)


def test_a_damaged_or_incomplete_record_is_named(saved: Path) -> None:
    path = saved / "pipeline.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(ModelFileError, match=r"pipeline\.json is damaged"):
        load_pipeline(saved)
    path.write_text('{"format": 1}')
    with pytest.raises(ModelFileError, match="incomplete"):
        load_pipeline(saved)


def test_a_pickle_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(ModelFileError, match="runs its author's code"):
        load_pipeline(path)


def test_types_that_are_not_known_to_be_safe_are_refused(saved: Path) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    skops.io.dump(FunctionTransformer(np.linalg.inv), saved / "model.skops")
    record = json.loads((saved / "pipeline.json").read_text())
    import hashlib

    record["files"]["model.skops"] = hashlib.sha256((saved / "model.skops").read_bytes()).hexdigest()
    (saved / "pipeline.json").write_text(json.dumps(record))
    with pytest.raises(ModelFileError, match="not known to be safe"):
        load_pipeline(saved)


def test_unknown_names_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown pipeline 'tinny'"):
        load_pipeline("tinny")
    with pytest.raises(ModelFileError, match=r"folder with pipeline\.json"):
        load_pipeline(tmp_path)
    with pytest.raises(ModelFileError, match="models/nope does not exist"):
        load_pipeline("models/nope")
    with pytest.raises(NotFittedError, match="is a preset and not trained"):
        load_pipeline("haar-lbp-svm")


def test_another_runtime_than_the_files_allow(saved: Path) -> None:
    from ferbench.errors import ParameterError

    with pytest.raises(ParameterError, match="cannot run linear-svm"):
        load_pipeline(saved, runtime="litert")
