"""LiteRT (formerly TensorFlow Lite): the runtime of the shipped models. Needs no TensorFlow to run.

An interpreter has fixed shapes; changing them reallocates. A batch is therefore split into powers of two, each with
an interpreter of its own, made on first use: nothing is padded, nothing reallocated, and memory stays flat.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.classifiers.runtimes.batches import call_in_batches
from ferbench.classifiers.runtimes.conversion import (
    calibration_inputs,
    check_convertible,
    check_precision,
    conversion_output_held_back,
    unusable_model,
)
from ferbench.classifiers.runtimes.views import averaged, check_views
from ferbench.contracts import Session
from ferbench.errors import DeviceError, MissingDependencyError
from ferbench.native_output import output_held_back

__all__ = ["LiteRTRuntime", "LiteRTSession", "export_litert"]


def export_litert(classifier: Any, quantize: str = "none", calibration: npt.NDArray[np.uint8] | None = None) -> bytes:
    """The LiteRT flat buffer of a fitted Keras classifier. Needs Keras on its TensorFlow backend.

    Parameters
    ----------
    classifier : KerasClassifier
    quantize : str
        One of :data:`~ferbench.classifiers.runtimes.conversion.PRECISIONS`.
    calibration : (N, h, w) uint8, optional
        Training crops, for ``int8``: the ranges of the activations are those seen on them.

    Raises
    ------
    ParameterError
        If the classifier cannot be converted here.
    """
    check_convertible(classifier, "litert", quantize, calibration)
    import tensorflow as tf

    options: dict[str, Any] = {} if quantize == "none" else {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if quantize == "float16":
        options["target_spec"] = {"supported_types": [tf.float16]}
    elif quantize == "int8" and calibration is not None:
        options["representative_dataset"] = lambda: ([x] for x in calibration_inputs(calibration))
        options["target_spec"] = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]}
    with tempfile.TemporaryDirectory() as folder, conversion_output_held_back():
        path = Path(folder) / "model.tflite"
        classifier.model_.export(path, format="litert", verbose=False, **options)
        return path.read_bytes()


class LiteRTSession:
    """Interpreters of one model: crops (N, h, w) uint8 in, probabilities (N, C) float32 out."""

    def __init__(self, model: bytes, threads: int) -> None:
        self._model, self._threads = model, threads
        self._interpreters: dict[int, tuple[Any, int, int]] = {}

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Probabilities (N, C) of crops (N, h, w)."""
        if not len(crops):
            interpreter, _, _ = self._interpreter(1, crops.shape[1:])
            return np.zeros((0, int(interpreter.get_output_details()[0]["shape"][-1])), np.float32)
        return call_in_batches(crops, self._run, 0)

    def _run(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        interpreter, source, output = self._interpreter(len(crops), crops.shape[1:])
        interpreter.set_tensor(source, crops[..., None].astype(np.float32))
        interpreter.invoke()
        # A copy, so that the next call does not overwrite what the caller holds.
        p: npt.NDArray[np.float32] = interpreter.get_tensor(output)
        return p

    def _interpreter(self, n: int, shape: tuple[int, ...]) -> tuple[Any, int, int]:
        if n not in self._interpreters:
            kind = _interpreter_class()
            with output_held_back(2, is_noise=_is_info):
                made = kind(model_content=self._model, num_threads=self._threads)
                source, output = made.get_input_details()[0]["index"], made.get_output_details()[0]["index"]
                made.resize_tensor_input(source, [n, *shape, 1], strict=True)
                made.allocate_tensors()
            self._interpreters[n] = (made, source, output)
        return self._interpreters[n]


def _is_info(line: bytes) -> bool:
    """Whether LiteRT tells which delegate it made: version 2 logs it from C++, and has no switch for that."""
    return line.startswith(b"INFO:")


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise MissingDependencyError("ai-edge-litert", "all", "the litert runtime") from error
    return Interpreter


class LiteRTRuntime:
    """Runs a ``.tflite`` file, or a fitted Keras classifier that it converts first.

    Parameters
    ----------
    quantize : str
        Precision: none (float32), float16, dynamic (8-bit weights) or int8 (8-bit throughout).
    tta : str
        Test-time augmentation, the mean over several views of a face: ``none``, ``flip`` (its mirror image too) or
        ``ten-crop``, which take twice and ten times as long.
    """

    def __init__(self, *, quantize: str = "none", tta: str = "none") -> None:
        self.quantize, self.tta = quantize, tta

    def prepare(self, fitted: Any, example: npt.NDArray[np.uint8], *, threads: int = 1, device: str = "cpu") -> Session:
        """Make the interpreter for single faces and run it once.

        Raises
        ------
        DeviceError
            For any device but the CPU.
        ModelFileError
            If a file is no LiteRT model, or takes crops of another size.
        """
        check_precision(self.quantize)
        check_views(self.tta)
        if device != "cpu":
            raise DeviceError("the litert runtime runs on the CPU", got=device, fix="use device='cpu' or keras")
        content = fitted.read_bytes() if isinstance(fitted, Path) else export_litert(fitted, self.quantize)
        session = LiteRTSession(content, threads)
        try:
            session(example[:1])
        # LiteRT raises RuntimeError where a model is read but cannot be run, ValueError for the rest.
        except (ValueError, RuntimeError) as error:
            raise unusable_model(fitted, "LiteRT", error, example) from error
        return averaged(session, self.tta)
