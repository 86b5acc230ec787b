"""CK+ in its cropped and its original form: same frames, same ids, subjects known."""

from __future__ import annotations

import numpy as np
import pytest

from ferbench.datasets.ckplus import CKPlus
from ferbench.errors import DataError, DatasetNotFoundError

SEQUENCES = {("S010", "004"): ("anger", 1), ("S010", "006"): ("surprise", 7), ("S011", "002"): ("contempt", 2)}


@pytest.fixture
def cropped(tmp_path, save, noise):
    for (subject, sequence), (emotion, _) in SEQUENCES.items():
        for frame in (17, 18, 19):
            save(tmp_path / "CK+48" / emotion / f"{subject}_{sequence}_{frame:08d}.png", noise())
    return tmp_path / "CK+48"


@pytest.fixture
def original(tmp_path, save, noise):
    root = tmp_path / "ck"
    for (subject, sequence), (_, code) in SEQUENCES.items():
        for frame in range(1, 20):
            stem = f"{subject}_{sequence}_{frame:08d}"
            save(root / "cohn-kanade-images" / subject / sequence / f"{stem}.png", noise(60, 80))
        label = root / "Emotion" / subject / sequence / f"{subject}_{sequence}_00000019_emotion.txt"
        label.parent.mkdir(parents=True)
        label.write_text(f"   {code}.0000000e+00\n")
    save(root / "cohn-kanade-images" / "S999" / "001" / "S999_001_00000001.png", noise(60, 80))  # never labelled
    return root


def test_cropped_frames_have_labels_and_subjects(cropped):
    samples = CKPlus(cropped).split("all")
    assert len(samples) == 9
    assert samples.images.shape == (9, 48, 48)
    of_id = dict(zip(samples.ids, zip(samples.labels, samples.subjects, strict=True), strict=True))
    assert of_id["S010_004_00000018"] == ("angry", "S010")
    assert of_id["S011_002_00000019"] == ("contempt", "S011")
    assert samples.label_space.name == "CKPLUS7"


def test_a_zip_of_the_folder_is_the_same_dataset(cropped, as_zip, tmp_path):
    assert CKPlus(as_zip(cropped, tmp_path / "ckplus48.zip")).revision == CKPlus(cropped).revision


def test_original_trees_give_the_same_frames_as_photos(cropped, original):
    dataset = CKPlus(original)
    samples = dataset.split("all")
    crops = CKPlus(cropped).split("all")
    assert sorted(zip(samples.ids, samples.labels, strict=True)) == sorted(zip(crops.ids, crops.labels, strict=True))
    assert (dataset.info.kind, samples.kind) == ("photos", "photos")
    assert samples.images[0].shape == (60, 80)
    assert sorted(set(samples.subjects)) == ["S010", "S011"]


def test_a_wrong_code_or_a_missing_sequence_is_told(original):
    labels = sorted(original.rglob("*_emotion.txt"))
    labels[0].write_text("nine")
    labels[1].rename(labels[1].with_name("S123_001_00000019_emotion.txt"))
    dataset = CKPlus(original)
    assert len(dataset.split("all")) == 3
    reasons = sorted(reason for _, reason in dataset.skipped)
    assert reasons == ["emotion code is 'nine', expected 1 to 7", "no images of this sequence"]


def test_names_without_a_subject_are_told(cropped, save, noise):
    save(cropped / "anger" / "face1.png", noise())
    save(cropped / "neutral" / "S010_004_00000001.png", noise())
    reasons = [reason for _, reason in CKPlus(cropped).skipped]
    assert any("tells no subject" in reason for reason in reasons)
    assert any("'neutral' is not among CK+'s labels" in reason for reason in reasons)


def test_one_frame_in_two_folders_is_refused(cropped, save):
    save(cropped / "happy" / "S010_004_00000018.png", np.zeros((48, 48), np.uint8))
    with pytest.raises(DataError, match="same id: got S010_004_00000018"):
        CKPlus(cropped).split("all")


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="holds no CK"):
        CKPlus(tmp_path).split("all")
