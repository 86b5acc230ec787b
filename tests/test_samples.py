"""Samples: parallel arrays that stay parallel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ferbench.errors import LabelError, ShapeError
from ferbench.labels import FER7, FERPLUS8
from ferbench.samples import Samples


def make(n: int = 4, **changes) -> Samples:
    values = {
        "images": np.arange(n * 4, dtype=np.uint8).reshape(n, 2, 2),
        "labels": np.array(["happy", "contempt", "sad", "happy"][:n]),
        "ids": np.array([f"face-{i}" for i in range(n)]),
        "label_space": FERPLUS8,
        "kind": "crops",
        "dataset": "made",
        "split": "all",
        "revision": "0",
        "subjects": np.array(["a", "a", "b", "b"][:n]),
        "votes": np.eye(8, dtype=np.float32)[:n],
        "boxes": np.zeros((n, 4), np.float32),
    }
    return Samples(**{**values, **changes})


@pytest.mark.parametrize("index", [[2, 0], np.array([True, False, True, False])])
def test_a_subset_takes_every_array_along(index):
    samples = make()
    part = samples.subset(index)
    for name in ("images", "labels", "ids", "subjects", "votes", "boxes"):
        assert np.array_equal(getattr(part, name), getattr(samples, name)[index])


def test_a_subset_of_photos_reads_only_the_images_asked_for():
    class Photos(list):
        def __getitem__(self, i):
            read.append(i)
            return super().__getitem__(i)

    read: list[int] = []
    photos = Photos(np.zeros((i + 1, 3), np.uint8) for i in range(4))
    part = make(images=photos, kind="photos").subset([3, 1])
    assert len(part) == 2
    assert read == []
    assert part.images[0].shape == (4, 3)
    assert read == [3]


def test_another_label_space_drops_what_its_map_drops_and_forgets_the_votes():
    mapped = make().with_labels(FERPLUS8.map_to(FER7, contempt="drop"))
    assert mapped.labels.tolist() == ["happy", "sad", "happy"]
    assert mapped.ids.tolist() == ["face-0", "face-2", "face-3"]
    assert mapped.label_space is FER7
    assert mapped.votes is None


def test_samples_stay_as_they_are_within_a_space_that_has_their_labels():
    samples = make()
    assert samples.within(FERPLUS8) is samples
    assert samples.within(FER7, contempt="neutral").labels.tolist() == ["happy", "neutral", "sad", "happy"]
    with pytest.raises(LabelError, match="contempt"):
        samples.within(FER7)


def test_groups_are_subjects_where_known_and_single_faces_otherwise():
    assert make().groups.tolist() == ["a", "a", "b", "b"]
    assert make(subjects=None).groups.tolist() == make().ids.tolist()


@pytest.mark.parametrize("name", ["labels", "ids", "subjects", "votes", "boxes"])
def test_arrays_of_different_length_are_refused_by_name(name):
    samples = make()
    with pytest.raises(ShapeError, match=f"Samples.{name}.*got 3, expected 4"):
        replace(samples, **{name: getattr(samples, name)[:3]})


def test_crops_that_are_no_byte_array_and_labels_of_another_space_are_refused():
    with pytest.raises(ShapeError, match="uint8"):
        make(images=np.zeros((4, 2, 2), np.float32))
    with pytest.raises(LabelError, match="contempt"):
        make(label_space=FER7)
