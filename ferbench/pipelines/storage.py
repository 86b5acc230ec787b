"""Saved pipelines: a folder with ``pipeline.json`` and model files. Loading runs no pickle.

``pipeline.json`` names every file with its sha256; a file that was exchanged or damaged is an error that names it.
There may be several, each for another runtime (:mod:`ferbench.pipelines.artefacts`); the id names the default one.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ferbench.digests import check_digest, file_digest
from ferbench.errors import ModelFileError, NotFittedError, ParameterError, UnknownNameError
from ferbench.labels import LabelSpace
from ferbench.pipelines.artefacts import convert, model_file, runs_file, runtimes_of
from ferbench.pipelines.estimators import read_keras, read_skops
from ferbench.pipelines.pipeline import OnNoFace, Pipeline
from ferbench.pipelines.preset import presets
from ferbench.pipelines.spec import complete, is_network, parse_pipeline_id
from ferbench.specs import Spec, parse_spec

__all__ = [
    "FORMAT",
    "RECORD",
    "check_files",
    "check_folder",
    "check_runtime",
    "find_saved",
    "load_estimator",
    "load_pipeline",
    "read_record",
    "save_pipeline",
    "shipped",
    "write_record",
]

RECORD = "pipeline.json"
"""Name of the file that makes a folder a saved pipeline."""

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

_PICKLES = (".pkl", ".pickle", ".joblib", ".dill")


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
    agreement = _kept_agreement(pipeline)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=folder) as made:  # until all is made, what was there stays
        names = _write_model(pipeline, Path(made))
        (folder / RECORD).unlink(missing_ok=True)
        for name in names:
            os.replace(Path(made) / name, folder / name)
    write_record(folder, _describe(pipeline, names, folder) | {"metrics": metrics or {}, "agreement": agreement})
    return folder


def check_folder(folder: Path, pipeline: Pipeline, learnt: Mapping[str, Any]) -> None:
    """Refuse a folder for a pipeline that holds something else than an earlier one like it, or its training.

    Parameters
    ----------
    folder : Path
    pipeline : Pipeline
        What will be saved there.
    learnt : mapping
        Of what its record will say under ``trained_on``, what an earlier one must have said alike: the faces, whose
        ``n`` counts the missed ones, what the targets were made of, the members of an ensemble.

    Raises
    ------
    ModelFileError
        If it does.
    """
    if not folder.exists():
        return
    if (folder / RECORD).is_file():
        record = read_record(folder)
        got = record["pipeline"]
        known = parse_pipeline_id(got)  # an export beside the network makes its own runtime the default
        if replace(known, runtime=pipeline.parts.runtime) == pipeline.parts:
            before = record["trained_on"]
            if isinstance(before.get("n"), int):
                before = {**before, "n": before["n"] + before.get("n_missed", 0)}
            told = {key: (_short(before.get(key)), _short(value)) for key, value in learnt.items()}
            other = {key: pair for key, pair in told.items() if pair[0] != pair[1]}
            if not other:
                return
            raise ModelFileError(
                f"{folder} holds a pipeline that learnt otherwise",
                got="; ".join(f"{key} {had}" for key, (had, _) in other.items()),
                expected="; ".join(f"{key} {has}" for key, (_, has) in other.items()),
                fix="name another folder, or delete that one",
            )
    elif folder.is_dir():
        own = {"checkpoints", "training.csv", "architecture.json"}
        others = sorted(path.name for path in folder.iterdir() if not path.name.startswith((".", "model.")))
        if own & set(others) or not others:
            return
        got = f"{others[0]} in it"
    else:
        got = "a file"
    raise ModelFileError(
        f"{folder} holds something else", got=got, expected=f"a new folder, or one of {pipeline.id}", fix="name another"
    )


def _short(value: object) -> str:
    """A value of a training's record in a few words: of an ensemble its members' names and shares."""
    if not isinstance(value, list):
        return "none" if value is None else str(value)
    return ", ".join(
        f"{one.get('pipeline')} ({one.get('share')})" if isinstance(one, Mapping) else str(one) for one in value
    )


def _describe(pipeline: Pipeline, names: list[str], folder: Path) -> dict[str, Any]:
    if pipeline.label_space is None:
        raise NotFittedError(f"{pipeline.id} has no labels yet")
    return {
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
        "files": {name: file_digest(folder / name) for name in names},
    }


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write ``pipeline.json`` in one step."""
    new = folder / f"{RECORD}.new"
    new.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    os.replace(new, folder / RECORD)


def _write_model(pipeline: Pipeline, folder: Path) -> list[str]:
    if pipeline.files_:  # loaded, and not learnt anew since
        return [_copy(source, folder / name) for name, source in pipeline.files_.items()]
    if pipeline.parts.features is not None:
        import skops.io

        skops.io.dump(pipeline.estimator_, folder / "model.skops")
        return ["model.skops"]
    import keras

    pipeline.estimator_.save(folder / "model.keras")
    names = ["model.keras"]
    if keras.backend.backend() == "tensorflow":
        for runtime in dict.fromkeys([Spec("litert"), pipeline.parts.runtime]):
            name = model_file(runtime)
            if name is not None and name not in names and runs_file(runtime):
                (folder / name).write_bytes(convert(pipeline.estimator_, runtime))
                names.append(name)
    return names


def _copy(source: Path, target: Path) -> str:
    target.write_bytes(source.read_bytes())
    return target.name


