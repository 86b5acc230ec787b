"""Saved pipelines with models for several runtimes, and bad ones: each mistake is one line that names the file."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from ferbench.errors import ModelFileError
from ferbench.pipelines import load_pipeline, shipped
from ferbench.pipelines.artefacts import model_file, runtimes_of
from ferbench.pipelines.exported import add_model
from ferbench.specs import parse_spec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder made of the shipped pipeline's: a ``model.tflite`` and no ``model.keras``."""
    folder = Path(shutil.copytree(shipped()["tiny"], tmp_path / "tiny"))
    (folder / "model.keras").unlink()
    (folder / "model.dynamic.tflite").rename(folder / "model.tflite")
    record = json.loads((folder / "pipeline.json").read_text())
    change(
        folder,
        pipeline=record["pipeline"].replace("@litert(quantize=dynamic)", "@litert"),
        files={"model.tflite": record["files"]["model.dynamic.tflite"]},
        agreement={},
    )
    return folder


def change(folder: Path, **fields: object) -> None:
    path = folder / "pipeline.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def put(folder: Path, name: str, content: bytes) -> None:
    """Put a file into the folder, with a hash that agrees."""
    (folder / name).write_bytes(content)
    files = json.loads((folder / "pipeline.json").read_text())["files"]
    change(folder, files=files | {name: hashlib.sha256(content).hexdigest()})


@pytest.mark.parametrize(
    ("runtime", "file"),
    [
        ("keras", "model.keras"),
        ("litert", "model.tflite"),
        ("opencv", "model.onnx"),
        ("litert(quantize=dynamic)", "model.dynamic.tflite"),
        ("onnx(quantize=int8)", "model.int8.onnx"),
    ],
)
def test_every_runtime_has_its_file(runtime: str, file: str) -> None:
    assert model_file(parse_spec(runtime)) == file
    assert runtime in runtimes_of([file])


@pytest.mark.parametrize("runtime", ["keras", "onnx", "opencv", "litert(quantize=int8)"])
def test_a_runtime_without_a_model_is_one_error_that_names_what_there_is(folder: Path, runtime: str) -> None:
    message = r"no model for the .* runtime: got model\.tflite, expected model\..*; use runtime='litert'"
    with pytest.raises(ModelFileError, match=message):
        load_pipeline(folder, runtime=runtime)
    with pytest.raises(ModelFileError, match=message):
        load_pipeline(folder).with_runtime(runtime)


def test_a_second_model_becomes_the_default_and_the_first_stays(folder: Path, tmp_path: Path) -> None:
    content = (folder / "model.tflite").read_bytes()
    runtime = parse_spec("litert(quantize=dynamic)")
    file = add_model(folder, folder, runtime, content, {"checked": False})
    assert file.name == "model.dynamic.tflite"
    assert load_pipeline(folder).id.endswith("@litert(quantize=dynamic)")
    assert load_pipeline(folder, runtime="litert").id.endswith("@litert")
    again = load_pipeline(folder).save(tmp_path / "again")
    record = json.loads((again / "pipeline.json").read_text())
    assert set(record["files"]) == {"model.tflite", "model.dynamic.tflite"}
    assert record["agreement"] == {str(runtime): {"checked": False}}


def test_a_folder_with_something_else_is_left_alone(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(ModelFileError, match="holds something else"):
        add_model(other, folder, parse_spec("litert"), b"", {})
    assert [path.name for path in other.iterdir()] == ["notes.txt"]


def test_a_file_that_is_no_model_is_named_though_its_hash_agrees(folder: Path) -> None:
    put(folder, "model.tflite", b"no model at all" * 40)
    with pytest.raises(ModelFileError, match=r"model\.tflite is no usable LiteRT model"):
        load_pipeline(folder)


def test_an_exchanged_model_is_named_with_its_hash(folder: Path) -> None:
    with (folder / "model.tflite").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelFileError, match=r"model\.tflite was exchanged or damaged: got sha256 \w{12}…, expected"):
        load_pipeline(folder)


def test_other_classes_than_the_model_has_are_refused(folder: Path) -> None:
    change(folder, classes=["angry", "happy"])
    with pytest.raises(
        ModelFileError, match=r"model\.tflite and pipeline\.json .*: got a model with 7 outputs, expected 2"
    ):
        load_pipeline(folder)


def test_another_input_size_than_the_model_has_is_refused(folder: Path) -> None:
    change(folder, input_size=64)
    with pytest.raises(ModelFileError, match=r"model\.tflite .*64"):
        load_pipeline(folder)


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib"])
def test_a_pickle_in_a_folder_is_refused_unread(folder: Path, name: str) -> None:
    put(folder, name, b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(ModelFileError, match=rf"{name} is a pickle, which runs its author's code"):
        load_pipeline(folder)


def test_an_unknown_format_is_named(folder: Path) -> None:
    change(folder, format=2)
    with pytest.raises(ModelFileError, match="unknown format: got version 2, expected version 1"):
        load_pipeline(folder)
