"""Saved pipelines: a folder with ``pipeline.json`` and model files. Loading runs no pickle.

``pipeline.json`` names every file with its sha256; a file that was exchanged or damaged is an error that names it.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
import zipfile
from dataclasses import replace
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ferbench.errors import ModelFileError, NotFittedError, UnknownNameError
from ferbench.labels import LabelSpace
from ferbench.pipelines.pipeline import OnNoFace, Pipeline
from ferbench.pipelines.spec import complete, is_network, parse_pipeline_id, presets
from ferbench.registry import parse_spec

__all__ = ["FORMAT", "load_pipeline", "save_pipeline", "shipped"]

FORMAT = 1
"""Version of the folder's layout."""

_FIELDS: dict[str, Any] = {
    "pipeline": str,
    "label_space": dict,
    "classes": list,
    "input_size": int,
    "crop_scale": float | int | None,
    "crop_shift": float | int | None,
    "trained_on": dict,
    "files": dict,
}

_FILES = {"sklearn": "model.skops", "keras": "model.keras", "litert": "model.tflite"}


def save_pipeline(pipeline: Pipeline, folder: Path, *, metrics: dict[str, Any] | None = None) -> Path:
    """Write a fitted pipeline; a network in every form that can be made of it here.

    Parameters
    ----------
    pipeline : Pipeline
    folder : Path
        Made where missing. ``pipeline.json`` is written last, so that a folder that has one is whole.
    metrics : dict, optional
        Figures to keep with it: what was measured, on what.
    """
    if not pipeline.is_fitted or pipeline.label_space is None:
        raise NotFittedError(f"{pipeline.id} is not fitted", fix="fit it before saving")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.json").unlink(missing_ok=True)
    names = _write_model(pipeline, folder)
    record = {
        "format": FORMAT,
        "ferbench": version("ferbench"),
        "pipeline": pipeline.id,
        "family": pipeline.family,
        "label_space": {"name": pipeline.label_space.name, "labels": list(pipeline.label_space.labels)},
        "classes": list(pipeline.classes_),
        "input_size": pipeline.input_size,
        "crop_scale": pipeline.crop_scale,
        "crop_shift": pipeline.crop_shift,
        "trained_on": pipeline.trained_on,
        "metrics": metrics or {},
        "files": {name: _digest(folder / name) for name in names},
    }
    new = folder / "pipeline.json.new"
    new.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    os.replace(new, folder / "pipeline.json")
    return folder


def _write_model(pipeline: Pipeline, folder: Path) -> list[str]:
    if pipeline.estimator_ is None:
        return [_copy(source, folder / _FILES[runtime]) for runtime, source in pipeline.files_.items()]
    if pipeline.parts.features is not None:
        import skops.io

        skops.io.dump(pipeline.estimator_, folder / _FILES["sklearn"])
        return [_FILES["sklearn"]]
    import keras

    pipeline.estimator_.model_.save(folder / _FILES["keras"])
    names = [_FILES["keras"]]
    if keras.backend.backend() == "tensorflow":
        from ferbench.classifiers.runtimes.litert import export_litert

        (folder / _FILES["litert"]).write_bytes(export_litert(pipeline.estimator_))
        names.append(_FILES["litert"])
    return names


def _copy(source: Path, target: Path) -> str:
    if source != target:
        target.write_bytes(source.read_bytes())
    return target.name


def load_pipeline(
    name: str | Path,
    *,
    runtime: str | None = None,
    threads: int = 1,
    device: str = "cpu",
    on_no_face: OnNoFace = "skip",
) -> Pipeline:
    """Load a saved pipeline and make it ready to run.

    Parameters
    ----------
    name : str or Path
        A folder written by :meth:`Pipeline.save`, or the name of a shipped pipeline.
    runtime : str, optional
        Another runtime than the saved one.
    threads : int
        Threads a prediction may use.
    device : str
        ``"cpu"`` or ``"gpu"``.
    on_no_face : "skip", "whole" or "raise"

    Raises
    ------
    UnknownNameError
        No such folder or shipped pipeline.
    ModelFileError
        A file is missing, damaged, of another format version, or not safe to load; the message names it.
    """
    folder = _find(name)
    record = _read_record(folder)
    parts = parse_pipeline_id(record["pipeline"])
    if runtime is not None:
        parts = complete(parts.detector, parts.features, parts.classifier, parse_spec(runtime))
    for file, digest in record["files"].items():
        _check_file(folder, file, digest)
    pipeline = Pipeline(
        parts,
        label_space=LabelSpace(str(record["label_space"].get("name")), tuple(record["label_space"]["labels"])),
        input_size=record["input_size"],
        on_no_face=on_no_face,
        crop_scale=record["crop_scale"],
        crop_shift=record["crop_shift"],
        trained_on=record["trained_on"],
        classes_=tuple(record["classes"]),
    )
    pipeline = _with_model(pipeline, folder, record["files"])
    return pipeline.prepare(threads=threads, device=device)