def _kept_agreement(pipeline: Pipeline) -> dict[str, Any]:
    """What the folder that a pipeline was loaded from says of its exported models."""
    home = next((path.parent for path in pipeline.files_.values()), None)
    return {} if home is None else dict(read_record(home).get("agreement", {}))


def load_pipeline(
    name: str | Path,
    *,
    detector: str | None = None,
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
    detector : str, optional
        Another detector than the saved one, as :meth:`Pipeline.with_detector` puts it.
    runtime : str, optional
        Another runtime than the saved one.
    threads : int
        Threads a prediction may use.
    device : str
        ``"cpu"``, ``"gpu"``, or ``"auto"``: a GPU if the runtime can use one.
    on_no_face : "skip", "whole" or "raise"

    Raises
    ------
    UnknownNameError
        No such folder or shipped pipeline, detector or runtime.
    ParameterError
        A detector or runtime with wrong parameters.
    ModelFileError
        A file is missing, damaged, of another format version, or not safe to load; the message names it.
    """
    folder = find_saved(name)
    record = read_record(folder)
    parts = parse_pipeline_id(record["pipeline"])
    if runtime is not None:
        parts = complete(parts.detector, parts.features, parts.classifier, parse_spec(runtime))
    check_files(folder, record)
    pipeline = Pipeline(
        parts,
        label_space=LabelSpace(str(record["label_space"].get("name")), tuple(record["label_space"]["labels"])),
        input_size=record["input_size"],
        on_no_face=on_no_face,
        crop_scale=record["crop_scale"],
        crop_shift=record["crop_shift"],
        trained_on=record["trained_on"],
        classes_=tuple(record["classes"]),
        files_={file: folder / file for file in record["files"]},
    )
    check_runtime(pipeline, folder)
    if detector is not None:
        pipeline = pipeline.with_detector(detector)
        pipeline.detect([])  # a wrong parameter is said now, before any work
    return pipeline.prepare(threads=threads, device=device)


def find_saved(name: str | Path) -> Path:
    """Folder of a saved pipeline, which may be given by a shipped one's name: a folder called so is ``./tiny``."""
    if not isinstance(name, str | os.PathLike):
        raise ParameterError("a saved pipeline is named", got=repr(name), expected="a shipped one's name, or a folder")
    built_in = shipped()
    if isinstance(name, str) and name in built_in:  # a folder that is called so is ./tiny
        return built_in[name]
    folder = Path(name)
    if (folder / RECORD).is_file():
        return folder
    if folder.is_file() and folder.suffix in _PICKLES:
        raise ModelFileError(
            f"{folder} is a pickle, which runs its author's code when it is loaded", fix="save with Pipeline.save"
        )
    if folder.exists() or folder.name != str(name):
        # Something with a folder in it is meant as a path, not as the name of a shipped pipeline.
        what = "is no saved pipeline" if folder.exists() else "does not exist"
        raise ModelFileError(f"{folder} {what}", expected=f"a folder with {RECORD}")
    if str(name) in presets():
        raise NotFittedError(
            f"{name} is a preset and not trained", fix=f"ferbench train {name} --dataset NAME --out FOLDER"
        )
    raise UnknownNameError("pipeline", str(name), built_in)


def shipped() -> dict[str, Path]:
    """Folders of the pipelines that come with the package, by name."""
    root = Path(str(resources.files("ferbench.pipelines") / "shipped"))
    return {file.parent.name: file.parent for file in sorted(root.glob(f"*/{RECORD}"))}


def read_record(folder: Path) -> dict[str, Any]:
    """What ``pipeline.json`` says, checked for form."""
    path = folder / RECORD
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


def check_files(folder: Path, record: dict[str, Any]) -> None:
    """Raise :class:`ModelFileError` if a file that ``pipeline.json`` names is missing, damaged or not safe to load."""
    for name, digest in record["files"].items():
        _check_file(folder, name, digest)


def _check_file(folder: Path, name: str, digest: str) -> None:
    path = folder / name
    if Path(name).name != name:
        raise ModelFileError("pipeline.json names a file outside its folder", got=name)
    if path.suffix in _PICKLES:
        raise ModelFileError(
            f"{path} is a pickle, which runs its author's code when it is loaded",
            expected="model.skops, model.keras, model.tflite or model.onnx",
            fix="load only pipelines that ferbench saved",
        )
    check_digest(path, digest, fix="copy the whole folder")


def check_runtime(pipeline: Pipeline, folder: Path | None = None) -> None:
    """Raise :class:`ModelFileError` if a loaded pipeline has no file that its runtime could use."""
    runtime, files = pipeline.parts.runtime, pipeline.files_
    wanted = model_file(runtime) if not is_network(pipeline.parts.classifier) or runs_file(runtime) else "model.keras"
    if wanted in files or ("model.keras" in files and is_network(pipeline.parts.classifier)):
        return
    has = runtimes_of(files)
    where = folder or next((path.parent for path in files.values()), pipeline.id)
    raise ModelFileError(
        f"{where} has no model for the {runtime} runtime",
        got=", ".join(files) or "no file",
        expected=str(wanted),
        fix=f"use runtime={' or '.join(map(repr, has))}" if has else "save the pipeline again",
    )


def load_estimator(pipeline: Pipeline) -> Any:
    """The fitted estimator of a pipeline that was loaded: Keras' or scikit-learn's own file is read."""
    check_runtime(pipeline)
    if is_network(pipeline.parts.classifier):
        return read_keras(pipeline, pipeline.files_["model.keras"])
    return read_skops(pipeline.files_["model.skops"])
