"""Folds: nobody on both sides, everybody judged once, classes balanced, the same seed the same folds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferbench.datasets import subject_folds
from ferbench.errors import ParameterError
from ferbench.labels import FER7
from ferbench.samples import Samples


def samples_of(labels, subjects=None) -> Samples:
    n = len(labels)
    return Samples(
        images=np.zeros((n, 8, 8), np.uint8),
        labels=np.array(labels, dtype=np.str_),
        ids=np.array([f"i{k}" for k in range(n)]),
        label_space=FER7,
        kind="crops",
        dataset="toy",
        split="all",
        revision="0",
        subjects=None if subjects is None else np.array(subjects, dtype=np.str_),
    )


@given(
    st.lists(st.tuples(st.sampled_from(["happy", "sad", "fear"]), st.integers(0, 9)), min_size=12, max_size=60),
    st.integers(2, 4),
    st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_nobody_is_on_both_sides_and_everybody_is_judged_once(rows, n_folds, seed):
    samples = samples_of([label for label, _ in rows], [f"S{subject}" for _, subject in rows])
    try:
        folds = subject_folds(samples, n_folds, seed)
    except ParameterError:
        return
    assert len(folds) == n_folds
    for train, test in folds:
        assert not set(samples.subjects[train]) & set(samples.subjects[test])
        assert sorted([*train, *test]) == list(range(len(rows)))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(rows)))


def test_classes_are_balanced_and_the_seed_decides():
    rng = np.random.default_rng(0)
    subjects = np.repeat([f"S{k}" for k in range(60)], 6)
    samples = samples_of(rng.choice(["happy", "happy", "happy", "sad"], 360), subjects)
    folds = subject_folds(samples, 5, seed=1)
    shares = [float(np.mean(samples.labels[test] == "happy")) for _, test in folds]
    assert max(shares) - min(shares) < 0.08
    again, other = subject_folds(samples, 5, seed=1), subject_folds(samples, 5, seed=2)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(folds, again, strict=True))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(folds, other, strict=True))


def test_without_subjects_each_sample_is_its_own():
    folds = subject_folds(samples_of(["happy", "sad"] * 20), 4, seed=0)
    assert [len(test) for _, test in folds] == [10] * 4


def test_a_class_rarer_than_the_folds_is_no_obstacle():
    folds = subject_folds(samples_of(["happy"] * 20 + ["fear"], [f"S{k}" for k in range(21)]), 5)
    assert sum(len(test) for _, test in folds) == 21


@pytest.mark.parametrize("n_folds", [1, 0, 5, 2.0, True])
def test_an_impossible_number_of_folds_is_refused(n_folds):
    samples = samples_of(["happy"] * 8, ["S1", "S2", "S3", "S4"] * 2)
    with pytest.raises(ParameterError, match="2 to 4, its subjects"):
        subject_folds(samples, n_folds)


@pytest.mark.parametrize("subjects", [None, [f"S{k}" for k in range(7)]])
def test_more_folds_than_faces_of_any_class_are_refused_in_our_words(subjects):
    samples = samples_of(["happy"] * 4 + ["sad"] * 3, subjects)
    with pytest.raises(ParameterError, match=r"got 4 faces of happy, its largest class, expected 5 or more; take"):
        subject_folds(samples, 5)
