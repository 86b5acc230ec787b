"""FB010 to FB014: the faces; and what training and scored faces share, on pictures made for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ferbench.benchmarks.checks import leaks
from ferbench.benchmarks.checks.leaks import Leaks, find_leaks, leaks_between
from ferbench.benchmarks.records import Pretrained
from ferbench.benchmarks.searches import CandidateScore, SearchSummary
from ferbench.labels import LabelSpace
from ferbench.samples import Samples
from tests.benchmarks.checks.made_up import dataset, look, plan, row, summary

SPACE = LabelSpace("two", ("happy", "sad"))


def shared(**more) -> Leaks:
    given = {"n_train": 500, "n_scored": 100, "exact": 0, "near": 0, "n_searched": 600, "examples": []}
    return Leaks(**(given | {"subjects": None, "n_subjects": None} | more))


def test_fb010_gives_both_counts_the_share_and_a_pair_to_look_at() -> None:
    found = {"faces": shared(exact=3, near=8, examples=[("t7", "a1")])}
    text = look("FB010", summary(row("hog")), leaks=found).findings[0].text
    assert "8 of 100 scored pictures (8.0\N{NO-BREAK SPACE}%)" in text
    assert "3 equal in every pixel, 5 that look the same" in text
    assert "t7, like a1" in text


def test_fb010_says_where_it_looked_at_a_part_only() -> None:
    found = {"faces": shared(near=1, n_searched=200)}
    assert "among 200 of the 600 pictures only" in look("FB010", summary(row("hog")), leaks=found).findings[0].text


def test_fb010_passes_without_copies_and_says_why_it_does_not_know() -> None:
    assert look("FB010", summary(row("hog")), leaks={"faces": shared()}).status == "passed"
    result = look("FB010", summary(row("hog")), leaks={"faces": "nothing was learnt from Faces here"})
    assert (result.status, result.text) == ("not-applicable", "nothing was learnt from Faces here")


def test_fb011_finds_people_on_both_sides() -> None:
    result = look("FB011", summary(row("hog")), leaks={"faces": shared(subjects=2, n_subjects=10)})
    assert result.severity == "error"
    assert "2 of 10 scored people" in result.findings[0].text
    assert look("FB011", summary(row("hog")), leaks={"faces": shared(subjects=0, n_subjects=10)}).status == "passed"
    assert look("FB011", summary(row("hog")), leaks={"faces": shared()}).status == "not-applicable"


def searched(by: str) -> SearchSummary:
    best = CandidateScore(parameters={"C": 1}, mean=0.6, spread=None, scores=[0.6], share=1.0, fit_seconds=1.0)
    return SearchSummary(
        classifier="svm", parameters={"C": 1}, metric="accuracy", method="full", by=by, n_faces=9, n_fits=1,
        candidates=[best],
    )  # fmt: skip


def test_fb012_finds_a_search_on_the_scored_split() -> None:
    result = look("FB012", summary(row("svm", searches=[searched("the split test")])), plan=plan())
    assert (result.severity, result.findings[0].rows) == ("error", ["svm"])
    assert look("FB012", summary(row("svm")), plan=plan(tune="test")).status == "found"
    made = summary(row("svm", searches=[searched("the split val")]))
    assert look("FB012", made, plan=plan(tune="val")).status == "passed"
    assert look("FB012", made).status == "not-applicable"


def test_fb012_finds_a_temperature_that_was_fitted_on_the_scored_split() -> None:
    def came(split: str, of: str = "faces", revision: str | None = None) -> Pretrained:
        on = {"calibrated_on": f"{of} {split}", "calibrated_revision": revision}
        return Pretrained(name="tiny", content="x", runtime="litert", dataset="other", **on)

    result = look("FB012", summary(row("tiny", pretrained=came("test"))), plan=plan())
    assert (result.status, result.severity) == ("found", "warning")
    assert look("FB012", summary(row("tiny", pretrained=came("val"))), plan=plan()).status == "passed"
    both = [row(name, pretrained=came("test")) for name in ("tiny", "large")]
    (found,) = look("FB012", summary(*both), plan=plan()).findings
    assert found.text.startswith("The temperatures of tiny and large were fitted on the scored faces (faces test): log")
    # FER+ labels FER2013's pictures, split by split.
    voted = row("tiny", pretrained=came("test", "ferplus"), dataset="fer2013")
    of_fer2013 = summary(voted, datasets=[dataset(spec="fer2013")])
    assert look("FB012", of_fer2013, plan=plan(name="fer2013")).status == "found"
    # The same content, under another name.
    same = row("tiny", pretrained=came("test", "my-faces", dataset().revision))
    assert look("FB012", summary(same), plan=plan()).status == "found"


def test_fb012_finds_a_row_that_was_chosen_among_others_by_the_scored_faces() -> None:
    faces = [{"dataset": "faces", "split": "test", "revision": dataset().revision, "n_candidates": 5}]
    came = Pretrained(name="tiny", content="x", runtime="litert", dataset="other", compared_on=faces)
    (found,) = look("FB012", summary(row("tiny", pretrained=came)), plan=plan()).findings
    assert found.text == (
        "tiny (one of 5) was chosen by figures on the scored faces (faces test): that flatters it a little."
    )
    faces[0]["split"] = "val"
    elsewhere = Pretrained(name="tiny", content="x", runtime="litert", dataset="other", compared_on=faces)
    assert look("FB012", summary(row("tiny", pretrained=elsewhere)), plan=plan()).status == "passed"


def test_fb013_names_missing_and_rare_expressions_with_their_counts() -> None:
    few = summary(row("hog"), datasets=[dataset(class_counts={"happy": 60, "sad": 29, "fear": 0})])
    text = look("FB013", few).findings[0].text
    assert text == "No scored face of fear. Fewer than 30 scored faces: sad 29."
    enough = summary(row("hog"), datasets=[dataset(class_counts={"happy": 60, "sad": 30})])
    assert look("FB013", enough).status == "passed"
    assert look("FB013", summary()).status == "not-applicable"


def test_fb014_finds_a_detector_that_misses_one_face_in_ten() -> None:
    result = look("FB014", summary(row("hog", scored={"n_detected": 90}), row("lbp", scored={"n_detected": 90})))
    assert "haar finds 90.0\N{NO-BREAK SPACE}% (90 of 100)" in result.findings[0].text
    assert result.findings[0].rows == ["hog", "lbp"]
    assert look("FB014", summary(row("hog", scored={"n_detected": 95}))).status == "passed"
    bypassed = summary(row("hog", scored={"n_detected": 100, "detector_bypassed": True}))
    assert look("FB014", bypassed).status == "not-applicable"


# What training and scored faces share -------------------------------------------------------------------------------


def pictures(n: int, seed: int) -> np.ndarray:
    """Smooth pictures that resemble nothing but themselves."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 6, 6), dtype=np.uint8)
    return np.stack([cv2.resize(one, (48, 48), interpolation=cv2.INTER_CUBIC) for one in coarse])


