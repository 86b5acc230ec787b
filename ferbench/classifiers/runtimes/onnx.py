"""ONNX Runtime on CPU or NVIDIA GPU. Needs neither TensorFlow nor Keras to run a file."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.classifiers.runtimes.batches import MAX_BATCH, call_in_batches
from ferbench.classifiers.runtimes.conversion import (
    calibration_inputs,
    check_convertible,
    check_precision,
    conversion_output_held_back,
    unusable_model,
)
from ferbench.classifiers.runtimes.views import averaged, check_views
from ferbench.contracts import Session
from ferbench.errors import DeviceError, MissingDependencyError, ParameterError

__all__ = ["OnnxRuntime", "OnnxSession", "export_onnx"]

# From 1.29 on ONNX Runtime notes what runs it, for its makers, unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

GPU_PROVIDER = "CUDAExecutionProvider"
OPSET = 17
"""Version of the operators that are written; ONNX Runtime has run it since 1.12 (2022)."""


def export_onnx(classifier: Any, quantize: str = "none", calibration: npt.NDArray[np.uint8] | None = None) -> bytes:
    """The ONNX model of a fitted Keras classifier. Needs Keras on its TensorFlow backend, and tf2onnx.

    Parameters
    ----------
    classifier : KerasClassifier
    quantize : str
        One of :data:`~ferbench.classifiers.runtimes.conversion.PRECISIONS`.
    calibration : (N, h, w) uint8, optional
        Training crops, for ``int8``: the ranges of the activations are those seen on them.

    Raises
    ------
    MissingDependencyError
        onnx, onnxruntime or tf2onnx is not installed.
    ParameterError
        If the classifier cannot be converted here.
    """
    check_convertible(classifier, "onnx", quantize, calibration)
    for package in ("onnx", "onnxruntime", "tf2onnx"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(package, "onnx", "conversion to ONNX")
    with tempfile.TemporaryDirectory() as folder, conversion_output_held_back():
        path = Path(folder) / "model.onnx"
        model = classifier.model_
        model(np.zeros((1, *model.input_shape[1:]), np.float32))  # Keras exports to ONNX only what was called before
        model.export(path, format="onnx", verbose=False, opset_version=OPSET)
        if quantize == "float16":
            _halve(path)
        elif quantize == "dynamic":
            _quantize_dynamically(path)
        elif calibration is not None and quantize == "int8":
            _quantize_statically(path, calibration)
        return path.read_bytes()


def _halve(path: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path)


def _quantize_dynamically(path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(_prepared(path), path, weight_type=QuantType.QUInt8)


def _quantize_statically(path: Path, calibration: npt.NDArray[np.uint8]) -> None:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self._name, self._inputs = name, calibration_inputs(calibration)

        def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
            x = next(self._inputs, None)
            return None if x is None else {self._name: x}

    prepared = _prepared(path)
    quantize_static(
        prepared,
        path,
        Reader(_input_name(prepared)),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        # Against ranges from the extremes: a third fewer changed labels on FER2013's validation faces.
        calibrate_method=CalibrationMethod.Percentile,
    )


def _prepared(path: Path) -> Path:
    """The model with shapes inferred and batch normalisation folded, as ONNX Runtime's quantisation wants it."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_name("prepared.onnx")
    quant_pre_process(path, prepared, skip_symbolic_shape=True)  # the symbolic one needs sympy, and adds nothing here
    return prepared


def _input_name(path: Path) -> str:
    import onnx

    return str(onnx.load(path).graph.input[0].name)


