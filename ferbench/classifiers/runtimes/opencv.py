"""OpenCV's own inference, ``cv2.dnn``, on the ONNX file.

Two traps of OpenCV 4.14, both silent: read from a LiteRT file, a se-resnet's probabilities are off by 0.03; read from
an ONNX file whose batch size is open, those of batches are wrong. With the batch size written into the ONNX file all
of them are right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ferbench.classifiers.runtimes.batches import call_in_batches
from ferbench.classifiers.runtimes.conversion import conversion_output_held_back, file_of_network
from ferbench.classifiers.runtimes.onnx import export_onnx
from ferbench.classifiers.runtimes.views import averaged, check_views
from ferbench.contracts import Session
from ferbench.errors import DeviceError, MissingDependencyError, ModelFileError

__all__ = ["OpenCVRuntime", "OpenCVSession"]


class OpenCVSession:
    """Networks of ``cv2.dnn``, one for each batch size: crops (N, h, w) uint8 in, probabilities (N, C) float32 out.

    Parameters
    ----------
    model : onnx.ModelProto
        Its first dimension is the batch.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._n_classes = int(model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value)
        self._networks: dict[int, Any] = {}

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Probabilities (N, C) of crops (N, h, w)."""
        return call_in_batches(crops, self._run, self._n_classes)

    def _run(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        n = len(crops)
        if n not in self._networks:
            self._networks[n] = self._network(n)
        network = self._networks[n]
        network.setInput(crops[..., None].astype(np.float32))
        # A copy: OpenCV gives its own buffer, which the next call overwrites.
        return np.array(network.forward(), np.float32).reshape(n, -1)

    def _network(self, n: int) -> Any:
        for end in (self._model.graph.input[0], self._model.graph.output[0]):
            end.type.tensor_type.shape.dim[0].dim_value = n
        return cv2.dnn.readNetFromONNX(np.frombuffer(self._model.SerializeToString(), np.uint8))


class OpenCVRuntime:
    """Runs a float32 ``.onnx`` file, or a fitted Keras classifier that it converts first, by ``cv2.dnn``.

    OpenCV has one thread pool for the whole process: the threads asked for also hold for the detectors and for every
    other pipeline in it.

    Parameters
    ----------
    tta : str
        Test-time augmentation, the mean over several views of a face: ``none``, ``flip`` (its mirror image too) or
        ``ten-crop``, which take twice and ten times as long.
    """

    def __init__(self, *, tta: str = "none") -> None:
        self.tta = tta

    def prepare(self, fitted: Any, example: npt.NDArray[np.uint8], *, threads: int = 1, device: str = "cpu") -> Session:
        """Set OpenCV's threads, read the network and run it once.

        Raises
        ------
        DeviceError
            For any device but the CPU: OpenCV's wheels are built without CUDA.
        MissingDependencyError
            The onnx extra is not installed.
        ModelFileError
            If a file is no ONNX model, takes crops of another size, or has layers that OpenCV lacks.
        """
        check_views(self.tta)
        if device != "cpu":
            raise DeviceError("the opencv runtime runs on the CPU", got=device, fix="use device='cpu' or keras")
        content = fitted.read_bytes() if isinstance(fitted, Path) else export_onnx(fitted)
        name = file_of_network(fitted)
        session = OpenCVSession(_read(content, name, example.shape[1:]))
        cv2.setNumThreads(threads)
        try:
            with conversion_output_held_back():
                session(example[:1])
        except cv2.error as error:
            raise ModelFileError(
                f"{name} is no model that OpenCV can run", got=error.err, fix="use the onnx runtime"
            ) from error
        return averaged(session, self.tta)


def _read(content: bytes, name: str, size: tuple[int, ...]) -> Any:
    """The model, if it is one that takes crops of this size: OpenCV itself would take others, too."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError as error:
        raise MissingDependencyError("onnx", "onnx", "the opencv runtime") from error
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise ModelFileError(f"{name} is no usable ONNX model", got=str(error).partition("\n")[0]) from error
    shapes = [
        tuple(int(d.dim_value) for d in end.type.tensor_type.shape.dim[1:])
        for ends in (model.graph.input, model.graph.output)
        for end in ends
    ]
    if len(shapes) != 2 or len(shapes[1]) != 1:
        raise ModelFileError(f"{name} is no usable ONNX model", got=f"inputs and outputs {shapes}")
    if shapes[0] != (*size, 1):
        raise ModelFileError(f"{name} takes another input", got=shapes[0], expected=(*size, 1))
    return model
