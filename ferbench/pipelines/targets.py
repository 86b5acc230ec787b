"""What a network learns instead of one label a face: shares of many annotators' votes, and what teachers say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ferbench.datasets import load_dataset
from ferbench.errors import DataError, ParameterError
from ferbench.pipelines.crops import resize_crops

if TYPE_CHECKING:
    from ferbench.pipelines.pipeline import Pipeline
    from ferbench.samples import Samples

__all__ = ["distilled_targets", "label_targets", "teacher_answers", "vote_targets"]

Targets = npt.NDArray[np.float32]

TEACHER_BATCH = 512


def label_targets(samples: Samples) -> Targets:
    """(N, C) float32 one-hot targets over the sorted labels."""
    hot: Targets = (samples.labels[:, None] == np.unique(samples.labels)[None]).astype(np.float32)
    return hot


def vote_targets(samples: Samples, share: float) -> Targets:
    """(N, C) float32 targets over the sorted labels: one-hot labels mixed with the shares of annotators' votes.

    Faces without votes, or in which nobody saw one of the labels, keep their one-hot target (Barsoum, Zhang, Canton
    Ferrer and Zhang 2016, *Training deep networks for facial expression recognition with crowd-sourced label
    distribution*).

    Parameters
    ----------
    samples : Samples
        With votes of their own, or of FER2013, whose pictures have FER+'s.
    share : float
        How much of a target comes from the votes, 0 to 1.
    """
    _check_share("soft labels", share)
    if samples.votes is None and samples.dataset != "fer2013":
        raise DataError("soft labels are of faces with votes", got=samples.dataset, expected="fer2013, or ferplus")
    targets, classes = label_targets(samples), np.unique(samples.labels)
    voted = samples if samples.votes is not None else load_dataset("ferplus(mode=plurality)", split=samples.split)
    if voted.votes is None:
        raise DataError("FER+ came without votes")
    columns = voted.label_space.encode(classes)
    position = {face: i for i, face in enumerate(voted.ids.tolist())}
    rows = np.array([position.get(face, -1) for face in samples.ids.tolist()])
    votes = voted.votes[rows][:, columns]
    total = votes.sum(axis=1, keepdims=True)
    usable = (rows >= 0) & (total[:, 0] > 0)
    targets[usable] = (1 - share) * targets[usable] + share * votes[usable] / total[usable]
    return targets


def distilled_targets(
    targets: Targets,
    samples: Samples,
    teachers: Sequence[Pipeline],
    share: float,
    *,
    ask: Callable[[Pipeline, Samples], Targets] | None = None,
) -> Targets:
    """Targets mixed with the mean of what teachers say of each face and of its mirror image.

    Hinton, Vinyals and Dean 2015, *Distilling the knowledge in a neural network*, with the teachers' answers computed
    once for every face.

    Parameters
    ----------
    targets : (N, C) float32
        Over the sorted labels of ``samples``.
    samples : Samples
        Crops; only the training split, never one that is judged on.
    teachers : sequence of Pipeline
        Fitted; each must know all labels of ``samples`` and no other.
    share : float
        How much of a target comes from the teachers, 0 to 1.
    ask : callable, optional
        Gives a teacher's answers, for those who keep them; :func:`teacher_answers` by default.
    """
    _check_share("distillation", share)
    if samples.kind != "crops":
        raise DataError("teachers need face crops", got=f"{samples.dataset}, {samples.kind}")
    classes = np.unique(samples.labels).tolist()
    for teacher in teachers:
        if sorted(teacher.classes_) != classes:
            known = ", ".join(sorted(teacher.classes_))
            raise ParameterError(f"the teacher {teacher.id} has other labels", got=known, expected=", ".join(classes))
    said = sum((ask or teacher_answers)(teacher, samples) for teacher in teachers)
    mixed: Targets = ((1 - share) * targets + share * said / len(teachers)).astype(np.float32)
    return mixed


def teacher_answers(teacher: Pipeline, samples: Samples) -> Targets:
    """(N, C) float32 over the sorted labels: the mean of what a pipeline says of each face and of its mirror image."""
    crops = resize_crops(np.asarray(samples.images), teacher.input_size)
    columns = [teacher.labels.index(name) for name in sorted(teacher.classes_)]
    said = np.empty((len(crops), len(columns)), np.float32)
    for start in range(0, len(crops), TEACHER_BATCH):
        part = crops[start : start + TEACHER_BATCH]
        views = teacher.classify(part) + teacher.classify(np.ascontiguousarray(part[:, :, ::-1]))
        said[start : start + TEACHER_BATCH] = views[:, columns] / 2
    return said


def _check_share(what: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise ParameterError(f"{what}: a share", got=share, expected="0 to 1")