class OnnxSession:
    """A session of ONNX Runtime: crops (N, h, w) uint8 in, probabilities (N, C) float32 on the host out."""

    def __init__(self, session: Any, *, largest_batch: int = MAX_BATCH) -> None:
        (source,), (output,) = session.get_inputs(), session.get_outputs()
        self._session, self._source, self._output = session, source.name, output.name
        self._n_classes, self._largest_batch = int(output.shape[-1]), largest_batch

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Probabilities (N, C) of crops (N, h, w)."""
        return call_in_batches(crops, self._run, self._n_classes, largest=self._largest_batch)

    def _run(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        p: npt.NDArray[np.float32]
        (p,) = self._session.run([self._output], {self._source: crops[..., None].astype(np.float32)})
        return p


class OnnxRuntime:
    """Runs a ``.onnx`` file, or a fitted Keras classifier that it converts first, by ONNX Runtime.

    The CPU is what it was measured on; a GPU needs the package ``onnxruntime-gpu`` in place of ``onnxruntime``.

    Parameters
    ----------
    quantize : str
        Precision: none (float32), float16, dynamic (8-bit weights) or int8 (8-bit throughout).
    tta : str
        Test-time augmentation, the mean over several views of a face: ``none``, ``flip`` (its mirror image too) or
        ``ten-crop``, which take twice and ten times as long.
    """

    engine = "onnxruntime"

    def __init__(self, *, quantize: str = "none", tta: str = "none") -> None:
        self.quantize, self.tta = quantize, tta

    def find_gpus(self) -> Sequence[str]:
        """``["CUDA"]`` where ONNX Runtime was built for NVIDIA's GPUs and can use one; it does not tell their names."""
        ort = _onnxruntime()
        if GPU_PROVIDER not in ort.get_available_providers():
            return []
        # A build for CUDA lists its provider on machines without a GPU, too: only a session tells.
        return ["CUDA"] if GPU_PROVIDER in self._open(_identity_model(), 1, "gpu").get_providers() else []

    def prepare(self, fitted: Any, example: npt.NDArray[np.uint8], *, threads: int = 1, device: str = "cpu") -> Session:
        """Make the session and run it once.

        Raises
        ------
        DeviceError
            A GPU was asked for, and ONNX Runtime can use none here.
        MissingDependencyError
            The onnx extra is not installed.
        ModelFileError
            If a file is no ONNX model, or takes crops of another size.
        """
        ort = _onnxruntime()
        check_precision(self.quantize)
        check_views(self.tta)
        if device not in ("cpu", "gpu"):
            raise ParameterError("unknown device", got=repr(device), expected="cpu or gpu")
        if device == "gpu" and not self.find_gpus():
            raise DeviceError(
                "ONNX Runtime has no GPU here",
                got=", ".join(ort.get_available_providers()),
                expected=GPU_PROVIDER,
                fix="use device='cpu', or install onnxruntime-gpu in place of onnxruntime",
            )
        content = fitted.read_bytes() if isinstance(fitted, Path) else export_onnx(fitted, self.quantize)
        refusals = _refusals()
        try:
            # Dynamic quantisation takes one range for all faces of a call: what is said of a face would depend on the
            # others by up to 0.07. Each face is therefore a call of its own.
            largest = 1 if self.quantize == "dynamic" else MAX_BATCH
            session = OnnxSession(self._open(content, threads, device), largest_batch=largest)
            session(example[:1])
        except refusals as error:
            raise unusable_model(fitted, "ONNX", error, example) from error
        return averaged(session, self.tta)

    def _open(self, content: bytes, threads: int, device: str) -> Any:
        ort = _onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4  # errors come as exceptions
        # Threads that wait for the next face by spinning take the core that the detector needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = [GPU_PROVIDER] if device == "gpu" else []
        return ort.InferenceSession(content, options, providers=[*providers, "CPUExecutionProvider"])


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingDependencyError("onnxruntime", "onnx", "the onnx runtime") from error
    return onnxruntime


def _refusals() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises for a model or an input that it cannot use: there is no common base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    names = (
        "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NotImplemented", "RuntimeException"
    )  # fmt: skip
    # ValueError and TypeError: a model with more than one input, or outputs without a size.
    return (ValueError, TypeError, *(getattr(states, name) for name in names))


def _identity_model() -> bytes:
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    content: bytes = onnx.ModelProto.SerializeToString(model)
    return content
