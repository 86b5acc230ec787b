"""Checks of datasets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferbench.contracts import Dataset
from ferbench.errors import FerbenchError, UnknownNameError
from ferbench.faces import check_image
from ferbench.samples import DatasetInfo, Samples
from ferbench.testing.requirements import require, require_error

__all__ = ["check_dataset"]


def check_dataset(dataset: Any, *, splits: Sequence[str] | None = None, images: int = 20) -> None:
    """Check a dataset: a name, spec or path, or an object with ``info``, ``revision`` and ``split``.

    Every split can be had, twice alike; labels are names of the label space; ids are unique;
    images are RGB or gray uint8, all of one size where they are crops; ``all`` is the splits together; an unknown
    split raises :class:`UnknownNameError`; the revision is stable.

    Parameters
    ----------
    dataset : str or Dataset
    splits : sequence of str, optional
        Splits to look at, where this machine lacks some; all that ``info`` names by default.
    images : int
        How many images of each split to look at: those of photos are read from disk.
    """
    from ferbench.datasets import load_dataset

    given: Dataset = load_dataset(dataset)
    info = given.info
    require(isinstance(info, DatasetInfo), "info", type(info).__name__, "DatasetInfo")
    require(bool(info.name and info.title and info.licence), "info", info, "a name, a title and a licence")
    revision = given.revision
    require(re.fullmatch("[0-9a-f]{16}", revision) is not None, "revision", revision, "16 hex digits")
    require(given.revision == revision, "revision asked for again", given.revision, revision)
    total = 0
    for name in splits or info.splits or ("all",):  # some have no official splits
        samples = given.split(name)
        require(isinstance(samples, Samples), f"split {name}", type(samples).__name__, "Samples")
        require(samples.split == name, f"split of split {name}", samples.split, name)
        require(samples.revision == revision, f"revision of split {name}", samples.revision, revision)
        unknown = set(samples.labels.tolist()) - set(info.label_space.labels)
        require(not unknown, f"labels of {name}", sorted(unknown), ", ".join(info.label_space.labels))
        require(len(set(samples.ids.tolist())) == len(samples), f"ids of {name}", "some twice", "each once")
        again = given.split(name)
        same = np.array_equal(again.ids, samples.ids) and np.array_equal(again.labels, samples.labels)
        require(same, f"split {name} asked for again", "others", "the same faces in the same order")
        _check_images(samples, images)
        total += len(samples)
    require(total > 0, "splits", "no image at all", "some")
    require(len(given.split("all")) == total, "images of 'all'", len(given.split("all")), f"{total}, all splits")
    require_error(lambda: given.split("no-such-split"), UnknownNameError, "an unknown split")


def _check_images(samples: Samples, n: int) -> None:
    first = [samples.images[i] for i in range(min(n, len(samples)))]
    for image in first:
        try:
            check_image(image)
        except FerbenchError as error:
            require(False, f"an image of {samples.split}", error, "(H, W) or (H, W, 3) uint8")
    if samples.kind == "crops":
        shapes = {image.shape for image in first}
        require(len(shapes) <= 1, f"crops of {samples.split}", f"shapes {shapes}", "one shape (h, w)")
