"""The real files: counts, known facts of the literature, and how long it takes."""

from __future__ import annotations

import lzma
import os
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from ferbench.datasets import audit, load_dataset, subject_folds

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def fer2013(real_data):
    return load_dataset("fer2013", path=real_data / "fer2013.csv.xz")


def test_fer2013_has_its_rows_and_labels(fer2013, real_data):
    assert fer2013.available_splits()["train"] == 28_544
    assert fer2013.available_splits()["val"] == 3_579
    assert fer2013.skipped == []
    train = fer2013.split("train")
    assert train.images.shape == (28_544, 48, 48)
    with lzma.open(real_data / "fer2013.csv.xz", "rt") as file:
        next(file)
        first = next(file).split(",")
    assert first[0] == "0"
    assert train.labels[0] == "angry"
    np.testing.assert_array_equal(train.images[0].ravel(), [int(value) for value in first[1].split()])


# Processor time, not wall time: the machine may be busy with other tests.
def test_fer2013_again_takes_less_than_a_second(fer2013, real_data):
    assert fer2013.revision
    start = time.process_time()
    again = load_dataset("fer2013", "train", path=real_data / "fer2013.csv.xz")
    assert time.process_time() - start < 1
    assert again.revision == fer2013.revision
    assert isinstance(again.images, np.memmap)


def test_reading_fer2013_stays_far_below_the_memory_limit(real_data, tmp_path):
    """In a process of its own, with an empty cache: the peak of this one is that of all tests before."""
    code = (
        "from pathlib import Path\n"
        "from ferbench.datasets import load_dataset\n"
        "assert load_dataset('fer2013').revision\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(status.split('VmHWM:')[1].split()[0])\n"
    )
    environment = {**os.environ, "FERBENCH_DATA": str(real_data), "FERBENCH_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1.5 * 2**20  # KiB


@pytest.mark.slow
def test_fer2013_audit_finds_its_known_duplicates(fer2013):
    start = time.process_time()
    report = audit(fer2013)
    assert time.process_time() - start < 60
    assert report.blank == []  # FER+ dropped them, and these rows follow FER+
    assert report.exact.n_redundant == 1_516
    assert report.exact.n_leaked["val"] > 200
    assert len(report.exact.conflicting) > 20
    assert report.near.n_redundant > report.exact.n_redundant


def test_ferplus_majority_is_that_of_the_literature(fer2013, real_data):
    dataset = load_dataset("ferplus", path=real_data / "fer2013new.csv", images=real_data / "fer2013.csv.xz")
    assert len(dataset.split("val")) == 3_199  # the number that papers report for this split
    assert len(dataset.split("train")) == 25_045
    samples = dataset.split("val")
    np.testing.assert_allclose(samples.votes.sum(axis=1), 1, atol=1e-6)
    faces = fer2013.split("val")
    of_id = dict(zip(faces.ids.tolist(), faces.labels.tolist(), strict=True))
    agreement = np.mean([of_id[i] == label for i, label in zip(samples.ids.tolist(), samples.labels, strict=True)])
    assert agreement > 0.6  # 0.2 if rows were shifted by one


def test_ckplus_has_118_subjects_and_subject_disjoint_folds(real_data):
    samples = load_dataset("ckplus", "all", path=real_data / "ckplus48.zip")
    assert len(samples) == 981
    assert len(np.unique(samples.subjects)) == 118
    assert Counter(samples.labels.tolist()) == {
        "angry": 135,
        "contempt": 54,
        "disgust": 177,
        "fear": 75,
        "happy": 207,
        "sad": 84,
        "surprise": 249,
    }
    for train, test in subject_folds(samples, 10, seed=0):
        assert not set(samples.subjects[train]) & set(samples.subjects[test])


def test_lfw_emotions_are_photos_of_known_people(real_data):
    samples = load_dataset("lfw-emotions", "all", path=real_data / "lfw-emotions.zip")
    assert (len(samples), samples.kind, samples.images[0].shape) == (414, "photos", (350, 350))
    assert Counter(samples.labels.tolist())["contempt"] == 2
    assert len(np.unique(samples.subjects)) == 296
