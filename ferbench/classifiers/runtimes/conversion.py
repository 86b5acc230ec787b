"""What every conversion of a Keras network into a file shares: precisions, calibration faces, held-back chatter."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.errors import ModelFileError, ParameterError, UnknownNameError
from ferbench.native_output import output_held_back

__all__ = [
    "PRECISIONS",
    "calibration_inputs",
    "check_convertible",
    "check_precision",
    "conversion_output_held_back",
    "file_of_network",
    "unusable_model",
]

PRECISIONS = {
    "none": "float32, as the network was trained",
    "float16": "weights in half precision",
    "dynamic": "weights in 8 bit, activations quantised from call to call",
    "int8": "weights and activations in 8 bit, their ranges taken from calibration faces; float32 in and out",
}
"""Values of a runtime's ``quantize`` and what they mean."""


def check_precision(quantize: object) -> str:
    """The value itself, if it is one of :data:`PRECISIONS`.

    Raises
    ------
    UnknownNameError
        If it is not; near names are suggested.
    """
    if not isinstance(quantize, str) or quantize not in PRECISIONS:
        raise UnknownNameError("quantize", str(quantize), PRECISIONS)
    return quantize


def check_convertible(classifier: Any, runtime: str, quantize: str, calibration: object) -> None:
    """Refuse what cannot be converted here.

    Raises
    ------
    ParameterError
        No Keras network, Keras on another backend than TensorFlow, or int8 without calibration faces.
    """
    import keras

    if not hasattr(classifier, "model_"):
        raise ParameterError(f"the {runtime} runtime runs networks", got=type(classifier).__name__)
    if keras.backend.backend() != "tensorflow":
        raise ParameterError(
            f"conversion for the {runtime} runtime needs Keras on its TensorFlow backend",
            got=keras.backend.backend(),
            fix="run again with KERAS_BACKEND=tensorflow",
        )
    check_precision(quantize)
    if quantize == "int8" and calibration is None:
        raise ParameterError(
            f"{runtime}(quantize=int8) needs calibration faces, and there are none here",
            fix=f"make it of a saved network: ferbench export FOLDER --to {runtime} --quantize int8 --out FOLDER",
        )


def calibration_inputs(calibration: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.float32]]:
    """Crops (N, h, w) uint8 one by one, as networks take them: (1, h, w, 1) float32, values 0..255."""
    for crop in calibration:
        yield crop[None, ..., None].astype(np.float32)


def file_of_network(fitted: Any) -> str:
    """What messages call a runtime's model: its file's name, or that it was converted just now."""
    return str(getattr(fitted, "name", "the converted network"))


def unusable_model(fitted: Any, kind: str, error: Exception, example: npt.NDArray[np.uint8]) -> ModelFileError:
    """What a runtime raises for a model that its library refused, with the first line of the library's reason."""
    return ModelFileError(
        f"{file_of_network(fitted)} is no usable {kind} model",
        got=str(error).strip().partition("\n")[0],
        expected=f"one that takes crops of {example.shape[1]}×{example.shape[2]} pixels",
    )


@contextmanager
def conversion_output_held_back() -> Iterator[None]:
    """Keep what converters write to stdout and stderr from the terminal; it comes out if the conversion fails.

    TensorFlow's converter logs from C++, tf2onnx and ONNX Runtime through ``logging`` and ``print``; none has a switch
    for all of it.
    """
    with output_held_back(1, 2, is_noise=lambda line: True), warnings.catch_warnings():
        # tf2onnx 1.17 looks for np.object, which numpy 2 announces anew; Keras 3.15 works around what is missing.
        warnings.filterwarnings("ignore", message=r"In the future `np\.object`", category=FutureWarning)
        # The input's range is float32's by intention: TensorFlow's converter asks for statistics all the same.
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        yield
