"""How much of a pipeline's accuracy is left when face crops are spoilt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.corruptions import CORRUPTIONS, SEVERITIES
from ferbench.benchmarks.evaluation import in_label_space
from ferbench.benchmarks.evidence import Estimate
from ferbench.benchmarks.means import estimate_of_means, ratio
from ferbench.benchmarks.spoilt import BATCH, classify_spoilt
from ferbench.errors import DataError, ParameterError, UnknownNameError
from ferbench.labels import ContemptPolicy
from ferbench.samples import Samples

if TYPE_CHECKING:
    from ferbench.pipelines import Pipeline

__all__ = ["Robustness", "measure_robustness", "parse_corruptions"]


@dataclass(frozen=True)
class Robustness:
    """Accuracies of one pipeline on the same faces, clean and spoilt.

    Attributes
    ----------
    n : int
        Faces.
    clean : Estimate
        Accuracy on the faces as they are.
    accuracy : dict of str to tuple of five float
        By corruption, at severities 1 to 5.
    mean : Estimate
        Mean accuracy over all corruptions and severities.
    relative : Estimate
        ``mean`` over ``clean``: the share of the accuracy that is left. NaN where nothing is right at all.
    interval_over : str
        What was resampled for the intervals: ``subjects`` or ``faces``.
    seed : int
    """

    n: int
    clean: Estimate
    accuracy: dict[str, tuple[float, ...]]
    mean: Estimate
    relative: Estimate
    interval_over: str
    seed: int


def parse_corruptions(text: str) -> tuple[str, ...]:
    """Names from ``all`` or ``noise,jpeg``, in the order of the table.

    Raises
    ------
    UnknownNameError, ParameterError
        An unknown name; no name at all.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return tuple(CORRUPTIONS)
    for name in names:
        if name not in CORRUPTIONS:
            raise UnknownNameError("corruption", name, CORRUPTIONS)
    if not names:
        raise ParameterError("no corruption is named", expected=f"all, or some of {', '.join(CORRUPTIONS)}")
    return tuple(name for name in CORRUPTIONS if name in names)


def measure_robustness(
    pipeline: Pipeline,
    samples: Samples,
    names: Sequence[str] = tuple(CORRUPTIONS),
    *,
    contempt: ContemptPolicy = "error",
    seed: int = 0,
    clean: npt.NDArray[np.bool_] | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Robustness:
    """Classify face crops under each corruption at each severity.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted.
    samples : Samples
        Crops: on photographs a corruption would first of all be the detector's trouble.
    names : sequence of str
        Corruptions, see :data:`~ferbench.benchmarks.corruptions.CORRUPTIONS`.
    contempt : "error", "drop", "disgust" or "neutral"
        What becomes of contempt where the data set has it and the pipeline does not.
    seed : int
        Seeds the corruptions and the bootstrap.
    clean : (N,) bool, optional
        Which faces are right as they are, where that is known already; one for each that the label map keeps.
    on_progress : callable, optional
        Called with the number of faces just classified: ``5 * len(names)`` times all of them, and once more where
        ``clean`` is not known.

    Raises
    ------
    DataError
        Photographs, or nothing to score.
    ParameterError
        ``clean`` is of other faces.
    """
    if samples.kind != "crops":
        raise DataError(
            "corruptions are measured on face crops",
            got=f"{samples.dataset}, which holds {samples.kind}",
            expected="a data set of crops, such as fer2013",
        )
    samples = in_label_space(samples, pipeline, contempt)
    crops, everyone = np.asarray(samples.images), np.arange(len(samples))
    labels = np.asarray(pipeline.labels)
    if clean is None:
        clean = np.concatenate([
            labels[pipeline.classify(crops[start : start + BATCH]).argmax(axis=1)]
            == samples.labels[start : start + BATCH]
            for start in range(0, len(samples), BATCH)
        ])  # fmt: skip
        if on_progress:
            on_progress(len(samples))
    if clean.shape != (len(samples),):
        raise ParameterError("clean answers and faces differ in number", got=clean.shape, expected=(len(samples),))
    right = [clean]
    for name in names:
        for severity in SEVERITIES:
            found = classify_spoilt(pipeline, crops, everyone, name, severity, seed=seed, on_progress=on_progress)
            right.append(labels[found.argmax(axis=1)] == samples.labels)
    table = np.stack(right, axis=1)
    at = table.mean(axis=0)[1:].reshape(len(names), len(SEVERITIES))
    estimates = estimate_of_means(table.astype(np.float64), samples.groups, _main_figures, seed)
    return Robustness(
        n=len(samples),
        clean=estimates["clean"],
        accuracy={name: tuple(float(v) for v in row) for name, row in zip(names, at, strict=True)},
        mean=estimates["mean"],
        relative=estimates["relative"],
        interval_over="faces" if samples.subjects is None else "subjects",
        seed=seed,
    )


def _main_figures(accuracy: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
    clean, mean = accuracy[:, 0], accuracy[:, 1:].mean(axis=1)
    return {"clean": clean, "mean": mean, "relative": ratio(mean, clean)}
