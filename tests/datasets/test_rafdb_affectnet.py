"""RAF-DB and AffectNet in the layouts in which their authors and Kaggle ship them."""

from __future__ import annotations

import numpy as np
import pytest

from ferbench.datasets.affectnet import AffectNet
from ferbench.datasets.rafdb import RAFDB
from ferbench.errors import DataError, DatasetNotFoundError, ParameterError

RAF = {"train_00001": 5, "train_00002": 1, "test_0001": 4, "test_0002": 7}
RAF_LABELS = {"train_00001": "sad", "train_00002": "surprise", "test_0001": "happy", "test_0002": "neutral"}


@pytest.fixture
def raf(tmp_path, save, noise):
    root = tmp_path / "basic"
    for stem in RAF:
        save(root / "Image" / "aligned" / f"{stem}_aligned.png", np.dstack([noise(100, 100)] * 3))
        save(root / "Image" / "original" / f"{stem}.png", noise(300, 200))
    (root / "EmoLabel").mkdir()
    listing = "".join(f"{stem}.jpg {code}\n" for stem, code in RAF.items())
    (root / "EmoLabel" / "list_patition_label.txt").write_text(listing)
    return root


def labels_of(dataset):
    samples = dataset.split("all")
    return dict(zip(samples.ids.tolist(), samples.labels.tolist(), strict=True))


def test_rafdb_by_its_list(raf):
    dataset = RAFDB(raf)
    assert labels_of(dataset) == RAF_LABELS
    assert dataset.split("test").images.shape == (2, 100, 100)
    assert dataset.split("train").ids.tolist() == ["train_00001", "train_00002"]


def test_rafdb_with_the_official_inner_zip_or_wholly_zipped(raf, as_zip, tmp_path):
    revision = RAFDB(raf).revision
    assert RAFDB(as_zip(raf, tmp_path / "rafdb.zip")).revision == revision
    as_zip(raf / "Image" / "aligned", raf / "Image" / "aligned.zip")
    for file in (raf / "Image" / "aligned").iterdir():
        file.unlink()
    assert RAFDB(raf).revision == revision
    with pytest.raises(DataError, match=r"its pictures in a zip within it: got .*aligned\.zip; unpack the outer one"):
        _ = RAFDB(as_zip(raf, tmp_path / "zipped.zip")).revision


def test_rafdb_in_kaggles_folders(tmp_path, save, noise):
    for stem, code in RAF.items():
        save(tmp_path / "DATASET" / stem.split("_")[0] / str(code) / f"{stem}_aligned.png", noise(100, 100))
    assert labels_of(RAFDB(tmp_path)) == RAF_LABELS
    save(tmp_path / "DATASET" / "train" / "7" / "train_00001_aligned.png", noise(100, 100))
    (twice,) = RAFDB(tmp_path).skipped
    assert "train_00001 is in another class folder, too" in twice.reason


def test_rafdb_tells_what_is_wrong(raf):
    listing = raf / "EmoLabel" / "list_patition_label.txt"
    listing.write_text(listing.read_text() + "train_00003.jpg 2\ntrain_00004.jpg 8\nface.jpg 1\n")
    reasons = {str(row): reason for row, reason in RAFDB(raf).skipped}
    assert "no such image" in reasons["train_00003_aligned.jpg"]
    assert "label is '8', expected 1 to 7" in reasons["list_patition_label.txt line 6"]
    assert "expected train_<n>.jpg" in reasons["list_patition_label.txt line 7"]


def test_rafdb_crops_can_be_smaller(raf):
    assert RAFDB(raf, size=48).split("train").images.shape == (2, 48, 48)
    with pytest.raises(ParameterError, match="8 to 1024"):
        RAFDB(raf, size=0)


def test_affectnet_with_its_annotation_files(tmp_path, save, noise):
    for split, codes in (("train_set", {"0": "1", "1": "7", "2": "9"}), ("val_set", {"0": "6", "5": "0"})):
        (tmp_path / split / "annotations").mkdir(parents=True)
        for stem, code in codes.items():
            save(tmp_path / split / "images" / f"{stem}.png", noise(224, 224))
            np.save(tmp_path / split / "annotations" / f"{stem}_exp.npy", np.array(code))
    save(tmp_path / "val_set" / "images" / "77.png", noise(224, 224))
    dataset = AffectNet(tmp_path)
    assert labels_of(dataset) == {
        "train_set/images/0": "happy",
        "train_set/images/1": "contempt",
        "val_set/images/0": "angry",
        "val_set/images/5": "neutral",
    }
    assert dataset.split("val").images.shape == (2, 96, 96)
    assert dataset.excluded == {"uncertain": 1}
    assert [(str(row), reason[:24]) for row, reason in dataset.skipped] == [
        ("val_set/images/77.png", "no annotation beside it,")
    ]


def test_affectnet_annotations_run_no_pickle(tmp_path, save, noise):
    save(tmp_path / "val_set" / "images" / "0.png", noise(32, 32))
    save(tmp_path / "val_set" / "images" / "1.png", noise(32, 32))
    (tmp_path / "val_set" / "annotations").mkdir()
    np.save(tmp_path / "val_set" / "annotations" / "0_exp.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "val_set" / "annotations" / "1_exp.npy", np.array("3"))
    dataset = AffectNet(tmp_path)
    assert labels_of(dataset) == {"val_set/images/1": "surprise"}
    assert "cannot be read" in dataset.skipped[0].reason


def test_affectnet_by_class_folders(tmp_path, save, noise):
    for folder in ("Train/Anger", "Train/contempt", "val/3", "val/happy"):
        save(tmp_path / folder / "a.png", noise(96, 96))
    save(tmp_path / "val" / "calm" / "a.png", noise(96, 96))
    dataset = AffectNet(tmp_path)
    assert labels_of(dataset) == {
        "Train/Anger/a": "angry",
        "Train/contempt/a": "contempt",
        "val/3/a": "surprise",
        "val/happy/a": "happy",
    }
    assert "'calm' is neither an expression nor a code" in dataset.skipped[0].reason


@pytest.mark.parametrize("kind", [RAFDB, AffectNet])
def test_an_empty_folder_is_told(kind, tmp_path):
    with pytest.raises(DatasetNotFoundError, match="holds n"):
        kind(tmp_path).split("train")
