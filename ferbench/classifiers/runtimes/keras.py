"""Keras called as one compiled function. ``model.predict`` costs 50-84 ms for one face; this costs 2-3."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ferbench.errors import DeviceError, ParameterError

__all__ = ["KerasRuntime", "KerasSession"]


class KerasSession:
    """A compiled forward pass: crops (N, h, w) uint8 in, probabilities (N, C) float32 on the host out."""

    def __init__(self, model: keras.Model, device: str) -> None:
        self._forward = _compiled_forward(model)
        self._device, self._n_classes = device, model.output_shape[-1]

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Probabilities (N, C) of crops (N, h, w)."""
        if not len(crops):
            # Batch normalisation of nothing is an error in TensorFlow.
            return np.zeros((0, self._n_classes), np.float32)
        x = crops[..., None].astype(np.float32)
        with keras.device(f"{self._device}:0"):
            p: npt.NDArray[np.float32] = keras.ops.convert_to_numpy(self._forward(x))
        return p


def _compiled_forward(model: keras.Model) -> Any:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        signature = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)
        return tf.function(lambda x: model(x, training=False), input_signature=[signature])
    if backend == "jax":
        import jax

        trainable, fixed = model.trainable_variables, model.non_trainable_variables
        stateless = jax.jit(lambda t, f, x: model.stateless_call(t, f, x, training=False)[0])
        return lambda x: stateless([v.value for v in trainable], [v.value for v in fixed], x)
    import torch

    def forward(x: npt.NDArray[np.float32]) -> Any:
        with torch.inference_mode():
            return model(x, training=False)

    return forward


class KerasRuntime:
    """Runs a fitted :class:`~ferbench.classifiers.keras.adapter.KerasClassifier` on Keras' own backend."""

    def prepare(
        self, fitted: Any, example: npt.NDArray[np.uint8], *, threads: int = 1, device: str = "cpu"
    ) -> KerasSession:
        """Compile the forward pass and run it once.

        TensorFlow fixes its thread pools when it is first used: set them before that
        (:mod:`ferbench.benchmarks.threads`); here they are only requested.
        """
        if not hasattr(fitted, "model_"):
            raise ParameterError("the keras runtime runs Keras networks", got=type(fitted).__name__)
        if device not in ("cpu", "gpu"):
            raise ParameterError("unknown device", got=repr(device), expected="cpu or gpu")
        if device == "gpu" and not _has_gpu():
            raise DeviceError(
                "no GPU for the keras runtime",
                got=f"backend {keras.backend.backend()} sees only the CPU",
                fix="use device='cpu', or install a backend built for the GPU",
            )
        _request_threads(threads)
        session = KerasSession(fitted.model_, device)
        session(example[:1])
        return session


def _has_gpu() -> bool:
    return bool(keras.distribution.list_devices("gpu"))


def _request_threads(threads: int) -> None:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf
        from tensorflow.python.eager import context

        if context.context()._context_handle is None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
    elif keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(threads)
