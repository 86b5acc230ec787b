"""The decoded copy of a dataset: right or rebuilt, never half, and its digest says what is in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ferbench.datasets.content import CacheWarning, Content, Skipped, cached, content_digest
from ferbench.datasets.paths import cache_dir


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FERBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def content(noise):
    return Content(
        images=np.stack([noise(), noise(), noise()]),
        labels=np.array(["happy", "sad", "happy"]),
        ids=np.array(["a", "b", "c"]),
        splits=np.array(["train", "train", "test"]),
        subjects=np.array(["S1", "S1", "S2"]),
        votes=np.array([[0.5, 0.5], [1, 0], [0, 1]], np.float32),
        skipped=[Skipped(7, "3 pixels"), Skipped("x/y.png", "is empty")],
        excluded={"no majority": 4},
    )


def test_what_comes_back_equals_what_was_built_and_is_not_built_again(content):
    built = []

    def build():
        built.append(1)
        return content

    first, second = cached(["key"], build), cached(["key"], build)
    assert len(built) == 1
    for got in (first, second):
        assert isinstance(got.images, np.memmap)
        for name in ("images", "labels", "ids", "splits", "subjects", "votes"):
            np.testing.assert_array_equal(getattr(got, name), getattr(content, name))
        assert (got.skipped, got.excluded) == (content.skipped, content.excluded)
        assert got.revision == content_digest(content)


def test_another_key_is_another_copy(content):
    cached(["key"], lambda: content)
    other = cached(["other"], lambda: replace(content, labels=np.array(["sad"] * 3)))
    assert other.labels.tolist() == ["sad"] * 3


@pytest.mark.parametrize("name", ["images.npy", "table.npz", "facts.json"])
@pytest.mark.parametrize("damage", [b"", b"damaged", None])
def test_a_damaged_copy_is_built_again(content, name, damage):
    cached(["key"], lambda: content)
    file = next(cache_dir().rglob(name))
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
    np.testing.assert_array_equal(cached(["key"], lambda: content).images, content.images)
    assert next(cache_dir().rglob(name)).stat().st_size > 10


def test_a_cache_that_cannot_be_written_costs_a_warning_only(content, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("FERBENCH_CACHE", str(blocked))
    with pytest.warns(CacheWarning, match="set FERBENCH_CACHE"):
        got = cached(["key"], lambda: content)
    assert got.revision == content_digest(content)


def test_nothing_is_left_behind_when_building_fails(content):
    with pytest.raises(RuntimeError, match="interrupted"):
        cached(["key"], lambda: (_ for _ in ()).throw(RuntimeError("interrupted")))
    assert not list(cache_dir().rglob("*")) or not any(p.is_file() for p in cache_dir().rglob("*"))


def test_the_digest_depends_on_content_and_not_on_order(content):
    order = [2, 0, 1]
    shuffled = replace(
        content,
        **{name: getattr(content, name)[order] for name in ("images", "labels", "ids", "splits", "subjects", "votes")},
    )
    assert content_digest(shuffled) == content_digest(content)
    for name, value in {
        "labels": np.array(["happy", "sad", "sad"]),
        "splits": np.array(["train", "test", "test"]),
        "ids": np.array(["a", "b", "d"]),
        "images": np.asarray(content.images) ^ 1,
        "votes": np.flip(content.votes, axis=1),
        "subjects": np.array(["S1", "S3", "S2"]),
    }.items():
        assert content_digest(replace(content, **{name: value})) != content_digest(content), name
