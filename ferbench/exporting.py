"""Exporting a trained network to another runtime, at another precision, and checking it before it is written.

A smaller or faster model is worth something only if it says the same: the export is compared with the network itself on
real faces that neither learnt from, and refused where the two differ by more than a limit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.classifiers.runtimes.conversion import conversion_output_held_back
from ferbench.contracts import Dataset
from ferbench.errors import AgreementError, DataError, ModelFileError, ParameterError, UnknownNameError
from ferbench.pipelines import Pipeline, load_pipeline
from ferbench.pipelines.artefacts import EXPORTS, canonical_runtime, convert, model_file
from ferbench.pipelines.crops import resize_crops
from ferbench.pipelines.exported import add_model, check_target
from ferbench.pipelines.spec import is_network, parse_pipeline_id
from ferbench.pipelines.storage import find_saved, read_record
from ferbench.samples import Samples
from ferbench.specs import Spec

__all__ = ["LIMITS", "Export", "Limits", "compare", "export_pipeline"]

CALIBRATION_FACES = 400
BATCH = 256
"""Faces classified between two reports of progress."""


@dataclass(frozen=True)
class Limits:
    """How far an exported model may be from its network.

    Attributes
    ----------
    max_difference : float
        Largest difference of any probability of any face.
    max_flips : float
        Share of faces whose most probable label changes.
    max_accuracy_drop : float
        Accuracy lost, as a share of all faces.
    """

    max_difference: float
    max_flips: float
    max_accuracy_drop: float


# Measured on FER2013's 3,579 validation faces with mini-xception and a se-resnet of 389 k parameters, largest
# difference and share of changed labels: float32 1e-6 and none, float16 0.003 and 0.1 %, dynamic 0.09 and 2.1 %, int8
# 0.16 and 2.8 %. The limits leave as much again.
LIMITS = {
    "none": Limits(1e-4, 0.001, 0.001),
    "float16": Limits(0.01, 0.005, 0.002),
    "dynamic": Limits(0.25, 0.05, 0.01),
    "int8": Limits(0.3, 0.06, 0.01),
}
"""The limits of each precision unless told otherwise."""


@dataclass(frozen=True)
class Export:
    """An exported model.

    Attributes
    ----------
    pipeline : str
        Id of the saved pipeline.
    file : Path
        The model.
    size_bytes, reference_bytes : int
        Size of the model, and of the Keras file that it was made of.
    agreement : dict
        What :func:`compare` found, on what, and the limits; ``{"checked": False}`` where it was not asked for.
    """

    pipeline: str
    file: Path
    size_bytes: int
    reference_bytes: int
    agreement: dict[str, Any]


def export_pipeline(
    pipeline: str | Path,
    folder: str | Path,
    *,
    to: str = "litert",
    quantize: str = "none",
    dataset: str | None = None,
    split: str = "val",
    calibration_split: str = "train",
    limits: Limits | None = None,
    unchecked: bool = False,
    on_stage: Callable[[str], None] = lambda text: None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Export:
    """Convert a saved network for another runtime, check it against the network, and save it.

    Parameters
    ----------
    pipeline : str or Path
        Folder of a saved pipeline with a ``model.keras``.
    folder : str or Path
        Where the model goes: a new or empty folder, or the pipeline's own. Nothing is written before the check.
    to : str
        ``"litert"`` or ``"onnx"``.
    quantize : str
        ``"none"``, ``"float16"``, ``"dynamic"`` or ``"int8"``.
    dataset : str, optional
        What the two are compared on; by default what the pipeline says that it learnt from.
    split : str
        Held-out split.
    calibration_split : str
        Where ``int8`` takes 400 faces from, for the ranges of its activations; chosen with a fixed seed.
    limits : Limits, optional
        Those of :data:`LIMITS` by default.
    unchecked : bool
        Skip the comparison, which is then recorded as not made.
    on_stage, on_progress : callable, optional
        Called with what begins, and with (faces done, faces in all).

    Raises
    ------
    AgreementError
        The exported model differs from the network by more than a limit; nothing was written.
    ModelFileError
        There is no network to export, or the folder holds something else.
    ParameterError, UnknownNameError, DataError
        The pipeline is no network, the runtime or precision is unknown, or there is no data to compare on.
    """
    source, target = find_saved(pipeline), Path(folder)
    runtime = _runtime(to, quantize)
    record = read_record(source)
    _check_source(source, record)
    check_target(target, source)
    limits = limits or LIMITS[quantize]
    wants_data = not unchecked or quantize == "int8"
    data = _open_dataset(record["trained_on"], dataset) if wants_data else None
    if data is not None and not unchecked:
        name = dataset or record["trained_on"]["dataset"]
        taken = calibration_split if quantize == "int8" else None
        _check_splits(record["trained_on"], name, data.revision, split, taken)
    on_stage("loading the network")
    with conversion_output_held_back():
        reference = load_pipeline(source, runtime="keras")
    calibration = None
    if data is not None and quantize == "int8":
        calibration = _calibration_crops(reference, data.split(calibration_split))
    on_stage(f"converting to {runtime}")
    content = convert(reference.estimator_, runtime, calibration)
    agreement: dict[str, Any] = {"checked": False}
    if data is not None and not unchecked:
        samples = data.split(split)
        on_stage(f"comparing with keras on {samples.dataset} {split}")
        agreement = _check(reference, runtime, content, samples, limits, on_progress)
    if calibration is not None and data is not None:
        agreement |= {"calibration": {"split": calibration_split, "n": len(calibration), "revision": data.revision}}
    file = add_model(target, source, runtime, content, agreement)
    id_ = read_record(target)["pipeline"]
    return Export(id_, file, len(content), (source / "model.keras").stat().st_size, agreement)


def _runtime(to: str, quantize: str) -> Spec:
    if to not in EXPORTS:
        raise UnknownNameError("runtime to export to", to, EXPORTS)
    return canonical_runtime(Spec(to, {"quantize": quantize}))


def _check_source(source: Path, record: dict[str, Any]) -> None:
    if not is_network(parse_pipeline_id(record["pipeline"]).classifier):
        raise ParameterError(
            "only networks can be exported", got=record["pipeline"], fix="scikit-learn's models run on sklearn alone"
        )
    if "model.keras" not in record["files"]:
        raise ModelFileError(
            f"{source} has no model.keras, of which an export is made",
            got=", ".join(record["files"]) or "no file",
            fix="export the folder that ferbench train wrote",
        )


def _open_dataset(trained_on: dict[str, Any], name: str | None) -> Dataset:
    """The data to compare on: what is named, or what the pipeline learnt from."""
    from ferbench.datasets import load_dataset, load_recorded

    if name is not None:
        return load_dataset(name)
    fix = "name data to compare on: --dataset NAME, or --unchecked"
    data = load_recorded(trained_on, fix=fix)
    if data.revision != trained_on.get("revision"):
        raise DataError(
            f"{trained_on['dataset']} here is not what the pipeline learnt from",
            got=f"revision {data.revision}",
            expected=trained_on.get("revision"),
            fix=fix,
        )
    return data


def _check_splits(
    trained_on: dict[str, Any], name: str, revision: str, split: str, calibration_split: str | None
) -> None:
    """Refuse to compare on faces that were learnt from, or that ranges are taken from (``calibration_split``)."""
    from ferbench.datasets import has_learnt_from

    if has_learnt_from(trained_on, dataset=name, revision=revision, split=split):
        raise ParameterError(
            "an export cannot be judged on what was learnt from",
            got=f"split {split!r}",
            expected="a held-out split, or --unchecked",
        )
    if calibration_split is not None and (split == calibration_split or "all" in (split, calibration_split)):
        raise ParameterError(
            "an export cannot be judged on the faces that it takes its ranges from",
            got=f"--split {split}, --calibration-split {calibration_split}",
            expected="two splits, or --unchecked",
        )


def _calibration_crops(pipeline: Pipeline, samples: Samples) -> npt.NDArray[np.uint8]:
    """Up to :data:`CALIBRATION_FACES` crops (N, s, s), drawn with a fixed seed."""
    from ferbench.benchmarks.views import limit_samples

    return _crops(pipeline, limit_samples(samples, CALIBRATION_FACES, seed=0))[0]


def _crops(pipeline: Pipeline, samples: Samples) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.str_]]:
    """Crops of the faces that can be found, and their labels."""
    if samples.kind == "crops":
        return resize_crops(np.asarray(samples.images), pipeline.input_size), samples.labels
    crops, index = pipeline.crops_of_photos(samples)
    return crops, samples.labels[index]


def _check(
    reference: Pipeline,
    runtime: Spec,
    content: bytes,
    samples: Samples,
    limits: Limits,
    on_progress: Callable[[int, int], None],
) -> dict[str, Any]:
    crops, truth = _crops(reference, samples)
    known = np.isin(truth, reference.labels)
    crops, truth = crops[known], truth[known]
    if not len(crops):
        raise DataError(f"{samples.dataset} {samples.split} has no face whose label the pipeline knows")
    with tempfile.TemporaryDirectory() as temporary:
        name = str(model_file(runtime))
        file = Path(temporary) / name
        file.write_bytes(content)
        exported = replace(reference.with_runtime(runtime), estimator_=None, files_={name: file}).prepare()
        rows = []
        for start in range(0, len(crops), BATCH):
            part = crops[start : start + BATCH]
            rows.append((reference.classify(part), exported.classify(part)))
            on_progress(min(start + BATCH, len(crops)), len(crops))
    ours, theirs = (np.concatenate(side) for side in zip(*rows, strict=True))
    found = compare(theirs, ours, reference.label_space.encode(truth)) if reference.label_space else {}
    _refuse(runtime, found, limits)
    about = {"dataset": samples.dataset, "split": samples.split, "revision": samples.revision, "n": len(crops)}
    return {"checked": True, "reference": "keras", **about, **found, "limits": asdict(limits)}


def compare(
    exported: npt.NDArray[np.float32], reference: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """How far an exported model's probabilities are from its reference's on the same faces.

    Parameters
    ----------
    exported, reference : (N, C) float32
        Probabilities.
    truth : (N,) int
        The right column.

    Returns
    -------
    dict
        ``max_abs_dp``, ``flips`` and ``flip_share``, the two accuracies, and ``accuracy_difference`` (exported less
        reference) with its paired 95 % interval and exact McNemar p value. The interval is Wald's with half a face
        added to each cell of the paired table (Agresti and Min 2005), which holds where few faces differ.
    """
    from ferbench.benchmarks.statistics import mcnemar

    n = len(truth)
    a, b = exported.argmax(axis=1), reference.argmax(axis=1)
    gained, lost = int(((a == truth) & (b != truth)).sum()), int(((a != truth) & (b == truth)).sum())
    more, less = gained + 0.5, lost + 0.5
    middle = (more - less) / (n + 2)
    margin = 1.959964 * np.sqrt(more + less - (more - less) ** 2 / (n + 2)) / (n + 2)
    return {
        "max_abs_dp": float(np.abs(exported - reference).max(initial=0.0)),
        "flips": int((a != b).sum()),
        "flip_share": float((a != b).mean()),
        "accuracy_reference": float((b == truth).mean()),
        "accuracy_exported": float((a == truth).mean()),
        "accuracy_difference": (gained - lost) / n,
        "accuracy_difference_ci": [float(middle - margin), float(middle + margin)],
        "mcnemar_p": mcnemar(a == truth, b == truth),
    }


def _refuse(runtime: Spec, found: dict[str, Any], limits: Limits) -> None:
    checks = [
        ("the largest difference of a probability", found["max_abs_dp"], limits.max_difference, "--max-difference"),
        ("the share of changed labels", found["flip_share"], limits.max_flips, "--max-flips"),
        ("the loss of accuracy", -found["accuracy_difference"], limits.max_accuracy_drop, "--max-accuracy-drop"),
    ]
    for what, value, limit, option in checks:
        if not value <= limit:  # a probability that is no number is refused, too
            raise AgreementError(
                f"the export to {runtime} strays from the network: {what} is too large",
                got=f"{value:.3g}",
                expected=f"{limit:g} at most",
                fix=f"nothing was written; choose another precision, or allow more with {option}",
            )
