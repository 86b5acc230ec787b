"""Which faces a model must not be judged on."""

from __future__ import annotations

import pytest

from ferbench.datasets import has_learnt_from
from ferbench.pipelines.lineage import ancestors_of

FER = {"dataset": "fer2013", "split": "train", "revision": "a" * 16}


@pytest.mark.parametrize(
    ("trained", "dataset", "revision", "split", "seen"),
    [
        (FER, "fer2013", "a" * 16, "train", True),
        (FER, "fer2013(path=/elsewhere.csv)", "a" * 16, "train", True),
        (FER, "fer2013", "a" * 16, "all", True),
        (FER, "fer2013", "a" * 16, "val", False),
        (FER, "fer2013", "b" * 16, "train", False),
        (FER, "ferplus(mode=majority)", "b" * 16, "train", True),
        (FER, "ferplus", "b" * 16, "val", False),
        ({**FER, "dataset": "ferplus"}, "fer2013", "b" * 16, "train", True),
        ({**FER, "dataset": "ferplus", "split": "all"}, "fer2013", "b" * 16, "test", True),
        ({**FER, "dataset": "ferplus(mode=majority)"}, "ferplus(mode=plurality)", "b" * 16, "train", True),
        ({**FER, "dataset": "ferplus"}, "ferplus", "b" * 16, "val", False),
        (FER, "ckplus", "b" * 16, "train", False),
        (FER, "./my/faces", "b" * 16, "train", False),
        ({**FER, "dataset": "faces"}, "images(path=/my/faces)", "a" * 16, "train", True),
        ({**FER, "dataset": "faces"}, "./renamed", "a" * 16, "all", True),
        ({**FER, "dataset": "faces"}, "./renamed", "a" * 16, "val", False),
        ({**FER, "dataset": "faces", "revision": ""}, "./renamed", "", "train", False),
        ({"dataset": None, "split": "train"}, "fer2013", "a" * 16, "train", False),
        ({}, "fer2013", "a" * 16, "all", False),
    ],
)
def test_the_same_pictures_are_known_by_content_or_origin(trained, dataset, revision, split, seen) -> None:
    assert has_learnt_from(trained, dataset=dataset, revision=revision, split=split) is seen


def test_what_came_before_a_model_counts_as_learnt() -> None:
    seen = {"dataset": "fer2013", "split": "test", "revision": "a"}
    other = {"dataset": "ckplus", "split": "all", "revision": "b"}
    asked = {"dataset": "fer2013", "revision": "a", "split": "test"}
    assert not has_learnt_from(other | {"ancestors": [other]}, **asked)
    assert has_learnt_from(other | {"ancestors": [other, seen]}, **asked)
    member = {"pipeline": "one", "ancestors": [{"role": "teacher", "name": "big", **seen}]}
    ensemble = other | {"members": [{"pipeline": "two"}, member]}
    assert has_learnt_from(ensemble, **asked)
    assert ancestors_of(ensemble) == member["ancestors"]
