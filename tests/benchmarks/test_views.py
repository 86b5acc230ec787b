"""What a cell sees of a dataset: subsets, the one face per photo, and arrays computed once."""

import os
from pathlib import Path

import numpy as np
import pytest

from ferbench import registry
from ferbench.benchmarks import cache
from ferbench.benchmarks.cache import cached_array, code_digest
from ferbench.benchmarks.cells import Cell, PipelineSpec
from ferbench.benchmarks.facts import dataset_facts
from ferbench.benchmarks.views import (
    View,
    _as_faces,
    _as_table,
    best_overlap_per_image,
    fold_index,
    limit_samples,
    load_view,
)
from ferbench.datasets import load_dataset
from ferbench.errors import RunError
from ferbench.faces import Faces
from ferbench.pipelines import make_pipeline

CROPS = "synthetic(kind=crops, n_test=0, n_train=42, n_val=0)"
PHOTOS = "synthetic(n_test=0, n_train=7, n_val=0)"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERBENCH_CACHE", str(tmp_path / "cache"))
    load_view.cache_clear()


def a_cell(dataset: str, kind: str = "fit", features: str | None = "lbp(grid=4)", **extra) -> Cell:
    split = dataset_facts(dataset, ("train",))
    return Cell(
        kind=kind,
        row="r",
        pipeline=PipelineSpec(
            detector="haar" if dataset == PHOTOS else "whole-image", features=features, classifier="knn"
        ),
        dataset=dataset,
        revision=split.revision,
        train_split="train",
        eval_split="train" if kind == "quality" else "",
        **extra,
    )


def view_of(cell: Cell) -> View:
    return View(cell, make_pipeline(cell.pipeline.id))


def test_a_limit_keeps_classes_in_proportion_and_draws_by_seed() -> None:
    samples = load_dataset(CROPS, "train")
    picked = limit_samples(samples, 20, seed=1)
    assert len(picked) == 20
    counts = np.unique(picked.labels, return_counts=True)[1]
    assert counts.max() - counts.min() <= 1  # the seven classes are equally many
    assert (limit_samples(samples, 20, seed=1).ids == picked.ids).all()
    assert not (limit_samples(samples, 20, seed=2).ids == picked.ids).all()
    assert limit_samples(samples, 1000, seed=1) is samples
    assert list(picked.ids) == [i for i in samples.ids if i in set(picked.ids)]


def test_the_face_that_overlaps_the_true_box_counts_not_the_largest() -> None:
    faces = Faces.from_lists(
        [[[0, 0, 90, 90], [100, 100, 140, 140]], [[0, 0, 50, 50]], [], [[10, 10, 50, 50], [12, 12, 52, 52]]]
    )
    truth = np.array([[100, 100, 145, 145], [60, 60, 99, 99], [0, 0, 9, 9], [12, 12, 52, 52]], np.float32)
    best = best_overlap_per_image(faces, truth)
    # Image 1 has only a false alarm, image 2 no detection at all.
    assert best.image_index.tolist() == [0, 3]
    assert best.xyxy[:, 0].tolist() == [100, 12]


def test_features_are_computed_once_and_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of(a_cell(CROPS))
    first = view.features()
    assert isinstance(first, np.memmap)
    np.testing.assert_array_equal(first, view.pipeline.features_of(view.crops()))

    def never(crops: np.ndarray) -> np.ndarray:
        raise AssertionError("computed again")

    again = view_of(a_cell(CROPS))
    monkeypatch.setattr(again.pipeline, "features_of", never)
    np.testing.assert_array_equal(first, again.features())
    other = view_of(a_cell(CROPS, features="lbp(grid=5)"))
    assert other.features().shape != first.shape


def test_photos_are_detected_once_for_all_pipelines_of_a_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of(a_cell(PHOTOS))
    faces = view.faces()
    assert faces is not None
    assert not view.detector_is_bypassed
    direct = view.pipeline.detect([view.samples.images[i] for i in range(7)]).largest_per_image()
    np.testing.assert_allclose(faces.xyxy, direct.xyxy, atol=1e-3)
    assert view.crops().shape == (len(faces), 48, 48)

    again = view_of(a_cell(PHOTOS, features="hog"))
    monkeypatch.setattr(again.pipeline, "detect", None)
    np.testing.assert_array_equal(again.crops(), view.crops())


