"""FER2013 in every form: the same rows give the same samples and the same revision."""

from __future__ import annotations

import gzip
import lzma
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image as Pillow

from ferbench.datasets import skipped_warning
from ferbench.datasets.fer2013 import FER2013
from ferbench.errors import DataError, DatasetNotFoundError, UnknownNameError


def forms(fer, folder):
    """The table as all the files in which it is passed around."""
    text = fer.csv()
    (folder / "plain.csv").write_text(text)
    with gzip.open(folder / "fer2013.csv.gz", "wt") as file:
        file.write(text)
    with lzma.open(folder / "fer2013.csv.xz", "wt") as file:
        file.write(text)
    with zipfile.ZipFile(folder / "fer2013.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fer2013/fer2013.csv", text)
        archive.writestr("fer2013/README", "about")
        archive.writestr("__MACOSX/fer2013/._fer2013.csv", "x")
    with zipfile.ZipFile(folder / "challenge.zip", "w") as archive:
        archive.writestr("train.csv", "emotion,pixels\n")
        archive.writestr("icml_face_data.csv", icml(fer))
    (folder / "icml_face_data.csv").write_text(icml(fer))
    (folder / "no_suffix").write_bytes((folder / "fer2013.csv.xz").read_bytes())
    return sorted(path for path in folder.iterdir())


def icml(fer) -> str:
    swapped = [",".join([row.split(",")[0], row.split(",")[2], row.split(",")[1]]) for row in fer.rows()]
    return fer.csv(rows=swapped, header="emotion, Usage, pixels")


def test_every_form_of_the_table_gives_the_same(fer, tmp_path):
    revisions = set()
    for path in forms(fer, tmp_path):
        dataset = FER2013(path)
        samples = dataset.split("all")
        np.testing.assert_array_equal(samples.images, fer.images)
        revisions.add(dataset.revision)
    assert len(revisions) == 1
    assert len(revisions.pop()) == 16


def test_official_splits_labels_and_ids(fer, fer_csv):
    dataset = FER2013(fer_csv)
    assert {name: len(dataset.split(name)) for name in ("train", "val", "test", "all")} == {
        "train": 8,
        "val": 2,
        "test": 2,
        "all": 12,
    }
    train = dataset.split("train")
    expected = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "happy"]
    assert train.labels.tolist() == expected
    assert train.ids[:2].tolist() == ["Training_00000", "Training_00001"]
    assert dataset.split("test").ids.tolist() == ["PrivateTest_00000", "PrivateTest_00001"]
    np.testing.assert_array_equal(dataset.split("val").images, fer.images[8:10])
    assert (train.kind, train.label_space.name, train.dataset) == ("crops", "FER7", "fer2013")


def test_the_revision_follows_the_content(fer, fer_csv, tmp_path):
    before = FER2013(fer_csv).revision
    fer.images[3, 0, 0] ^= 1
    changed = tmp_path / "changed.csv"
    changed.write_text(fer.csv())
    assert FER2013(changed).revision != before
    fer.images[3, 0, 0] ^= 1
    fer.codes[0] = 5
    changed.write_text(fer.csv())
    assert FER2013(changed).revision != before


def test_a_missing_split_says_what_the_file_has(fer, tmp_path):
    path = tmp_path / "fer2013.csv"
    path.write_text(fer.csv(rows=fer.rows()[:10]))
    with pytest.raises(DataError, match=r"no 'test' split: got train \(8\), val \(2\)"):
        FER2013(path).split("test")
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        FER2013(path).split("trian")


def test_unreadable_rows_are_counted_and_told(fer, tmp_path):
    rows = fer.rows()
    rows[2] = rows[2].replace(" ", "  x", 1)
    rows[9] = "6,1 2 3,PublicTest"
    path = tmp_path / "fer2013.csv"
    path.write_text(fer.csv(rows=rows))
    for _ in range(2):  # decoded, and from the cache
        dataset = FER2013(path)
        assert [skipped.row for skipped in dataset.skipped] == [3, 10]
        assert len(dataset.split("all")) == 10
        warning = skipped_warning(dataset)
        assert warning is not None
        assert warning.startswith("2 rows skipped: row 3 (line 4): ")
        assert "row 10 (line 11): 3 pixels, expected 2304" in warning


