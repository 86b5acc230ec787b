"""The audit finds what was planted, and nothing in clean data."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ferbench.datasets import audit
from ferbench.datasets.fer2013 import FER2013
from ferbench.datasets.images import ImageTree
from ferbench.datasets.statistics import dataset_statistics


@pytest.fixture
def audited(fer, tmp_path):
    """The report on the twelve rows, after a change to them."""

    def run(change=lambda fer: None, rows=None):
        change(fer)
        path = tmp_path / "fer2013.csv"
        path.write_text(fer.csv(rows=rows))
        return audit(FER2013(path))

    return run


def test_clean_data_have_no_findings(audited):
    report = audited()
    assert (report.blank, report.exact.groups, report.near.groups, report.skipped) == ([], [], [], [])
    assert report.n_images == 12
    assert report.shapes == [(48, 48)]


def test_blank_images_are_found_and_are_not_copies(audited):
    def blacken(fer):
        fer.images[2] = 0
        fer.images[9] = 0
        fer.images[9, :5] = 6

    report = audited(blacken)
    assert report.blank == ["Training_00002", "PublicTest_00001"]
    assert report.exact.groups == []


def test_copies_within_and_across_splits(audited):
    def copy(fer):
        fer.images[1] = fer.images[0]  # within train, other label
        fer.images[11] = fer.images[8] = fer.images[4]  # train, val and test

    exact = audited(copy).exact
    assert exact.groups == [
        ["Training_00000", "Training_00001"],
        ["Training_00004", "PublicTest_00000", "PrivateTest_00001"],
    ]
    assert exact.n_redundant == 3
    assert exact.across == {"train, val, test": 1}
    assert exact.n_groups_across_splits == 1
    assert exact.n_leaked == {"val": 1, "test": 1}
    assert exact.conflicting[0] == [("Training_00000", "angry"), ("Training_00001", "disgust")]
    assert len(exact.conflicting) == 2


def test_near_copies_count_and_include_exact_ones(audited):
    def copy(fer):
        fer.images[8] = fer.images[4] // 8 * 8  # coarser gray levels
        fer.images[1] = fer.images[0]

    report = audited(copy)
    assert len(report.exact.groups) == 1
    assert ["Training_00004", "PublicTest_00000"] in report.near.groups
    assert ["Training_00000", "Training_00001"] in report.near.groups
    assert report.near.n_leaked == {"val": 1}


def test_counts_are_compared_with_the_official_ones(audited):
    report = audited()
    assert report.counts["train"] == {
        "angry": 1,
        "disgust": 1,
        "fear": 1,
        "happy": 2,
        "sad": 1,
        "surprise": 1,
        "neutral": 1,
    }
    assert report.deviations()["train"]["happy"] == 2 - 7215
    assert sum(report.official["train"].values()) == 28_709
    assert sum(report.official["val"].values()) == sum(report.official["test"].values()) == 3_589


def test_unreadable_rows_are_in_the_report(audited, fer):
    rows = fer.rows()
    rows[5] = "5,1 2,Training"
    report = audited(rows=rows)
    assert report.skipped == [(6, "2 pixels, expected 2304")]


def test_the_report_is_json(audited):
    report = audited()
    again = json.loads(json.dumps(report.to_dict()))
    assert again["n_images"] == 12
    assert again["revision"] == report.revision


def test_subjects_in_several_splits_are_found(fer_csv, monkeypatch):
    dataset = FER2013(fer_csv)
    content = dataset._content
    people = np.array([f"S{i}" for i in range(12)])
    people[9] = "S0"
    object.__setattr__(content, "subjects", people)
    assert audit(dataset).subjects_across == ["S0"]


def test_statistics_describe_the_pixels(tmp_path, save):
    save(tmp_path / "t" / "happy" / "a.png", np.full((40, 40), 100, np.uint8))
    save(tmp_path / "t" / "happy" / "b.png", np.full((40, 40), 100, np.uint8))
    save(tmp_path / "t" / "sad" / "c.png", np.full((40, 40), 220, np.uint8))
    facts = dataset_statistics(ImageTree(tmp_path / "t"))
    assert facts["gray_mean"] == pytest.approx(140)
    assert facts["gray_std"] == pytest.approx(np.std([100, 100, 220]))
    assert (facts["majority"], facts["majority_share"], facts["imbalance"]) == ("happy", pytest.approx(2 / 3), 2.0)
    assert facts["smallest"] == facts["largest"] == [40, 40]
    json.dumps(facts)
