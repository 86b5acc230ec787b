"""What a pipeline learns from: labelled crops, or the largest face of each photo."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ferbench.errors import LabelError, NoFaceError, ParameterError
from ferbench.labels import FER7, LABEL_SPACES, LabelSpace
from ferbench.pipelines.crops import check_crops, resize_crops
from ferbench.samples import Samples

if TYPE_CHECKING:
    from ferbench.pipelines.pipeline import Pipeline

__all__ = ["TrainingFaces", "check_calibration_faces", "training_faces"]


@dataclass(frozen=True)
class TrainingFaces:
    """Faces to learn from.

    Attributes
    ----------
    crops : (N, s, s) uint8 gray
    labels : (N,) str
    label_space : LabelSpace
    record : dict
        Where they come from; empty for crops of nobody knows where.
    """

    crops: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.str_]
    label_space: LabelSpace
    record: dict[str, Any] = field(default_factory=dict)


def training_faces(
    pipeline: Pipeline, X: Samples | npt.NDArray[np.uint8], y: npt.ArrayLike | None = None
) -> TrainingFaces:
    """Faces as a pipeline crops them, from what :meth:`Pipeline.fit` is given.

    Raises
    ------
    ParameterError, ShapeError, LabelError
        Crops without labels, of another form, or with labels outside the label space.
    NoFaceError
        There is nothing to learn from: the pipeline's detector found no face in any photo.
    """
    if not isinstance(X, Samples):
        if y is None:
            expected = "fit(crops, labels), or fit(samples), as load_dataset(NAME, split='train') gives them"
            raise ParameterError("crops need labels", got=f"{type(X).__name__} alone", expected=expected)
        labels = np.asarray(y, dtype=np.str_)
        space = pipeline.label_space or _infer_label_space(labels)
        space.encode(labels)
        return TrainingFaces(resize_crops(check_crops(X), pipeline.input_size), labels, space)
    if X.kind == "crops":
        crops, labels = resize_crops(check_crops(np.asarray(X.images)), pipeline.input_size), X.labels
    else:
        crops, index = pipeline.crops_of_photos(X)
        labels = X.labels[index]
    if not len(crops):
        raise NoFaceError(f"{pipeline.parts.detector} found no face in {X.dataset}", got=f"{len(X)} images")
    record = {
        "dataset": X.dataset,
        "split": X.split,
        "revision": X.revision,
        "n": len(crops),
        "n_missed": len(X) - len(crops),
    }
    return TrainingFaces(crops, labels, X.label_space, record)


def check_calibration_faces(samples: Samples, learnt: npt.ArrayLike) -> None:
    """Refuse samples that a pipeline which learns these labels cannot be calibrated on."""
    from ferbench.classifiers.temperature import check_calibration_labels

    if samples.kind != "crops":
        raise ParameterError("calibration needs face crops", got=f"{samples.dataset}, {samples.kind}")
    check_calibration_labels(samples.labels, learnt)


def _infer_label_space(labels: npt.NDArray[np.str_]) -> LabelSpace:
    names = set(labels.tolist())
    for space in (FER7, *LABEL_SPACES.values()):
        if names <= set(space.labels):
            return space
    raise LabelError(
        "labels fit no known label space",
        got=", ".join(sorted(names)[:10]),
        fix="pass label_space=LabelSpace(name, labels)",
    )