def test_folds_share_no_subject_and_score_every_face_once() -> None:
    dataset = CROPS
    scored: list[int] = []
    for fold in range(3):
        common = {"fold": fold, "n_folds": 3}
        revision = dataset_facts(dataset, ("all",)).revision
        fit = a_cell(dataset, **common).model_copy(update={"train_split": "all", "revision": revision})
        score = fit.model_copy(update={"kind": "quality", "eval_split": "all"})
        samples = view_of(fit).samples
        train, test = fold_index(fit), fold_index(score)
        assert train is not None
        assert test is not None
        assert not set(samples.subjects[train]) & set(samples.subjects[test])
        scored += test.tolist()
    assert sorted(scored) == list(range(len(load_dataset(dataset, "all"))))


def test_a_dataset_that_changes_under_a_run_is_an_error() -> None:
    cell = a_cell(CROPS).model_copy(update={"revision": "0" * 16})
    with pytest.raises(RunError, match="changed while the run"):
        view_of(cell).crops()


def test_an_edited_component_is_not_answered_from_the_cache() -> None:
    assert code_digest("features", "lbp(grid=7)") == code_digest("features", "lbp(grid=8)")
    assert code_digest("features", "lbp") != code_digest("detectors", "haar")


@pytest.mark.parametrize(
    "spec", ["{}", "union(of=[hog, {}])", "mirrored(of='{}(grid=2)')", "union(of=[mirrored(of={})])"]
)
def test_what_a_plugin_within_others_computed_is_not_kept_when_it_is_edited(
    spec: str, tmp_path: Path, monkeypatch
) -> None:
    package = tmp_path / "of_a_plugin"
    package.mkdir()
    (package / "__init__.py").write_text("grid = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    known = registry.entries("features")
    mine = registry.Entry("features", "mine", "of_a_plugin:Mine", "", package="of-a-plugin")
    monkeypatch.setattr(registry, "entries", lambda group: {**known, "mine": mine})
    monkeypatch.setattr(cache, "entries", registry.entries)
    before = code_digest("features", spec.format("mine"))
    assert code_digest("features", spec.format("mine")) == before
    (package / "__init__.py").write_text("grid = 2\n")
    assert code_digest("features", spec.format("mine")) != before


def test_what_an_exchanged_model_found_is_not_kept(tmp_path: Path) -> None:
    model = tmp_path / "y.onnx"
    model.write_bytes(b"one")
    before = code_digest("detectors", f"yunet(model='{model}')")
    model.write_bytes(b"another")
    assert code_digest("detectors", f"yunet(model='{model}')") != before


def test_facts_are_read_again_when_a_file_changes(tmp_path: Path) -> None:
    import cv2

    folder = tmp_path / "faces"
    for label in ("happy", "sad"):
        (folder / label).mkdir(parents=True)
        cv2.imwrite(str(folder / label / "1.png"), np.full((48, 48), 90, np.uint8))
    spec = f"images(path='{folder}')"
    before = dataset_facts(spec, ("all",))
    assert dataset_facts(spec, ("all",)) == before
    cv2.imwrite(str(folder / "sad" / "1.png"), np.full((48, 48), 91, np.uint8))
    os.utime(folder / "sad" / "1.png", ns=(1, 1))
    assert dataset_facts(spec, ("all",)).revision != before.revision


def test_an_empty_array_is_cached_too() -> None:
    for _ in range(2):
        assert cached_array({"what": "none"}, lambda: np.zeros((0, 6))).shape == (0, 6)


def test_stored_detections_keep_their_landmarks() -> None:
    points = np.arange(20, dtype=np.float32).reshape(2, 5, 2)
    faces = Faces.from_lists([[[0, 0, 9, 9]], [], [[1, 2, 30, 40]]], [[0.5], [], [2.0]], [points[:1], points[1:]])
    again = _as_faces(_as_table(faces, 0), 3)
    for name in ("xyxy", "score", "image_index", "landmarks"):
        np.testing.assert_array_equal(getattr(again, name), getattr(faces, name))
    plain = Faces(faces.xyxy, faces.score, faces.image_index, 3)
    assert _as_faces(_as_table(plain, 0), 3).landmarks is None
    assert len(_as_faces(np.zeros((0, 6)), 3)) == 0
