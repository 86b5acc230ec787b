"""Exported models in saved pipelines: one more file in the folder of its network, or a folder of its own."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from ferbench.errors import ModelFileError, UnknownNameError
from ferbench.pipelines.artefacts import EXPORTS, model_file
from ferbench.pipelines.spec import complete, parse_pipeline_id
from ferbench.pipelines.storage import RECORD, read_record, write_record
from ferbench.specs import Spec

__all__ = ["add_model", "check_target"]


def check_target(folder: Path, source: Path) -> None:
    """Refuse a folder for an exported model that holds something else than models of the same network.

    Parameters
    ----------
    folder : Path
        Where the model shall go: the network's own folder, a new or empty one, or one of earlier exports of it.
    source : Path
        The saved pipeline with the network.

    Raises
    ------
    ModelFileError
        If it does.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if (folder / RECORD).is_file() and _network(read_record(folder)) == _network(read_record(source)):
        return
    raise ModelFileError(
        f"{folder} holds something else",
        expected=f"a new or empty folder, {source} itself, or one of earlier exports of it",
    )


def add_model(folder: Path, source: Path, runtime: Spec, content: bytes, agreement: dict[str, Any]) -> Path:
    """Write an exported model into a saved pipeline's folder, and make its runtime the default there.

    Parameters
    ----------
    folder : Path
        As for :func:`check_target`; a new one gets nothing but this model.
    source : Path
        The saved pipeline with the network that the model was made of.
    runtime : Spec
        What the model is for.
    content : bytes
        The model.
    agreement : dict
        How far it is from its reference, for the record.

    Returns
    -------
    Path
        The model's file.
    """
    check_target(folder, source)
    name = model_file(runtime)
    if name is None:
        raise UnknownNameError("runtime to export to", runtime.name, EXPORTS)
    origin = read_record(source)
    record = read_record(folder) if (folder / RECORD).exists() else origin | {"files": {}, "agreement": {}}
    parts = parse_pipeline_id(origin["pipeline"])
    id_ = complete(parts.detector, parts.features, parts.classifier, runtime).id
    if id_ != record["pipeline"]:  # its metrics are those of another model than this
        record = record | {"metrics": {}}
    record |= {
        "pipeline": id_,
        "made_of": _network(origin),
        "files": record["files"] | {name: hashlib.sha256(content).hexdigest()},
        "agreement": record.get("agreement", {}) | {str(runtime): agreement},
    }
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{name}.new"
    new.write_bytes(content)
    os.replace(new, folder / name)
    write_record(folder, record)
    return folder / name


def _network(record: dict[str, Any]) -> str | None:
    """Sha256 of the Keras network that a folder holds, or that its models were made of."""
    digest: str | None = record["files"].get("model.keras", record.get("made_of"))
    return digest
