"""`ferbench export`: converts, compares on held-out faces, and writes only what agrees."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ferbench.cli import main
from ferbench.exporting import compare
from ferbench.pipelines import shipped

SYNTHETIC = "synthetic(kind=crops, n_train=140, n_val=70, n_test=7)"
SMALL = "se-resnet(width=4, blocks=(1, 1), epochs=2, batch_size=16, learning_rate=0.01)"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")
    pytest.importorskip("tf2onnx", reason="needs the onnx extra: pip install 'ferbench[onnx]'")
    folder = tmp_path_factory.mktemp("models") / "small"
    assert main(["train", SMALL, "--dataset", SYNTHETIC, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def classical(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "hog"
    assert main(["train", "hog/linear-svm", "--dataset", SYNTHETIC, "--out", str(folder)]) == 0
    return folder


@pytest.mark.deep
@pytest.mark.parametrize(
    ("to", "quantize", "file"), [("onnx", "none", "model.onnx"), ("litert", "int8", "model.int8.tflite")]
)
def test_export_writes_a_checked_pipeline_for_the_new_runtime(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], to: str, quantize: str, file: str
) -> None:
    out = tmp_path / "out"
    arguments = ["export", str(trained), "--to", to, "--quantize", quantize, "--out", str(out)]
    # So small a network, so briefly trained, is coarser than what the limits are made for.
    loose = (
        ["--max-difference", "0.5", "--max-flips", "0.5", "--max-accuracy-drop", "0.5"] if quantize == "int8" else []
    )
    capfd.readouterr()
    assert main([*arguments, "--dataset", SYNTHETIC, *loose]) == 0
    printed = capfd.readouterr()
    assert printed.out.strip() == str(out)
    assert "Saved artifact" not in printed.err
    assert "largest difference of a probability" in printed.err
    assert {path.name for path in out.iterdir()} == {"pipeline.json", file}
    record = json.loads((out / "pipeline.json").read_text())
    ((runtime, agreement),) = record["agreement"].items()
    assert record["pipeline"].endswith(f"@{runtime}")
    assert (agreement["checked"], agreement["split"], agreement["n"]) == (True, "val", 70)
    assert agreement["max_abs_dp"] <= agreement["limits"]["max_difference"]
    assert len(agreement["revision"]) == 16
    assert ("calibration" in agreement) == (quantize == "int8")
    assert main(["evaluate", str(out), "--dataset", SYNTHETIC, "--json"]) == 0


@pytest.mark.deep
def test_an_export_that_strays_is_refused_and_nothing_is_written(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["export", str(trained), "--to", "litert", "--quantize", "dynamic", "--out", str(out)]
    assert main([*command, "--dataset", SYNTHETIC, "--max-difference", "0"]) == 3
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "strays from the network" in line
    assert "expected 0 at most" in line
    assert not out.exists()


@pytest.mark.deep
def test_an_export_into_the_networks_own_folder_keeps_the_rest(trained: Path) -> None:
    assert main(["export", str(trained), "--to", "onnx", "--out", str(trained), "--unchecked"]) == 0
    record = json.loads((trained / "pipeline.json").read_text())
    assert {"model.keras", "model.tflite", "model.onnx"} == set(record["files"])
    assert record["agreement"] == {"onnx": {"checked": False}}


@pytest.mark.deep
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "litert"], "synthetic here is not what the pipeline learnt from"),
        (["--to", "onnx", "--dataset", SYNTHETIC, "--split", "train"], "cannot be judged on what was learnt from"),
        (
            ["--to", "onnx", "--dataset", SYNTHETIC, "--quantize", "int8", "--calibration-split", "val"],
            "faces that it takes its ranges from: got --split val, --calibration-split val",
        ),
        (["--to", "onnx", "--quantize", "int4"], "invalid choice: 'int4'"),
        (["--to", "tensorrt"], "invalid choice: 'tensorrt'"),
        (["--to", "onnx", "--max-flips", "2"], "--max-flips is a share"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    out = tmp_path / "out"
    assert main(["export", str(trained), *arguments, "--out", str(out)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1]
    assert [line for line in lines if "error" in line] == lines[-1:]
    assert not out.exists()


def test_only_networks_with_their_keras_file_are_exported(
    classical: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert main(["export", str(classical), "--to", "onnx", "--out", out]) == 2
    assert "only networks can be exported: got whole-image/hog/linear-svm@sklearn" in capsys.readouterr().err
    network = Path(shutil.copytree(shipped()["tiny"], tmp_path / "tiny"))
    record = json.loads((network / "pipeline.json").read_text())
    del record["files"]["model.keras"]
    (network / "pipeline.json").write_text(json.dumps(record))
    assert main(["export", str(network), "--to", "onnx", "--out", out]) == 2
    assert "has no model.keras, of which an export is made: got model.dynamic.tflite" in capsys.readouterr().err


def test_the_comparison_counts_what_changed() -> None:
    reference = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]], np.float32)
    exported = np.array([[0.8, 0.2], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]], np.float32)
    found = compare(exported, reference, np.array([0, 0, 1, 0]))
    assert found["max_abs_dp"] == pytest.approx(0.2)
    assert (found["flips"], found["flip_share"]) == (1, 0.25)
    assert (found["accuracy_reference"], found["accuracy_exported"]) == (0.75, 0.5)
    assert found["accuracy_difference"] == -0.25
    low, high = found["accuracy_difference_ci"]
    assert low < -0.25 < high


def test_the_interval_of_the_difference_is_that_of_agresti_and_min() -> None:
    """Known answer: 24 gained, 6 lost of 100 pairs, with half a pair added to each cell."""
    truth, wrong = np.zeros(100, np.int64), np.array([0.0, 1.0], np.float32)
    reference, exported = np.tile(np.array([1.0, 0.0], np.float32), (2, 100, 1))
    reference[:24], exported[24:30] = wrong, wrong
    found = compare(exported, reference, truth)
    assert found["accuracy_difference"] == pytest.approx(0.18)
    assert found["accuracy_difference_ci"] == pytest.approx([0.0751, 0.2778], abs=1e-4)
