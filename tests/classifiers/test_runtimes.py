"""Exported networks: every runtime at every precision agrees with Keras, in batches of any size; misuse is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.deep
pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")
pytest.importorskip("onnxruntime", reason="needs the onnx extra: pip install 'ferbench[onnx]'")

from ferbench.errors import (  # noqa: E402
    DeviceError,
    MissingDependencyError,
    ModelFileError,
    ParameterError,
    UnknownNameError,
)
from ferbench.pipelines import load_pipeline, make_pipeline  # noqa: E402
from ferbench.pipelines.artefacts import convert, model_file  # noqa: E402
from ferbench.pipelines.exported import add_model  # noqa: E402
from ferbench.registry import create  # noqa: E402
from ferbench.specs import parse_spec  # noqa: E402
from tests.pipelines.conftest import striped_crops  # noqa: E402

SMALL = "se-resnet(width=4, blocks=(1, 1), epochs=3, batch_size=16, learning_rate=0.01)"
EXAMPLE = np.zeros((1, 48, 48), np.uint8)

# Largest difference of a probability. Eight bits are coarse for a network of a few thousand weights.
TOLERANCES = {
    "litert": 1e-5,
    "litert(quantize=float16)": 0.01,
    "litert(quantize=dynamic)": 0.1,
    "litert(quantize=int8)": 0.25,
    "onnx": 1e-5,
    "onnx(quantize=float16)": 0.01,
    "onnx(quantize=dynamic)": 0.25,
    "onnx(quantize=int8)": 0.25,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One saved network with a file for every runtime and precision."""
    network = make_pipeline("haar", SMALL).fit(*striped_crops(120))
    folder = network.save(tmp_path_factory.mktemp("networks") / "all")
    calibration, _ = striped_crops(60, seed=3)
    for name in TOLERANCES:
        runtime = parse_spec(name)
        add_model(folder, folder, runtime, convert(network.estimator_, runtime, calibration), {"checked": False})
    return folder


@pytest.fixture(scope="module")
def reference(folder: Path):
    return load_pipeline(folder, runtime="keras")


def test_one_folder_holds_a_file_for_every_runtime(folder: Path) -> None:
    assert {str(model_file(parse_spec(name))) for name in TOLERANCES} < {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("runtime", [*TOLERANCES, "opencv"])
def test_every_runtime_and_precision_agrees_with_keras(folder: Path, reference, runtime: str) -> None:
    crops, _ = striped_crops(75, seed=7)
    loaded = load_pipeline(folder, runtime=runtime)
    assert loaded.id.endswith(f"@{runtime}")
    p = loaded.classify(crops)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=0.02)
    np.testing.assert_allclose(p, reference.classify(crops), atol=TOLERANCES.get(runtime, 1e-5), rtol=0)


def test_opencv_agrees_on_the_network_that_its_other_reader_gets_wrong() -> None:
    """From a LiteRT file OpenCV 4.14 is off by 0.03 on this architecture."""
    import keras

    from ferbench.classifiers.keras.networks import se_resnet

    keras.utils.set_random_seed(2)
    classifier = create("classifiers", "se-resnet(width=8)")
    classifier.model_ = se_resnet((48, 48), 7, width=8)
    for variable in classifier.model_.variables:  # as trained: no statistic at its start value, logits of some size
        if "moving_variance" in variable.path or "kernel" in variable.path:
            variable.assign(variable * 1.5)
    crops, _ = striped_crops(5)
    expected = classifier.model_.predict(crops[..., None], verbose=0)
    p = create("runtimes", "opencv").prepare(classifier, EXAMPLE)(crops)
    np.testing.assert_allclose(p, expected, atol=1e-4)


@pytest.mark.parametrize("runtime", [*TOLERANCES, "opencv"])
def test_a_batch_gives_what_its_faces_give_one_by_one(folder: Path, runtime: str) -> None:
    crops, _ = striped_crops(75, seed=8)  # 64 + 8 + 2 + 1
    loaded = load_pipeline(folder, runtime=runtime)
    singles = np.concatenate([loaded.classify(crops[i : i + 1]) for i in range(75)])
    np.testing.assert_allclose(loaded.classify(crops), singles, atol=1e-5)
    assert loaded.classify(crops[:0]).shape == (0, 7)


