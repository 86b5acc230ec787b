"""Keras called as one compiled function. ``model.predict`` costs 50-84 ms for one face; this costs 2-3.

The variables are put on the device once, results are on the host when a call returns, and a batch that the device has
no memory for is run in smaller parts, which is said. Nothing of this was measured on a GPU so far.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ferbench.checks import check_integer
from ferbench.classifiers.runtimes.views import averaged, check_views
from ferbench.contracts import Session
from ferbench.devices import choose_device
from ferbench.errors import DeviceError, ParameterError

__all__ = ["LARGEST_BATCH", "KerasRuntime", "KerasSession"]

LARGEST_BATCH = 256
"""Faces of one call of the network; a longer batch is run in parts of this size."""

Forward = Callable[[npt.NDArray[np.float32]], Any]


class KerasSession:
    """A compiled forward pass: crops (N, h, w) uint8 in, probabilities (N, C) float32 on the host out.

    Parameters
    ----------
    model : keras.Model
        Takes (N, h, w, 1) float32 with values 0..255. It is left where it is; a copy goes to another device.
    device : str
        Keras' name of the device: ``"cpu:0"``, ``"gpu:0"``.
    largest_batch : int
        Faces of one call. Where the device runs out of memory this becomes the next smaller power of two, with one
        warning each time, and stays so.
    """

    def __init__(self, model: keras.Model, device: str = "cpu:0", *, largest_batch: int = LARGEST_BATCH) -> None:
        self.device, self.largest_batch = device, largest_batch
        self._n_classes = model.output_shape[-1]
        backend, is_gpu = _backend(), device.startswith("gpu")
        self._forward = _FORWARDS[backend](model, device)
        self._memory_errors = _memory_errors()
        # JAX compiles, and TensorFlow tries cuDNN's algorithms, anew for each batch size that comes: padded to powers
        # of two these are nine at most. PyTorch, and TensorFlow on the CPU, take any size as it is.
        self._pads = backend == "jax" or (backend == "tensorflow" and is_gpu)

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Probabilities (N, C) of crops (N, h, w).

        Raises
        ------
        DeviceError
            The device has no memory for a single face.
        """
        start, parts = 0, []
        while start < len(crops):
            part = crops[start : start + self.largest_batch]
            try:
                parts.append(self._run(part))
            except self._memory_errors as error:
                self._shrink(len(part), error)
            else:  # not in the clause above, where the error still holds on to what the failed call had computed
                start += len(part)
        if not parts:  # batch normalisation of nothing is an error in TensorFlow
            return np.zeros((0, self._n_classes), np.float32)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        n = len(crops)
        size = min(1 << (n - 1).bit_length(), self.largest_batch) if self._pads else n
        x = np.zeros((size, *crops.shape[1:], 1), np.float32)
        x[:n, ..., 0] = crops
        with keras.device(self.device):
            # Waits for the device: what a call that runs on has not computed yet, or failed to, shows here.
            p: npt.NDArray[np.float32] = keras.ops.convert_to_numpy(self._forward(x))
        return p[:n]

    def _shrink(self, n: int, error: Exception) -> None:
        """Make the largest batch smaller than the ``n`` faces that did not fit; other errors go on their way."""
        if not _is_out_of_memory(error):
            raise error
        if n == 1:
            raise DeviceError(
                f"{self.device} has no memory for a single face",
                got=str(error).splitlines()[0],
                fix="close what else uses it, or use the CPU",
            ) from error
        smaller = 1 << ((n - 1).bit_length() - 1)
        warnings.warn(
            f"{self.device} ran out of memory at a batch of {n}: batches of {smaller} from now on",
            RuntimeWarning,
            stacklevel=3,
        )
        self.largest_batch = smaller


def _tensorflow_forward(model: keras.Model, device: str) -> Forward:
    import tensorflow as tf

    placed = _placed(model, device)
    signature = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)
    compiled: Forward = tf.function(lambda x: placed(x, training=False), input_signature=[signature])
    return compiled


def _jax_forward(model: keras.Model, device: str) -> Forward:
    import jax

    kind, index = device.split(":")
    target = jax.devices(kind)[int(index)]
    values = ([v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables])
    # Values that are committed to a device decide where the call runs, whatever JAX' default is.
    weights = jax.device_put(values, target)
    stateless = jax.jit(lambda weights, x: model.stateless_call(*weights, x, training=False)[0])
    return lambda x: stateless(weights, jax.device_put(x, target))


