"""Detectors by themselves: how many faces they find, what else they find, how well boxes fit, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.detection_sets import DetectionSet
from ferbench.benchmarks.record import Record
from ferbench.benchmarks.records import Estimate
from ferbench.benchmarks.statistics import N_RESAMPLES, resample_weights
from ferbench.contracts import Detector
from ferbench.errors import DataError, ParameterError
from ferbench.faces import Faces, Image, box_iou

__all__ = ["ClassRecall", "DetectionResult", "match_boxes", "measure_detector"]

MIN_IOU = 0.5
"""Least overlap of a box with a true one for the face to count as found: the usual limit of detection benchmarks."""


class ClassRecall(Record):
    """Faces of one expression: how many there are, how many were found, and the share with its interval."""

    n: int
    found: int
    recall: Estimate


class DetectionResult(Record):
    """What a detector did on a :class:`DetectionSet`; intervals are 95 %.

    Attributes
    ----------
    detector : str
        Its spec.
    n_images, n_faces, n_found : int
        Pictures, true faces, and how many of them were found.
    recall : Estimate
        Share of the faces found, with Wilson's interval.
    false_alarms : Estimate
        Boxes per picture that belong to no known face, bootstrapped over pictures; where there are none at all, the
        exact interval of a Poisson rate. Without true boxes they may be people in the background.
    mean_iou : Estimate or None
        Mean overlap of found faces with their true boxes, bootstrapped over pictures; None without true boxes.
    per_class : dict of str to ClassRecall
    ms_per_image : float
        Median time of one picture.
    """

    detector: str
    n_images: int
    n_faces: int
    n_found: int
    recall: Estimate
    false_alarms: Estimate
    mean_iou: Estimate | None
    per_class: dict[str, ClassRecall]
    ms_per_image: float


def match_boxes(
    found: npt.ArrayLike, true: npt.ArrayLike, *, min_iou: float = MIN_IOU
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Which box is which face: the Hungarian assignment of most pairs, and among these of largest total overlap.

    Parameters
    ----------
    found, true : (N, 4), (M, 4)
        Boxes, xyxy in pixels.
    min_iou : float
        Least intersection over union of a pair.

    Returns
    -------
    match : (M,) int64
        The box of each true face, -1 where it was missed.
    iou : (M,) float64
        Overlap with it, 0 where the face was missed.

    Examples
    --------
    >>> match, iou = match_boxes([[0, 0, 9, 9], [1, 0, 11, 10]], [[0, 0, 10, 10], [50, 50, 60, 60]])
    >>> match.tolist(), iou.round(2).tolist()
    ([1, -1], [0.82, 0.0])
    """
    from scipy.optimize import linear_sum_assignment

    overlap = box_iou(true, found)
    match, iou = np.full(len(overlap), -1, np.int64), np.zeros(len(overlap))
    # A pair counts more than any gain in overlap: one face more is worth two boxes that fit less well.
    rows, columns = linear_sum_assignment(np.where(overlap >= min_iou, len(overlap) + overlap, 0.0), maximize=True)
    allowed = overlap[rows, columns] >= min_iou
    match[rows[allowed]], iou[rows[allowed]] = columns[allowed], overlap[rows, columns][allowed]
    return match, iou


