"""Mistakes with models and devices, as a user makes them: one clear line and exit code 2, and nothing is executed."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferbench.cli import main
from ferbench.pipelines import make_pipeline, shipped
from tests.pipelines.conftest import striped_crops

STREAM = ["live", "synthetic(seconds=1, fps=2, size=(200, 150))", "--headless"]


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command leaves on stderr."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = filter(None, err.splitlines())  # rich's progress bars leave an empty line where there is no terminal
    assert line.startswith("ferbench: error: ")
    return line


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.full((150, 200, 3), 90, np.uint8))
    return str(path)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the shipped pipeline, to be spoilt."""
    return shutil.copytree(shipped()["tiny"], tmp_path / "tiny")


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("verb", ["predict", "live"])
def test_a_pickle_is_no_pipeline_and_is_not_opened(verb, photo, tmp_path: Path, capsys) -> None:
    bomb, proof = tmp_path / "x.pkl", tmp_path / "was-run"
    bomb.write_bytes(pickle.dumps(_Bomb(proof)))
    command = ["predict", photo] if verb == "predict" else STREAM
    line = mistake(capsys, *command, "--pipeline", str(bomb))
    assert f"{bomb} is a pickle, which runs its author's code when it is loaded; save with Pipeline.save" in line
    assert not proof.exists()


def test_an_exchanged_model_is_named_with_both_digests(photo, copied: Path, capsys) -> None:
    with (copied / "model.dynamic.tflite").open("r+b") as file:
        file.seek(1000)
        file.write(b"exchanged")
    line = mistake(capsys, "predict", photo, "--pipeline", str(copied))
    expected = json.loads((copied / "pipeline.json").read_text())["files"]["model.dynamic.tflite"][:12]
    assert f"{copied}/model.dynamic.tflite was exchanged or damaged: got sha256 " in line
    assert f"expected {expected}" in line


def test_a_folder_of_a_later_format_names_both_versions(photo, copied: Path, capsys) -> None:
    record = json.loads((copied / "pipeline.json").read_text())
    (copied / "pipeline.json").write_text(json.dumps(record | {"format": 99}))
    line = mistake(capsys, "predict", photo, "--pipeline", str(copied))
    assert "pipeline.json has an unknown format: got version 99, expected version " in line
    assert line.endswith("use the version of ferbench that wrote it")


@pytest.mark.parametrize("command", ["predict", "live"])
def test_a_gpu_that_the_shipped_pipeline_cannot_use(command: str, photo, capsys) -> None:
    arguments = ["predict", photo] if command == "predict" else STREAM
    line = mistake(capsys, *arguments, "--device", "gpu")
    assert "the litert runtime runs on the CPU only: got device 'gpu', expected 'cpu' or 'auto'; choose one" in line


def test_a_gpu_for_a_classical_pipeline(photo, tmp_path: Path, capsys) -> None:
    folder = make_pipeline("haar", "hog", "linear-svm").fit(*striped_crops(30)).save(tmp_path / "model")
    line = mistake(capsys, "predict", photo, "--pipeline", str(folder), "--device", "gpu")
    assert "the sklearn runtime runs on the CPU only: got device 'gpu'" in line


@pytest.mark.deep
def test_a_gpu_for_a_network_whose_backend_sees_none(photo, tmp_path: Path, capsys, monkeypatch) -> None:
    pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")
    from ferbench.classifiers.runtimes.keras import KerasRuntime

    network = "se-resnet(width=4, blocks=(1,), epochs=1)"
    folder = make_pipeline("haar", network, runtime="keras").fit(*striped_crops(12)).save(tmp_path / "model")
    monkeypatch.setattr(KerasRuntime, "find_gpus", lambda self: [])
    line = mistake(capsys, "predict", photo, "--pipeline", str(folder), "--device", "gpu")
    assert "sees no GPU: got device 'gpu', expected 'cpu' or 'auto'" in line
    assert main(["predict", photo, "--pipeline", str(folder)]) == 0
    assert capsys.readouterr().err.startswith("device: cpu (keras on ")


@pytest.mark.parametrize("command", [["predict", "photo.png"], STREAM, ["evaluate", "tiny", "--dataset", "synthetic"]])
def test_an_unknown_device_lists_the_known_ones(command: list[str], capsys) -> None:
    line = mistake(capsys, *command, "--device", "tpu")
    assert "argument --device: invalid choice: 'tpu' (choose from " in line
    assert "'cpu', 'gpu'" in line


def test_contempt_that_the_pipeline_does_not_know_needs_a_policy(tmp_path: Path, capsys) -> None:
    faces = tmp_path / "faces"
    for number, label in enumerate(["angry", "contempt", "happy"] * 2):
        (faces / label).mkdir(parents=True, exist_ok=True)
        crop = np.random.default_rng(number).integers(0, 256, (48, 48), np.uint8)
        cv2.imwrite(str(faces / label / f"{number}.png"), crop)
    command = ["evaluate", "tiny", "--dataset", str(faces), "--split", "all"]
    line = mistake(capsys, *command)
    assert "'contempt' of CKPLUS7 has no counterpart in FER7" in line
    assert "choose a contempt policy, drop, disgust or neutral" in line
    assert main([*command, "--contempt", "drop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_dropped"] == 2


def test_the_module_behaves_as_the_function(photo) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ferbench", "predict", photo, "--device", "gpu"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ferbench: error: the litert runtime runs on the CPU only")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("options", [[], ["--device", "cpu"]])
def test_the_device_is_told_once(options: list[str], photo, capsys) -> None:
    told = "device: cpu (litert runs on the CPU)"
    assert main(["predict", photo, photo, *options]) == 0
    assert capsys.readouterr().err.splitlines() == [told]
    assert main([*STREAM, *options]) == 0
    assert capsys.readouterr().err.splitlines().count(told) == 1