def _torch_forward(model: keras.Model, device: str) -> Forward:
    import torch

    placed = _placed(model, device)

    def forward(x: npt.NDArray[np.float32]) -> Any:
        with torch.inference_mode():
            return placed(x, training=False)

    return forward


_FORWARDS: dict[str, Callable[[keras.Model, str], Forward]] = {
    "tensorflow": _tensorflow_forward,
    "jax": _jax_forward,
    "torch": _torch_forward,
}


def _backend() -> str:
    name = str(keras.backend.backend())
    if name not in _FORWARDS:
        raise ParameterError(
            "the keras runtime cannot use this backend",
            got=repr(name),
            expected=", ".join(_FORWARDS),
            fix="set KERAS_BACKEND to one of them",
        )
    return name


def _placed(model: keras.Model, device: str) -> keras.Model:
    """The network with its variables on the device: itself where they are there already, otherwise a copy."""
    if all(_place(variable) == device for variable in model.variables):
        return model
    with keras.device(device):
        copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def _place(variable: keras.Variable) -> str:
    """Where a variable of TensorFlow or PyTorch lies, by Keras' name of the device."""
    place = variable.value.device
    if isinstance(place, str):  # TensorFlow: /job:localhost/replica:0/task:0/device:GPU:0
        return place.lower().rpartition("device:")[2]
    return f"{'gpu' if place.type == 'cuda' else place.type}:{place.index or 0}"


def _memory_errors() -> tuple[type[Exception], ...]:
    """What the backend raises when a device has no memory left; see :func:`_is_out_of_memory`."""
    backend = _backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return (tf.errors.ResourceExhaustedError,)
    if backend == "jax":
        import jax

        return (jax.errors.JaxRuntimeError,)
    import torch

    return (torch.cuda.OutOfMemoryError,)


def _is_out_of_memory(error: Exception) -> bool:
    # JAX has one class for all that goes wrong on a device; its status stands at the start of the message.
    return keras.backend.backend() != "jax" or str(error).startswith("RESOURCE_EXHAUSTED")


class KerasRuntime:
    """Runs a fitted :class:`~ferbench.classifiers.keras.adapter.KerasClassifier` on Keras' own backend.

    Parameters
    ----------
    largest_batch : int
        Faces of one call of the network.
    tta : str
        Test-time augmentation, the mean over several views of a face: ``none``, ``flip`` (its mirror image too) or
        ``ten-crop``, which take twice and ten times as long.
    """

    def __init__(self, *, largest_batch: int = LARGEST_BATCH, tta: str = "none") -> None:
        self.largest_batch, self.tta = largest_batch, tta

    @property
    def engine(self) -> str:
        """``keras on tensorflow``, or the backend in use."""
        return f"keras on {keras.backend.backend()}"

    def find_gpus(self) -> list[str]:
        """Names of the GPUs that the backend sees."""
        backend = _backend()
        if backend == "tensorflow":
            import tensorflow as tf

            # Unlike the list of logical devices, this one leaves the thread pools open to be set.
            gpus = tf.config.get_visible_devices("GPU")
            return [str(tf.config.experimental.get_device_details(g).get("device_name", g.name)) for g in gpus]
        if backend == "jax":
            import jax

            return [str(device.device_kind) for device in jax.devices() if device.platform == "gpu"]
        import torch

        # Keras 3.15 cannot list devices on PyTorch.
        return [str(torch.cuda.get_device_name(i)) for i in range(torch.cuda.device_count())]

    def prepare(self, fitted: Any, example: npt.NDArray[np.uint8], *, threads: int = 1, device: str = "cpu") -> Session:
        """Compile the forward pass and run it once.

        TensorFlow fixes its thread pools when it is first used: set them before that
        (:mod:`ferbench.benchmarks.threads`); here they are only requested.
        """
        if not hasattr(fitted, "model_"):
            raise ParameterError("the keras runtime runs Keras networks", got=type(fitted).__name__)
        check_integer("largest_batch", self.largest_batch, 1)
        check_views(self.tta)
        chosen = choose_device(device, self, "keras")
        _request_threads(threads)
        session = KerasSession(fitted.model_, f"{chosen.kind}:0", largest_batch=self.largest_batch)
        session(example[:1])
        return averaged(session, self.tta)


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