def test_no_readable_row_is_an_error(fer, tmp_path):
    path = tmp_path / "fer2013.csv"
    path.write_text(fer.csv(rows=["1,2 3,Training", "x,y,z"]))
    with pytest.raises(DataError, match=r"no usable row.*2 unreadable; first: row 1 \(line 2\): 2 pixels"):
        FER2013(path).split("train")
    path.write_text(fer.csv(rows=[]))
    with pytest.raises(DataError, match="no usable row"):
        FER2013(path).split("train")


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zip"])
def test_a_damaged_archive_is_one_line(fer, tmp_path, suffix):
    path = next(path for path in forms(fer, tmp_path) if path.suffix == suffix)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(DataError, match="cut short: download it again"):
        FER2013(path).split("train")


def test_a_zip_bomb_is_refused(tmp_path):
    path = tmp_path / "fer2013.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("fer2013.csv", "w") as file:
        for _ in range(100):
            file.write(b"\0" * (1 << 20))
    with pytest.raises(DataError, match="would grow beyond the limits"):
        FER2013(path).split("train")


@pytest.fixture
def kaggle(fer, tmp_path):
    """Kaggle's folders; PublicTest and PrivateTest lie together in ``test``."""
    root = tmp_path / "fer2013"
    names = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    for i, (code, image, usage) in enumerate(zip(fer.codes, fer.images, fer.usages, strict=True)):
        folder = root / ("train" if usage == "Training" else "test") / names[code]
        folder.mkdir(parents=True, exist_ok=True)
        # PNG in disguise keeps the pixels exact; the reader looks at the content.
        Pillow.fromarray(image).save(folder / f"{usage}_{i * 1000}.jpg", "PNG")
    return root


def test_kaggles_folders_keep_the_official_splits(kaggle, as_zip, tmp_path, fer):
    dataset = FER2013(kaggle)
    assert dataset.available_splits() == {"train": 8, "val": 2, "test": 2}
    test = dataset.split("test")
    assert sorted(zip(test.ids, test.labels, strict=True)) == [
        ("PrivateTest_10000", "disgust"),
        ("PrivateTest_11000", "fear"),
    ]
    at = dataset.split("val").ids.tolist().index("PublicTest_8000")
    np.testing.assert_array_equal(dataset.split("val").images[at], fer.images[8])
    assert FER2013(as_zip(kaggle, tmp_path / "faces.zip")).revision == dataset.revision


def test_files_that_do_not_fit_are_told(kaggle, save, noise):
    save(kaggle / "train" / "happy" / "Training_77.png", noise(64, 64))
    save(kaggle / "train" / "happy" / "selfie.png", noise())
    (kaggle / "train" / "happy" / "Training_78.png").write_bytes(b"\x89PNG\r\n\x1a\nrest is lost")
    reasons = {str(row): reason for row, reason in FER2013(kaggle).skipped}
    assert reasons["train/happy/Training_77.png"] == "64×64 pixels, expected 48×48"
    assert "tells no split" in reasons["train/happy/selfie.png"]
    assert "not an image" in reasons["train/happy/Training_78.png"]
    assert len(reasons) == 3


def test_what_is_not_there_is_told_with_source_and_licence(tmp_path, monkeypatch):
    for attempt in (FER2013(tmp_path / "nothing.csv"), FER2013(tmp_path), FER2013()):
        with pytest.raises(DatasetNotFoundError, match=r"fer2013\.csv\.xz.*kaggle\.com.*licence"):
            attempt.split("train")
    monkeypatch.setenv("FERBENCH_DATA", str(tmp_path / "no folder"))
    with pytest.raises(DatasetNotFoundError, match="names no folder"):
        FER2013().split("train")


def test_it_is_found_under_the_data_root(fer, tmp_path, monkeypatch):
    (tmp_path / "icml_face_data.csv").write_text(icml(fer))
    monkeypatch.setenv("FERBENCH_DATA", str(tmp_path))
    assert len(FER2013().split("train")) == 8


def test_a_pickled_dataset_carries_no_pixels(fer_csv):
    dataset = FER2013(fer_csv)
    revision = dataset.revision
    content = pickle.dumps(dataset)
    assert len(content) < 1000
    assert pickle.loads(content).revision == revision