def _find(name: str | Path) -> Path:
    folder = Path(name)
    if (folder / "pipeline.json").is_file():
        return folder
    if folder.is_file() and folder.suffix in (".pkl", ".pickle", ".joblib"):
        raise ModelFileError(
            f"{folder} is a pickle, which runs its author's code when it is loaded", fix="save with Pipeline.save"
        )
    if folder.exists() or folder.name != str(name):
        # Something with a folder in it is meant as a path, not as the name of a shipped pipeline.
        what = "is no saved pipeline" if folder.exists() else "does not exist"
        raise ModelFileError(f"{folder} {what}", expected="a folder with pipeline.json")
    built_in = shipped()
    if str(name) in built_in:
        return built_in[str(name)]
    if str(name) in presets():
        raise NotFittedError(
            f"{name} is a preset and not trained", fix=f"ferbench train {name} --dataset NAME --out FOLDER"
        )
    raise UnknownNameError("pipeline", str(name), built_in)


def shipped() -> dict[str, Path]:
    """Folders of the pipelines that come with the package, by name."""
    root = Path(str(resources.files("ferbench.pipelines") / "shipped"))
    return {file.parent.name: file.parent for file in sorted(root.glob("*/pipeline.json"))}


def _read_record(folder: Path) -> dict[str, Any]:
    path = folder / "pipeline.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path} is damaged", got=str(error), fix="save the pipeline again") from error
    version = record.get("format") if isinstance(record, dict) else None
    if version != FORMAT:
        raise ModelFileError(
            f"{path} has an unknown format",
            got=f"version {version}",
            expected=f"version {FORMAT}",
            fix="use the version of ferbench that wrote it",
        )
    for name, kinds in _FIELDS.items():
        if name not in record:
            raise ModelFileError(f"{path} is incomplete", got=f"no {name!r}")
        if not isinstance(record[name], kinds):
            raise ModelFileError(f"{path} is damaged", got=f"{name} = {record[name]!r:.60}")
    texts = (record["label_space"].get("labels"), record["classes"], list(record["files"].values()))
    if not all(isinstance(t, list) and all(isinstance(text, str) for text in t) for t in texts):
        raise ModelFileError(f"{path} is damaged", got="labels, classes or files that are no texts")
    if not set(record["classes"]) <= set(record["label_space"]["labels"]):
        raise ModelFileError(f"{path} is damaged", got="classes that are not in its label space")
    return dict(record)


def _check_file(folder: Path, name: str, digest: str) -> None:
    path = folder / name
    if Path(name).name != name:
        raise ModelFileError("pipeline.json names a file outside its folder", got=name)
    if not path.is_file():
        raise ModelFileError(f"{path} is missing", fix="copy the whole folder")
    if (got := _digest(path)) != digest:
        raise ModelFileError(f"{path} was exchanged or damaged", got=f"sha256 {got[:12]}…", expected=f"{digest[:12]}…")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _with_model(pipeline: Pipeline, folder: Path, files: dict[str, str]) -> Pipeline:
    runtime = pipeline.parts.runtime.name
    paths = {name: folder / file for name, file in _FILES.items() if file in files}
    if runtime == "litert" and "litert" in paths:
        return replace(pipeline, files_=paths)
    if runtime == "sklearn" and "sklearn" in paths:
        return replace(pipeline, estimator_=_load_skops(folder / _FILES["sklearn"]))
    if "keras" not in paths or not is_network(pipeline.parts.classifier):
        raise ModelFileError(
            f"{folder} has no model for the {runtime} runtime",
            got=", ".join(files) or "no file",
            fix=f"load it with runtime={next(iter(paths), 'litert')!r}",
        )
    return replace(pipeline, estimator_=_load_keras(pipeline, paths["keras"]))


def _load_skops(path: Path) -> Any:
    import skops.io

    from ferbench.classifiers.sklearn import TRUSTED_TYPES, check_trees

    try:
        unknown = set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED_TYPES)
        if unknown:
            raise ModelFileError(
                f"{path} holds types that are not known to be safe",
                got=", ".join(sorted(unknown)[:5]),
                fix="load only pipelines that ferbench saved",
            )
        estimator = skops.io.load(path, trusted=sorted(TRUSTED_TYPES))
    except (zipfile.BadZipFile, json.JSONDecodeError, KeyError) as error:
        raise ModelFileError(f"{path} is no skops file", got=repr(error)) from error
    check_trees(estimator)
    return estimator


def _load_keras(pipeline: Pipeline, path: Path) -> Any:
    import numpy as np

    from ferbench.registry import create

    import keras  # isort: skip

    classifier = create("classifiers", pipeline.parts.classifier)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
        try:
            classifier.model_ = keras.models.load_model(path, compile=False, safe_mode=True)
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise ModelFileError(f"{path} is no usable Keras model", got=str(error).splitlines()[0]) from error
    classifier.classes_ = np.array(pipeline.classes_)
    return classifier
