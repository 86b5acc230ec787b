"""Any tree of images by class: labels, splits and label space are read from the folders."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferbench.datasets.images import ImageTree, LFWEmotions
from ferbench.datasets.trees import file_ids, infer_label_space, place
from ferbench.errors import DataError, DatasetNotFoundError, FerbenchError, LabelError, ParameterError


@pytest.fixture
def tree(tmp_path, save, noise):
    """A function that makes a tree of one image in each of some folders."""

    def make(*folders: str, size: tuple[int, int] = (48, 48)):
        for folder in folders:
            save(tmp_path / "faces" / folder / "a.png", noise(*size))
        return tmp_path / "faces"

    return make


def test_labels_are_canonical_whatever_the_folders_are_called(tree):
    samples = ImageTree(tree("Happiness", "anger", "SADNESS", "neutral")).split("all")
    assert dict(zip(samples.ids, samples.labels, strict=True)) == {
        "Happiness/a": "happy",
        "anger/a": "angry",
        "SADNESS/a": "sad",
        "neutral/a": "neutral",
    }


def test_split_folders_become_splits(tree):
    dataset = ImageTree(tree("train/happy", "train/sad", "validation/happy", "Test/sad"))
    assert dataset.info.splits == ("train", "val", "test")
    assert dataset.split("train").labels.tolist() == ["happy", "sad"]
    assert dataset.split("val").ids.tolist() == ["validation/happy/a"]
    assert len(dataset.split("all")) == 4


def test_of_a_split_that_is_not_there_the_others_are_named(tree):
    dataset = ImageTree(tree("train/happy", "train/sad", "test/happy", "test/sad"))
    with pytest.raises(FerbenchError, match="unknown split of faces 'val'; known: test, train"):
        dataset.split("val")


def test_a_tree_without_splits_has_only_all(tree):
    dataset = ImageTree(tree("happy", "sad"))
    assert dataset.info.splits == ()
    with pytest.raises(FerbenchError, match="unknown split of faces 'train'; known: all"):
        dataset.split("train")


def test_folders_below_the_class_are_fine(tree):
    assert ImageTree(tree("happy/subject7/morning")).split("all").labels.tolist() == ["happy"]


@pytest.mark.parametrize(
    ("labels", "space"),
    [
        (["happy", "neutral"], "FER7"),
        (["happy", "contempt"], "CKPLUS7"),
        (["happy", "contempt", "neutral"], "FERPLUS8"),
    ],
)
def test_label_space_is_the_smallest_usual_one(labels, space, tree):
    assert infer_label_space(labels).name == space
    assert ImageTree(tree(*labels)).info.label_space.name == space


def test_a_label_space_can_be_chosen_and_must_hold_the_labels(tree):
    root = tree("happy", "contempt", "neutral")
    assert ImageTree(root, label_space="AFFECTNET8").split("all").label_space.name == "AFFECTNET8"
    with pytest.raises(LabelError, match="labels outside FER7: got 'contempt'"):
        ImageTree(root, label_space="FER7").split("all")


def test_an_unknown_class_is_an_error_with_a_suggestion(tree):
    with pytest.raises(LabelError, match=r"folder 'hapy' of hapy/a\.png names no expression.*did you mean 'happy'"):
        ImageTree(tree("hapy", "sad")).split("all")


def test_kind_is_told_by_size(tree):
    assert ImageTree(tree("happy", "sad", size=(64, 64))).split("all").images.shape == (2, 64, 64)
    assert ImageTree(tree("happy", "sad", size=(200, 300))).info.kind == "photos"


def test_photos_can_be_taken_as_crops_and_the_other_way_round(tree):
    root = tree("happy", "sad", size=(200, 300))
    assert ImageTree(root, kind="crops").split("all").images.shape == (2, 48, 48)
    assert ImageTree(root, kind="crops", size=32).split("all").images.shape == (2, 32, 32)
    small = ImageTree(tree("happy", "sad"), kind="photos")
    assert small.split("all").images[0].shape == (48, 48)
    for bad in ({"kind": "faces"}, {"size": 4}, {"size": True}):
        with pytest.raises(ParameterError):
            ImageTree(root, **bad)


def test_crops_too_many_for_memory_are_the_same(tree, monkeypatch):
    root = tree("happy", "sad")
    in_memory = ImageTree(root, kind="crops", size=40).revision
    monkeypatch.setattr("ferbench.datasets.crops.LARGEST_IN_MEMORY", 100)
    monkeypatch.setattr("ferbench.datasets.content._FORMAT", "another key")
    assert ImageTree(root, kind="crops", size=40).revision == in_memory


def test_a_zip_is_the_same_dataset_as_its_folder(tree, as_zip, tmp_path):
    for size in ((48, 48), (150, 130)):
        root = tree("happy", "sad", size=size)
        zipped = ImageTree(as_zip(root, tmp_path / "faces.zip"))
        assert zipped.revision == ImageTree(root).revision
        np.testing.assert_array_equal(zipped.split("all").images[1], ImageTree(root).split("all").images[1])


def test_images_that_cannot_be_read_are_counted_and_told(tree):
    root = tree("happy", "sad", size=(150, 130))
    (root / "happy" / "broken.jpg").write_bytes(b"no image at all")
    (root / "happy" / "empty.jpg").write_bytes(b"")
    (root / "stray.png").write_bytes((root / "sad" / "a.png").read_bytes())
    (root / "happy" / "notes.txt").write_text("not an image by name: ignored")
    for _ in range(2):  # decoded, and from the cache
        dataset = ImageTree(root)
        assert len(dataset.split("all")) == 2
        reasons = {str(row): reason for row, reason in dataset.skipped}
        assert set(reasons) == {"happy/broken.jpg", "happy/empty.jpg", "stray.png"}
        assert "not an image" in reasons["happy/broken.jpg"]
        assert "0 bytes" in reasons["happy/empty.jpg"]


def test_nothing_readable_is_an_error(tree, tmp_path):
    root = tmp_path / "bad"
    (root / "happy").mkdir(parents=True)
    with pytest.raises(DatasetNotFoundError, match="holds no images"):
        ImageTree(root).split("all")
    (root / "happy" / "a.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="no usable row"):
        ImageTree(root).split("all")
    with pytest.raises(DataError, match="a file of another kind"):
        ImageTree(root / "happy" / "a.jpg").split("all")
    with pytest.raises(ParameterError, match="needs a path"):
        ImageTree().split("all")


def test_a_changed_file_is_noticed(tree, save, noise):
    root = tree("happy", "sad")
    before = ImageTree(root).revision
    save(root / "sad" / "b.png", noise())
    assert ImageTree(root).revision != before


def test_links_that_form_a_circle_end(tree):
    root = tree("happy", "sad")
    (root / "happy" / "again").symlink_to(root, target_is_directory=True)
    assert len(ImageTree(root).split("all")) == 2


def test_ids_leave_out_the_shared_folders_and_tell_files_apart():
    names = ["x/happy/a.png", "x/happy/a.jpg", "x/sad/b.png"]
    assert file_ids(names) == ["happy/a.png", "happy/a.jpg", "sad/b"]


@given(st.lists(st.text(alphabet="abehpsy/._ ", max_size=30), max_size=8))
def test_any_name_is_placed_skipped_or_refused(names):
    try:
        placed, skipped = place(names)
    except LabelError:
        return
    assert len(placed) + len(skipped) == len(names)


def test_lfw_emotions_know_the_people(tmp_path, save, noise, as_zip):
    for name in ("anger/Bud_Selig_0004", "happiness/Bud_Selig_0002", "neutral/Anna_0001"):
        save(tmp_path / "lfw-emotions" / f"{name}.jpg", noise(350, 350))
    samples = LFWEmotions(as_zip(tmp_path / "lfw-emotions", tmp_path / "lfw-emotions.zip")).split("all")
    assert sorted(samples.subjects.tolist()) == ["Anna", "Bud_Selig", "Bud_Selig"]
    assert (samples.kind, samples.label_space.name, samples.images[2].shape) == ("photos", "FERPLUS8", (350, 350))


def test_a_zip_with_names_that_climb_out_is_refused(tmp_path):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("happy/../../../etc/face.png", b"x")
    with pytest.raises(DataError, match=r"not safe to read: got an entry named 'happy/\.\./\.\./\.\./etc/face\.png'"):
        ImageTree(path).split("all")
