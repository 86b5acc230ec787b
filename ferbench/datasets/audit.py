"""What is wrong with a dataset, before anything is learned from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.contracts import Dataset
from ferbench.datasets.near_duplicates import Fingerprints, connected_groups, fingerprint, near_pairs
from ferbench.errors import DataError
from ferbench.samples import DatasetInfo, Samples

__all__ = ["AuditReport", "DuplicateReport", "audit", "split_samples"]

NEAR_RADIUS = 6
NEAR_CORRELATION = 0.93
"""Bits of the hash, and correlation of the thumbnails. Set by eye on FER2013: at 0.93 and above pairs show the same
photograph (rescaled, cropped a little, recompressed), below 0.91 strangers in the same pose begin to come in."""


@dataclass(frozen=True)
class DuplicateReport:
    """Groups of images that are copies of each other.

    Attributes
    ----------
    groups : list of list of str
        Ids of each group.
    n_redundant : int
        Images that could be left out with one of each group kept.
    n_groups_across_splits : int
        Groups with members in more than one split: what was learned is then asked.
    across : {"train, val": number of groups}
        The same by the splits concerned.
    n_leaked : {split: number of images}
        Images of each split but the first that have a copy in an earlier one.
    conflicting : list of list of (str, str)
        ``(id, label)`` of the groups whose members have different labels.
    """

    groups: list[list[str]]
    n_redundant: int
    n_groups_across_splits: int
    across: dict[str, int]
    n_leaked: dict[str, int]
    conflicting: list[list[tuple[str, str]]]


@dataclass(frozen=True)
class AuditReport:
    """The findings of :func:`audit`.

    Attributes
    ----------
    name, title, revision : str
        Of the dataset.
    location : str
        File or folder that was read; empty for generated data.
    is_synthetic : bool
    labels : list of str
    counts, official : {split: {label: n}}
        Class counts as found and as published (for the splits that have published ones).
    shapes : list of (height, width)
        Image sizes in pixels, at most ten.
    blank : list of str
        Ids of images in which all pixels are nearly the same.
    exact, near : DuplicateReport
        Equal pixels; and pictures that look the same, equal ones included.
    n_subjects : int or None
    subjects_across : list of str
        Subjects that are in more than one split.
    skipped : list of (row, reason)
        What could not be read.
    excluded : {reason: n}
        What the dataset's own protocol leaves out.
    """

    name: str
    title: str
    revision: str
    location: str
    is_synthetic: bool
    labels: list[str]
    counts: dict[str, dict[str, int]]
    official: dict[str, dict[str, int]]
    shapes: list[tuple[int, int]]
    blank: list[str]
    exact: DuplicateReport
    near: DuplicateReport
    n_subjects: int | None = None
    subjects_across: list[str] = field(default_factory=list)
    skipped: list[tuple[int | str, str]] = field(default_factory=list)
    excluded: dict[str, int] = field(default_factory=dict)

    @property
    def n_images(self) -> int:
        """Number of readable images."""
        return sum(sum(count.values()) for count in self.counts.values())

    def deviations(self) -> dict[str, dict[str, int]]:
        """Found minus published count of each split and class, where it is not zero."""
        found: dict[str, dict[str, int]] = {}
        for split, official in self.official.items():
            counts = self.counts.get(split, {})
            differing = {label: counts.get(label, 0) - n for label, n in official.items() if counts.get(label, 0) != n}
            if differing:
                found[split] = differing
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {**asdict(self), "n_images": self.n_images, "deviations": self.deviations()}


def audit(
    dataset: Dataset, *, near_radius: int = NEAR_RADIUS, near_correlation: float = NEAR_CORRELATION
) -> AuditReport:
    """Look for blank images, copies within and across splits, contradicting labels, wrong counts, unreadable rows.

    Parameters
    ----------
    dataset : Dataset
    near_radius : int
        Most bits in which the hashes of near duplicates differ.
    near_correlation : float
        Least correlation of their thumbnails.

    Examples
    --------
    >>> from ferbench.datasets import audit, load_dataset  # doctest: +SKIP
    >>> audit(load_dataset("fer2013")).exact.n_groups_across_splits  # doctest: +SKIP
    """
    samples, splits = split_samples(dataset)
    info = dataset.info
    prints = fingerprint(samples.images)
    exact = _equal_groups(prints)
    near = connected_groups(near_pairs(prints, radius=near_radius, correlation=near_correlation), len(samples))
    return AuditReport(
        name=info.name,
        title=info.title,
        revision=samples.revision,
        location=str(getattr(dataset, "location", "")),
        is_synthetic=info.is_synthetic,
        labels=list(info.label_space.labels),
        counts=class_counts(samples, splits, info),
        official={split: dict(counts) for split, counts in info.official_counts.items()},
        shapes=sorted(prints.shapes)[:10],
        blank=samples.ids[prints.is_blank].tolist(),
        exact=_duplicates(exact, samples, splits, info),
        near=_duplicates(near, samples, splits, info),
        n_subjects=None if samples.subjects is None else len(np.unique(samples.subjects)),
        subjects_across=_subjects_across(samples, splits),
        skipped=[(row, reason) for row, reason in getattr(dataset, "skipped", [])],
        excluded=dict(getattr(dataset, "excluded", {})),
    )


def split_samples(dataset: Dataset) -> tuple[Samples, npt.NDArray[np.str_]]:
    """All samples of a dataset, and (N,) str the split of each (``"all"`` where there is none)."""
    samples = dataset.split("all")
    of_id: dict[str, str] = {}
    for name in dataset.info.splits:
        if name == "all":
            continue
        try:
            ids = dataset.split(name).ids
        except DataError:  # this edition of the dataset lacks the split
            continue
        of_id.update(dict.fromkeys(ids.tolist(), name))
    return samples, np.array([of_id.get(name, "all") for name in samples.ids.tolist()], dtype=np.str_)


def class_counts(samples: Samples, splits: npt.NDArray[np.str_], info: DatasetInfo) -> dict[str, dict[str, int]]:
    """``{split: {label: n}}`` in the official order, classes without a sample included."""
    order = [name for name in (*info.splits, "all") if (splits == name).any()]
    counted = {name: Counter(samples.labels[splits == name].tolist()) for name in dict.fromkeys(order)}
    return {name: {label: counts[label] for label in info.label_space.labels} for name, counts in counted.items()}


def _equal_groups(prints: Fingerprints) -> list[npt.NDArray[np.int64]]:
    """Groups of equal images; blank ones are reported as blank, not as copies."""
    members: dict[bytes, list[int]] = {}
    for i, digest in enumerate(prints.exact):
        if not prints.is_blank[i]:
            members.setdefault(digest, []).append(i)
    return [np.array(group, dtype=np.int64) for group in members.values() if len(group) > 1]


def _duplicates(
    groups: list[npt.NDArray[np.int64]], samples: Samples, splits: npt.NDArray[np.str_], info: DatasetInfo
) -> DuplicateReport:
    order = {name: at for at, name in enumerate((*info.splits, "all"))}
    across: Counter[str] = Counter()
    leaked: Counter[str] = Counter()
    conflicting = []
    for group in groups:
        of_group = Counter(splits[group].tolist())
        concerned = sorted(of_group, key=order.__getitem__)
        if len(concerned) > 1:
            across[", ".join(concerned)] += 1
            leaked.update({name: of_group[name] for name in concerned[1:]})
        if len(np.unique(samples.labels[group])) > 1:
            conflicting.append(list(zip(samples.ids[group].tolist(), samples.labels[group].tolist(), strict=True)))
    return DuplicateReport(
        groups=[samples.ids[group].tolist() for group in groups],
        n_redundant=sum(len(group) - 1 for group in groups),
        n_groups_across_splits=sum(across.values()),
        across=dict(across),
        n_leaked=dict(leaked),
        conflicting=conflicting,
    )


def _subjects_across(samples: Samples, splits: npt.NDArray[np.str_]) -> list[str]:
    if samples.subjects is None:
        return []
    seen: dict[str, set[str]] = {}
    for subject, split in zip(samples.subjects.tolist(), splits.tolist(), strict=True):
        seen.setdefault(subject, set()).add(split)
    return sorted(subject for subject, where in seen.items() if len(where) > 1)