def measure_detector(
    detector: Detector,
    pictures: DetectionSet,
    *,
    spec: str,
    min_iou: float = MIN_IOU,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> DetectionResult:
    """Run a detector over pictures, one at a time; how many threads it may use is the caller's matter.

    With true boxes a face is found if a box overlaps it by ``min_iou`` and the assignment of all boxes to all faces
    gives it that box. Without them a face is found if a box holds the middle of the picture. Every other box is a false
    alarm.

    Parameters
    ----------
    detector : Detector
    pictures : DetectionSet
    spec : str
        The detector's spec, for the record.
    min_iou : float
        Least intersection over union with a true box, above 0.
    seed : int
        Seed of the bootstrap.
    on_progress : callable, optional
        Called with the number of pictures just done.

    Raises
    ------
    DataError
        The pictures show no face.
    """
    if not 0 < min_iou <= 1:
        raise ParameterError("least overlap of a found face", got=min_iou, expected="above 0, up to 1")
    if not any(pictures.labels):
        raise DataError(f"{pictures.name} has no face to find", got=f"{len(pictures.images)} pictures")
    detector.detect([pictures.images[0]])  # makes native handles and threads, which are no cost of a picture
    n = len(pictures.images)
    overlaps: list[npt.NDArray[np.float64]] = []
    alarms, times = np.zeros(n), np.zeros(n)
    for i in range(n):
        image = pictures.images[i]
        started = perf_counter_ns()
        faces = detector.detect([image])
        times[i] = perf_counter_ns() - started
        hits = _hits_middle(faces, image) if pictures.boxes is None else _hits(faces, pictures.boxes[i], min_iou)
        alarms[i] = len(faces) - np.count_nonzero(hits)
        overlaps.append(hits)
        if on_progress:
            on_progress(1)
    return DetectionResult(
        detector=spec,
        ms_per_image=float(np.median(times)) / 1e6,
        **_summarise(pictures, overlaps, alarms, seed),
    )


def _hits(faces: Faces, true: npt.NDArray[np.float32], min_iou: float) -> npt.NDArray[np.float64]:
    """Overlap with the box of each true face, 0 where it was missed."""
    return match_boxes(faces.xyxy, true, min_iou=min_iou)[1]


def _hits_middle(faces: Faces, image: Image) -> npt.NDArray[np.float64]:
    """1 if a box holds the middle of the picture, 0 otherwise, for its only known face."""
    middle = np.array([image.shape[1] / 2, image.shape[0] / 2])
    holds = (faces.xyxy[:, :2] <= middle).all(axis=1) & (middle <= faces.xyxy[:, 2:]).all(axis=1)
    return np.array([float(holds.any())])


def _summarise(
    pictures: DetectionSet, overlaps: list[npt.NDArray[np.float64]], alarms: npt.NDArray[np.float64], seed: int
) -> dict[str, Any]:
    found = np.concatenate(overlaps) > 0
    labels = np.array([label for row in pictures.labels for label in row], dtype=np.str_)
    per_class = {}
    for label in sorted(set(labels.tolist())):
        of_class = found[labels == label]
        per_class[label] = ClassRecall(n=len(of_class), found=int(of_class.sum()), recall=_share(of_class))
    n_found = np.array([np.count_nonzero(row) for row in overlaps], np.float64)
    sums = np.array([row.sum() for row in overlaps])
    return {
        "n_images": len(overlaps),
        "n_faces": len(found),
        "n_found": int(found.sum()),
        "recall": _share(found),
        "false_alarms": _rate(alarms, seed),
        "mean_iou": None if pictures.boxes is None or not found.any() else _ratio(sums, n_found, seed),
        "per_class": per_class,
    }


def _share(found: npt.NDArray[np.bool_]) -> Estimate:
    """Share of faces found, with Wilson's score interval."""
    from scipy.stats import binomtest

    test = binomtest(int(found.sum()), len(found))
    interval = test.proportion_ci(method="wilson")
    return Estimate(value=float(test.statistic), low=float(interval.low), high=float(interval.high))


def _rate(alarms: npt.NDArray[np.float64], seed: int) -> Estimate:
    """False alarms per picture. Resampling pictures without any would claim that there can be none."""
    if alarms.any():
        return _ratio(alarms, np.ones(len(alarms)), seed)
    return Estimate(value=0.0, low=0.0, high=-float(np.log(0.025)) / len(alarms))


def _ratio(above: npt.NDArray[np.float64], below: npt.NDArray[np.float64], seed: int) -> Estimate:
    """Ratio of two sums over pictures, with a percentile interval over resampled pictures."""
    value = float(above.sum() / below.sum())
    if len(above) < 2:
        return Estimate(value=value)
    with np.errstate(invalid="ignore"):  # a resample without a found face says nothing of overlaps
        drawn = [(w @ above) / (w @ below) for w in resample_weights(len(above), N_RESAMPLES, seed)]
    low, high = np.nanpercentile(np.concatenate(drawn), [2.5, 97.5])
    return Estimate(value=value, low=float(low), high=float(high))
