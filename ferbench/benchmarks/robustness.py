"""How much of a pipeline's accuracy is left when face crops are spoilt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from ferbench.benchmarks.evaluation import in_label_space
from ferbench.benchmarks.records import Estimate
from ferbench.benchmarks.statistics import N_RESAMPLES, resample_weights
from ferbench.errors import DataError, ParameterError, UnknownNameError
from ferbench.labels import ContemptPolicy
from ferbench.samples import Samples

if TYPE_CHECKING:
    from ferbench.pipelines import Pipeline

__all__ = ["Robustness", "measure_robustness", "parse_corruptions"]

BATCH = 2048


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
    on_progress: Callable[[int], None] | None = None,
) -> Robustness:
    """Classify face crops clean, then under each corruption at each severity.

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
    on_progress : callable, optional
        Called with the number of faces just classified; ``len(samples) * (1 + 5 * len(names))`` in all.

    Raises
    ------
    DataError
        Photographs, or nothing to score.
    """
    if samples.kind != "crops":
        raise DataError(
            "corruptions are measured on face crops",
            got=f"{samples.dataset}, which holds {samples.kind}",
            expected="a data set of crops, such as fer2013",
        )
    samples = in_label_space(samples, pipeline, contempt)
    crops, conditions = np.asarray(samples.images), [(name, severity) for name in names for severity in SEVERITIES]
    labels = np.asarray(pipeline.labels)
    right = np.zeros((len(samples), 1 + len(conditions)), np.float64)
    for start in range(0, len(samples), BATCH):
        batch, truth = crops[start : start + BATCH], samples.labels[start : start + BATCH]
        mine = right[start : start + BATCH]
        for column in range(1 + len(conditions)):
            shown = batch if not column else corrupt(batch, *conditions[column - 1], seed=seed, first=start)
            mine[:, column] = labels[pipeline.classify(shown).argmax(axis=1)] == truth
            if on_progress:
                on_progress(len(batch))
    at = right.mean(axis=0)[1:].reshape(len(names), len(SEVERITIES))
    clean, mean, relative = _estimates(right, samples.groups, seed)
    return Robustness(
        n=len(samples),
        clean=clean,
        accuracy={name: tuple(float(v) for v in row) for name, row in zip(names, at, strict=True)},
        mean=mean,
        relative=relative,
        interval_over="faces" if samples.subjects is None else "subjects",
        seed=seed,
    )


def _estimates(
    right: npt.NDArray[np.float64], groups: npt.NDArray[np.str_], seed: int
) -> tuple[Estimate, Estimate, Estimate]:
    """Clean accuracy, mean corrupted accuracy and their ratio, with 95 % percentile intervals over groups."""
    who = np.unique(groups, return_inverse=True)[1]
    n_groups = int(who.max()) + 1
    table = np.stack([np.ones(len(right)), right[:, 0], right[:, 1:].mean(axis=1)], axis=1)
    sums = np.zeros((n_groups, 3))
    np.add.at(sums, who, table)

    def figures(totals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        n, clean, corrupted = totals.T
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([clean / n, corrupted / n, np.where(clean > 0, corrupted / clean, np.nan)])

    point = figures(sums.sum(axis=0, keepdims=True))[:, 0]
    if n_groups < 2 or np.isnan(point).any():
        clean, mean, relative = (Estimate(value=float(v)) for v in point)
        return clean, mean, relative
    drawn = np.concatenate([figures(w @ sums) for w in resample_weights(n_groups, N_RESAMPLES, seed)], axis=1)
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=1)
    clean, mean, relative = (
        Estimate(value=float(v), low=float(a), high=float(b)) for v, a, b in zip(point, low, high, strict=True)
    )
    return clean, mean, relative