@pytest.mark.parametrize("runtime", ["litert", "onnx", "opencv"])
def test_a_result_is_not_overwritten_by_the_next_call(folder: Path, runtime: str) -> None:
    crops, _ = striped_crops(2)
    session = create("runtimes", runtime).prepare(folder / str(model_file(parse_spec(runtime))), EXAMPLE)
    first = session(crops[:1])
    kept = first.copy()
    session(crops[1:])
    np.testing.assert_array_equal(first, kept)


def test_the_network_itself_is_converted_where_there_is_no_file(reference) -> None:
    crops, _ = striped_crops(4)
    session = create("runtimes", "onnx").prepare(reference.estimator_, EXAMPLE)
    assert session(crops).shape == (4, 3)
    with pytest.raises(ParameterError, match=r"onnx\(quantize=int8\) needs calibration faces.*ferbench export"):
        create("runtimes", "onnx(quantize=int8)").prepare(reference.estimator_, EXAMPLE)


def test_opencv_threads_hold_for_the_process(folder: Path) -> None:
    import cv2

    before = cv2.getNumThreads()
    try:
        create("runtimes", "opencv").prepare(folder / "model.onnx", EXAMPLE, threads=2)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize("runtime", ["litert", "onnx", "opencv"])
def test_a_gpu_that_is_not_there_is_named(folder: Path, runtime: str) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime is built for a GPU")
    path = folder / str(model_file(parse_spec(runtime)))
    with pytest.raises(DeviceError, match="CPU"):
        create("runtimes", runtime).prepare(path, EXAMPLE, device="gpu")


@pytest.mark.parametrize("content", [b"", b"no model at all" * 40])
@pytest.mark.parametrize("runtime", ["litert", "onnx", "opencv"])
def test_a_file_that_is_no_model_is_named(runtime: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / str(model_file(parse_spec(runtime)))
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"{path.name} is no usable (LiteRT|ONNX) model: got .+") as caught:
        create("runtimes", runtime).prepare(path, EXAMPLE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("runtime", ["litert", "onnx", "opencv"])
def test_crops_of_another_size_are_refused(folder: Path, runtime: str) -> None:
    path = folder / str(model_file(parse_spec(runtime)))
    with pytest.raises(ModelFileError, match=r"64"):
        create("runtimes", runtime).prepare(path, np.zeros((1, 64, 64), np.uint8))


def test_an_unknown_precision_is_named_before_anything_is_read() -> None:
    with pytest.raises(UnknownNameError, match="unknown quantize 'int4'; did you mean 'int8'"):
        make_pipeline("mini-xception", runtime="onnx(quantize=int4)")
    assert make_pipeline("mini-xception", runtime="litert(quantize=none)").id.endswith("@litert")


def test_training_for_int8_is_refused_before_it_begins() -> None:
    crops, labels = striped_crops(12)
    with pytest.raises(ParameterError, match="then use ferbench export"):
        make_pipeline("whole-image", SMALL, runtime="litert(quantize=int8)").fit(crops, labels)


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ferbench.classifiers.runtimes.onnx import OnnxRuntime

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'ferbench\[onnx\]'"):
        OnnxRuntime().prepare(folder / "model.onnx", EXAMPLE)


def test_onnx_runtime_notes_nothing_for_its_makers(folder: Path, tmp_path: Path) -> None:
    """Its telemetry would keep a device's id and a list of events under the home folder, and start a thread."""
    code = (
        "import sys, numpy as np; from pathlib import Path; from ferbench.registry import create\n"
        "create('runtimes', 'onnx').prepare(Path(sys.argv[1]), np.zeros((1, 48, 48), np.uint8))\n"
    )
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", code, str(folder / "model.onnx")]
    subprocess.run(command, env=kept | places, check=True, timeout=120)
    assert [str(path) for path in tmp_path.rglob("*") if "icrosoft" in str(path)] == []
