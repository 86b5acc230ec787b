"""Figures that describe a dataset: classes, sizes, gray values, subjects, agreement of the annotators."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ferbench.contracts import Dataset
from ferbench.datasets.audit import class_counts, split_samples
from ferbench.faces import as_gray

__all__ = ["dataset_statistics"]


def dataset_statistics(dataset: Dataset) -> dict[str, Any]:
    """Describe a dataset in plain JSON values.

    Returns
    -------
    dict
        ``counts`` by split and class; ``smallest`` and ``largest`` image as [width, height] in pixels; ``gray_mean``
        and ``gray_std`` over all pixels, 0 to 255; ``majority`` class and ``majority_share``; ``imbalance`` of the
        largest to the smallest class that occurs; ``n_subjects``; ``votes_for_label``, the mean share of the
        annotators' votes that the label has.
    """
    samples, splits = split_samples(dataset)
    total, squares, pixels = 0.0, 0.0, 0
    sizes: list[tuple[int, int]] = []
    for i in range(len(samples)):
        gray = as_gray(samples.images[i])
        sizes.append((gray.shape[1], gray.shape[0]))
        wide = gray.astype(np.float64)
        total, squares, pixels = total + float(wide.sum()), squares + float(np.square(wide).sum()), pixels + gray.size
    mean = total / pixels
    by_area = sorted(sizes, key=lambda size: size[0] * size[1])
    classes = Counter(samples.labels.tolist()).most_common()
    subjects = None if samples.subjects is None else len(np.unique(samples.subjects))
    agreement = None
    if samples.votes is not None:
        of_label = samples.votes[np.arange(len(samples)), samples.label_space.encode(samples.labels)]
        agreement = float(of_label.mean())
    return {
        "name": dataset.info.name,
        "title": dataset.info.title,
        "kind": dataset.info.kind,
        "is_synthetic": dataset.info.is_synthetic,
        "revision": samples.revision,
        "labels": list(samples.label_space.labels),
        "n_images": len(samples),
        "counts": class_counts(samples, splits, dataset.info),
        "smallest": list(by_area[0]),
        "largest": list(by_area[-1]),
        "gray_mean": mean,
        "gray_std": float(np.sqrt(max(squares / pixels - mean**2, 0.0))),
        "majority": classes[0][0],
        "majority_share": classes[0][1] / len(samples),
        "imbalance": classes[0][1] / classes[-1][1],
        "n_subjects": subjects,
        "images_per_subject": None if subjects is None else len(samples) / subjects,
        "votes_for_label": agreement,
    }
