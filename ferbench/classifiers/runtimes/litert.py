"""LiteRT (formerly TensorFlow Lite): the runtime of the shipped models. Needs no TensorFlow to run.

An interpreter has fixed shapes; changing them reallocates. A batch is therefore split into powers of two, each with
an interpreter of its own, made on first use: nothing is padded, nothing reallocated, and memory stays flat.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.errors import DeviceError, MissingDependencyError, ModelFileError, ParameterError

__all__ = ["LiteRTRuntime", "LiteRTSession", "export_litert"]

MAX_BATCH = 64
"""Largest batch of one interpreter call; beyond it, faces a second no longer rise."""


def export_litert(classifier: Any) -> bytes:
    """The LiteRT flat buffer, float32, of a fitted Keras classifier. Needs Keras on its TensorFlow backend."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ParameterError(
            "LiteRT export needs Keras on its TensorFlow backend",
            got=keras.backend.backend(),
            fix="run again with KERAS_BACKEND=tensorflow",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        classifier.model_.export(path, format="litert", verbose=False)
        return path.read_bytes()


class LiteRTSession:
    """Interpreters of one model: crops (N, h, w) uint8 in, probabilities (N, C) float32 out."""

    def __init__(self, model: bytes, threads: int) -> None:
        self._model, self._threads = model, threads
        self._interpreters: dict[int, tuple[Any, int, int]] = {}

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Probabilities (N, C) of crops (N, h, w)."""
        start, parts = 0, []
        while start < len(crops):
            size = min(MAX_BATCH, 1 << ((len(crops) - start).bit_length() - 1))
            parts.append(self._run(crops[start : start + size]))
            start += size
        if not parts:
            interpreter, _, _ = self._interpreter(1, crops.shape[1:])
            return np.zeros((0, int(interpreter.get_output_details()[0]["shape"][-1])), np.float32)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

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
            with _native_info_held_back():
                made = kind(model_content=self._model, num_threads=self._threads)
                source, output = made.get_input_details()[0]["index"], made.get_output_details()[0]["index"]
                made.resize_tensor_input(source, [n, *shape, 1], strict=True)
                made.allocate_tensors()
            self._interpreters[n] = (made, source, output)
        return self._interpreters[n]


@contextmanager
def _native_info_held_back() -> Iterator[None]:
    """Keep LiteRT's ``INFO:`` lines from stderr; whatever else it writes there comes through.

    LiteRT 2 logs from C++ which delegate it made, and has no switch for that.
    """
    try:
        kept = os.dup(2)
    except OSError:  # no stderr: nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not line.startswith(b"INFO:"):
                    os.write(2, line)


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise MissingDependencyError("ai-edge-litert", "all", "the litert runtime") from error
    return Interpreter


class LiteRTRuntime:
    """Runs a ``.tflite`` file, or a fitted Keras classifier that it exports first."""

    def prepare(
        self, fitted: Any, example: npt.NDArray[np.uint8], *, threads: int = 1, device: str = "cpu"
    ) -> LiteRTSession:
        """Make the interpreter for single faces and run it once.

        Raises
        ------
        DeviceError
            For any device but the CPU.
        ModelFileError
            If a file is no LiteRT model.
        """
        if device != "cpu":
            raise DeviceError("the litert runtime runs on the CPU", got=device, fix="use device='cpu' or keras")
        if isinstance(fitted, Path):
            content = fitted.read_bytes()
        elif hasattr(fitted, "model_"):
            content = export_litert(fitted)
        else:
            raise ParameterError("the litert runtime runs networks", got=type(fitted).__name__)
        session = LiteRTSession(content, threads)
        try:
            session(example[:1])
        except ValueError as error:
            name = fitted.name if isinstance(fitted, Path) else "the exported network"
            raise ModelFileError(f"{name} is no usable LiteRT model", got=str(error).splitlines()[0]) from error
        return session