def samples(images: np.ndarray, prefix: str, subjects: list[str] | None = None) -> Samples:
    n = len(images)
    return Samples(
        images=images, labels=np.array(["happy"] * n), ids=np.array([f"{prefix}{i}" for i in range(n)]),
        label_space=SPACE, kind="crops", dataset="faces", split="", revision="abc",
        subjects=None if subjects is None else np.array(subjects),
    )  # fmt: skip


def test_a_copy_a_lookalike_and_a_blank_picture_are_told_apart() -> None:
    train, scored = pictures(12, 1), pictures(6, 2)
    scored[1] = train[4]
    scored[3] = np.clip(train[7].astype(int) + 9, 0, 255)  # brighter: other pixels, the same picture
    train[0] = scored[5] = 128
    found = leaks_between([samples(train, "a")], samples(scored, "t"))
    assert (found.n_train, found.n_scored, found.exact, found.near) == (12, 6, 1, 2)
    assert found.examples == [("t1", "a4"), ("t3", "a7")]
    assert found.subjects is None


def test_two_people_who_look_alike_are_no_copies_of_each_other() -> None:
    train, scored = pictures(4, 1), pictures(4, 2)
    scored[0] = np.clip(train[0].astype(int) + 9, 0, 255)
    scored[1] = np.clip(train[1].astype(int) + 9, 0, 255)
    found = leaks_between(
        [samples(train, "a", ["ann", "bob", "cid", "dee"])], samples(scored, "t", ["ann", "eve", "fay", "gus"])
    )
    assert (found.near, found.subjects) == (1, 1)


def test_copies_within_one_side_are_no_leak() -> None:
    train = pictures(8, 1)
    train[5] = train[2]
    assert leaks_between([samples(train, "a")], samples(pictures(4, 2), "t")).near == 0


def test_a_face_that_is_learnt_from_twice_counts_once() -> None:
    train = samples(pictures(8, 1), "a")
    assert leaks_between([train, train], samples(pictures(4, 2), "t")).n_train == 8


def test_people_on_both_sides_are_counted_once_each() -> None:
    train = samples(pictures(4, 1), "a", ["ann", "ann", "bob", "cid"])
    scored = samples(pictures(4, 2), "t", ["ann", "bob", "bob", "dee"])
    found = leaks_between([train], scored)
    assert (found.subjects, found.n_subjects) == (2, 3)


def test_under_folds_the_copy_is_in_another_fold() -> None:
    images = pictures(9, 1)
    images[8] = images[0]
    folds = np.repeat([0, 1, 2], 3)
    found = find_leaks(samples(images, "x", list("aabbccdde")), folds, is_folded=True)
    assert (found.n_scored, found.exact) == (9, 2)
    assert found.subjects == 1  # b is in the folds 0 and 1


def test_beyond_the_budget_copies_are_still_found_and_the_sample_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "NEAR_BUDGET", 4)
    train, scored = pictures(12, 1), pictures(6, 2)
    scored[:] = train[:6]
    found = leaks_between([samples(train, "a")], samples(scored, "t"))
    assert found.exact == 6
    assert found.n_searched == 4
    assert found.is_sampled


def test_the_answer_is_kept_and_a_damaged_one_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ferbench.benchmarks.cells import Cell, PipelineSpec
    from ferbench.datasets import load_dataset

    monkeypatch.setenv("FERBENCH_CACHE", str(tmp_path))
    spec = "synthetic(kind=crops, n_train=14, n_val=0, n_test=7)"
    common = {
        "row": "r", "pipeline": PipelineSpec(classifier="knn"), "dataset": spec, "train_split": "train",
        "revision": load_dataset(spec).revision,
    }  # fmt: skip
    cells = [Cell(kind="fit", eval_split="", **common), Cell(kind="quality", eval_split="test", **common)]
    first = leaks.leaks_of_cells(cells)
    assert first is not None
    assert (first.n_train, first.n_scored, first.exact, first.subjects) == (14, 7, 0, 0)
    (kept,) = (tmp_path / "leaks").glob("*.json")
    monkeypatch.setattr(leaks, "_look", lambda *_: pytest.fail("looked again"))
    assert leaks.leaks_of_cells(cells) == first
    monkeypatch.undo()
    monkeypatch.setenv("FERBENCH_CACHE", str(tmp_path))
    kept.write_text(kept.read_text()[:20])
    assert leaks.leaks_of_cells(cells) == first
    assert leaks.leaks_of_cells(cells[1:]) is None  # nothing was learnt from
