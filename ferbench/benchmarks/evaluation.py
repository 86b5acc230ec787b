"""One fitted pipeline on one split: predictions face by face, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.records import QualitySummary
from ferbench.benchmarks.summary import summarise_quality
from ferbench.benchmarks.views import best_overlap_per_image
from ferbench.errors import DataError
from ferbench.faces import Faces
from ferbench.labels import ContemptPolicy
from ferbench.samples import Samples

if TYPE_CHECKING:
    import pandas as pd

    from ferbench.pipelines import Pipeline

__all__ = ["Evaluation", "evaluate", "in_label_space"]

BATCH = 64
"""Photos held in memory at once; crops are classified by thousands."""


@dataclass(frozen=True)
class Evaluation:
    """What a pipeline did on a split.

    Attributes
    ----------
    quality : QualitySummary
        Metrics with 95 % intervals.
    items : pandas.DataFrame
        One row per sample: id, subject, truth, predicted (empty where the face was missed), detected, ``p_<label>``.
    n_dropped : int
        Samples left out by the label map (contempt, where the policy is ``drop``).
    """

    quality: QualitySummary
    items: pd.DataFrame
    n_dropped: int


def evaluate(
    pipeline: Pipeline,
    samples: Samples,
    *,
    contempt: ContemptPolicy = "error",
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Score a fitted pipeline; a missed face is wrong.

    The prediction is always made among all the labels that the pipeline knows, also those that the dataset lacks.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted.
    samples : Samples
        Crops bypass the detector. In photos the face that overlaps the true box best is scored where true boxes are
        known, the largest otherwise.
    contempt : "error", "drop", "disgust" or "neutral"
        What becomes of contempt where the dataset has it and the pipeline does not.
    seed : int
        Seed of the bootstrap.
    on_progress : callable, optional
        Called with the number of samples just done.

    Raises
    ------
    DataError
        Nothing is left to score.
    LabelError
        The dataset has labels that the pipeline does not know.
    """
    n = len(samples)
    samples = in_label_space(samples, pipeline, contempt)
    probabilities = np.full((len(samples), len(pipeline.labels)), np.nan, np.float32)
    for index, found in _batches(pipeline, samples):
        probabilities[index] = found
        if on_progress:
            on_progress(len(index))
    if on_progress:
        on_progress(len(samples) - int((~np.isnan(probabilities[:, 0])).sum()))
    items = _items(samples, pipeline.labels, probabilities)
    quality = summarise_quality(
        items, list(pipeline.labels), detector_bypassed=samples.kind == "crops", seed=seed, tie_group=1
    )
    return Evaluation(quality, items, n - len(samples))


def in_label_space(samples: Samples, pipeline: Pipeline, contempt: ContemptPolicy = "error") -> Samples:
    """The samples under labels that the pipeline knows.

    Raises
    ------
    DataError
        Nothing is left to score.
    LabelError
        The dataset has labels that the pipeline does not know.
    """
    if pipeline.label_space is not None:
        samples = samples.within(pipeline.label_space, contempt=contempt)
    if not len(samples):
        raise DataError(f"{samples.dataset} has nothing to score", got=f"split {samples.split!r}")
    return samples


def _batches(pipeline: Pipeline, samples: Samples) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """Positions of found faces, and their probabilities."""
    size = 2048 if samples.kind == "crops" else BATCH
    for start in range(0, len(samples), size):
        index = np.arange(start, min(start + size, len(samples)))
        if isinstance(samples.images, np.ndarray) and samples.kind == "crops":
            yield index, pipeline.classify(samples.images[index[0] : index[-1] + 1])
            continue
        images = [samples.images[int(i)] for i in index]
        faces = _scored_faces(pipeline.detect(images), samples, index)
        if len(faces):
            yield index[faces.image_index], pipeline.classify(pipeline.crop(images, faces))


def _scored_faces(faces: Faces, samples: Samples, index: npt.NDArray[np.int64]) -> Faces:
    return faces.largest_per_image() if samples.boxes is None else best_overlap_per_image(faces, samples.boxes[index])


def _items(samples: Samples, labels: tuple[str, ...], probabilities: npt.NDArray[np.float32]) -> pd.DataFrame:
    import pandas as pd

    found = ~np.isnan(probabilities[:, 0])
    predicted = np.full(len(samples), "", dtype=object)
    predicted[found] = np.asarray(labels, dtype=object)[probabilities[found].argmax(axis=1)]
    columns: dict[str, Any] = {
        "id": samples.ids.astype(object),
        "subject": np.full(len(samples), None) if samples.subjects is None else samples.subjects.astype(object),
        "truth": samples.labels.astype(object),
        "predicted": predicted,
        "detected": found,
    }
    return pd.DataFrame({**columns, **{f"p_{label}": probabilities[:, i] for i, label in enumerate(labels)}})
