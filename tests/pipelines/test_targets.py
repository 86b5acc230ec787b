"""Soft targets: annotators' votes and teachers' answers."""

from __future__ import annotations

import numpy as np
import pytest

from ferbench.datasets import load_dataset
from ferbench.errors import DataError, ParameterError
from ferbench.pipelines import make_pipeline
from ferbench.pipelines.targets import distilled_targets, label_targets, vote_targets

SYNTHETIC = "synthetic(kind=crops, n_train=140, n_val=35, n_test=70)"


def test_labels_alone_are_one_hot_over_the_sorted_names() -> None:
    samples = load_dataset(SYNTHETIC, split="val")
    targets = label_targets(samples)
    assert targets.shape == (35, 7)
    np.testing.assert_array_equal(np.unique(samples.labels)[targets.argmax(axis=1)], samples.labels)
    np.testing.assert_array_equal(targets.sum(axis=1), 1)


def test_teachers_are_asked_about_the_face_and_its_mirror_image() -> None:
    samples = load_dataset(SYNTHETIC, split="train")
    teachers = [make_pipeline(name).fit(samples) for name in ("hog/linear-svm", "lbp(grid=3)/linear-svm")]
    targets = label_targets(samples)
    said = []
    for teacher in teachers:
        columns = [teacher.labels.index(name) for name in np.unique(samples.labels)]
        crops = np.asarray(samples.images)
        said.append((teacher.classify(crops) + teacher.classify(crops[:, :, ::-1].copy()))[:, columns] / 2)
    mixed = distilled_targets(targets, samples, teachers, 0.4)
    np.testing.assert_allclose(mixed, 0.6 * targets + 0.4 * np.mean(said, axis=0), atol=1e-5)
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-5)


def test_what_cannot_be_a_target_is_named() -> None:
    samples = load_dataset(SYNTHETIC, split="val")
    teacher = make_pipeline("hog/linear-svm").fit(np.asarray(samples.images)[:20], np.repeat(["happy", "sad"], 10))
    with pytest.raises(ParameterError, match="has other labels: got"):
        distilled_targets(label_targets(samples), samples, [teacher], 0.5)
    with pytest.raises(ParameterError, match="share: got 2"):
        distilled_targets(label_targets(samples), samples, [teacher], 2)
    with pytest.raises(DataError, match="soft labels are of faces with votes: got synthetic"):
        vote_targets(samples, 0.3)


@pytest.mark.realdata
@pytest.mark.usefixtures("real_data")
def test_votes_of_real_faces() -> None:
    samples = load_dataset("fer2013", split="val")
    targets = vote_targets(samples, 0.3)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)
    hot = label_targets(samples)
    own = targets[np.arange(len(samples)), hot.argmax(axis=1)]
    assert own.min() >= 0.7 - 1e-6
    assert 0.5 < np.mean(own < 1) <= 1, "most faces have a vote for another expression, or none for their own"
