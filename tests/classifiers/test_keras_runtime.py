"""The keras runtime on its device: placement, batches that do not fit, what is padded; on every backend that is here.

No GPU is needed: a second CPU device stands for it, and the backend's own error for a full one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytestmark = pytest.mark.deep
keras = pytest.importorskip("keras", reason="needs the deep extra: pip install 'ferbench[deep]'")

from ferbench.classifiers.runtimes.keras import KerasRuntime, KerasSession  # noqa: E402
from ferbench.errors import DeviceError, ParameterError  # noqa: E402

CROPS = np.random.default_rng(0).integers(0, 256, (300, 16, 16), np.uint8)


def small_network() -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 1))
    x = keras.layers.Conv2D(4, 3, strides=2)(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(x))
    return keras.Model(image, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(x)))


class Fitted:
    """What the runtime needs of a fitted classifier."""

    def __init__(self) -> None:
        self.model_ = small_network()


def out_of_memory() -> Exception:
    """What the backend in use raises when a device is full."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor\nwith shape[512,64]")
    if keras.backend.backend() == "jax":
        import jax

        return jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 byte.")
    import torch

    return torch.cuda.OutOfMemoryError("CUDA out of memory.")


def with_room_for(session: KerasSession, n: int) -> list[int]:
    """Let the device of a session be too small for more than ``n`` faces; the sizes of the calls that it will get."""
    forward, sizes = session._forward, []

    def limited(x: npt.NDArray[np.float32]) -> Any:
        sizes.append(len(x))
        if len(x) > n:
            raise out_of_memory()
        return forward(x)

    session._forward = limited
    return sizes


def test_batches_are_parts_of_at_most_the_largest() -> None:
    session = KerasRuntime(largest_batch=128).prepare(Fitted(), CROPS)
    expected = session(CROPS[:100])
    sizes = with_room_for(session, 128)
    p = session(CROPS)
    assert max(sizes) == 128
    assert p.shape == (300, 3)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p[:100], expected, atol=1e-6)
    assert KerasSession(small_network()).largest_batch == 256
    assert session(CROPS[:0]).shape == (0, 3)


def test_a_batch_that_does_not_fit_is_halved_with_a_warning_and_the_size_remembered() -> None:
    session = KerasSession(small_network())
    expected = session(CROPS)
    sizes = with_room_for(session, 70)
    with pytest.warns(RuntimeWarning) as said:
        p = session(CROPS)
    assert [str(one.message) for one in said if one.category is RuntimeWarning] == [
        "cpu:0 ran out of memory at a batch of 256: batches of 128 from now on",
        "cpu:0 ran out of memory at a batch of 128: batches of 64 from now on",
    ]
    np.testing.assert_allclose(p, expected, atol=1e-6)
    assert session.largest_batch == 64
    sizes.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session(CROPS)
    assert max(sizes) == 64


def test_a_device_too_small_for_one_face_is_an_error() -> None:
    session = KerasSession(small_network())
    sizes = with_room_for(session, 0)
    with (
        pytest.warns(RuntimeWarning),
        pytest.raises(DeviceError, match=r"cpu:0 has no memory for a single face: got .*(memory|OOM)") as caught,
    ):
        session(CROPS[:4])
    assert sizes == [4, 2, 1]
    assert "\n" not in str(caught.value)


def test_other_errors_of_the_device_are_not_tried_again() -> None:
    session = KerasSession(small_network())
    calls = []
    kind = type(out_of_memory()) if keras.backend.backend() == "jax" else RuntimeError

    def broken(x: npt.NDArray[np.float32]) -> Any:
        calls.append(len(x))
        raise kind("INTERNAL: the device fell off the bus")

    session._forward = broken
    with pytest.raises(kind, match="fell off"):
        session(CROPS[:8])
    assert calls == [8]


def test_sizes_are_padded_where_each_is_prepared_anew() -> None:
    session = KerasSession(small_network(), largest_batch=100)
    expected = session(CROPS[:100])
    sizes = with_room_for(session, 1000)
    results = [session(CROPS[:n]) for n in (1, 3, 5, 70)]
    is_padded = keras.backend.backend() == "jax"
    assert sizes == ([1, 4, 8, 100] if is_padded else [1, 3, 5, 70])
    for p in results:
        np.testing.assert_allclose(p, expected[: len(p)], atol=1e-6)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "many"])
def test_the_largest_batch_is_checked(value: Any) -> None:
    with pytest.raises(ParameterError, match="largest_batch"):
        KerasRuntime(largest_batch=value).prepare(Fitted(), CROPS)


def test_without_a_gpu_auto_is_the_cpu_and_gpu_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KerasRuntime, "find_gpus", lambda self: [])
    assert KerasRuntime().prepare(Fitted(), CROPS, device="auto").device == "cpu:0"
    with pytest.raises(DeviceError, match=rf"keras on {keras.backend.backend()} sees no GPU: got device 'gpu'"):
        KerasRuntime().prepare(Fitted(), CROPS, device="gpu")
    with pytest.raises(ParameterError, match="unknown device: got 'tpu'"):
        KerasRuntime().prepare(Fitted(), CROPS, device="tpu")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="asks TensorFlow")
def test_gpus_go_by_the_name_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [gpu] if kind == "GPU" else [])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: {"device_name": "NVIDIA T4"})
    assert KerasRuntime().find_gpus() == ["NVIDIA T4"]
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: {})
    assert KerasRuntime().find_gpus() == ["/physical_device:GPU:0"]


_ON_ANOTHER_DEVICE = """
import numpy as np, keras
from tests.classifiers.test_keras_runtime import CROPS, KerasSession, small_network
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    both = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], both)
model = small_network()
here, there = KerasSession(model, "cpu:0"), KerasSession(model, "cpu:1")
seen = []
def watch(forward):
    def call(x):
        p = forward(x)
        seen.append(str(p.device))
        return p
    return call
here._forward, there._forward = watch(here._forward), watch(there._forward)
np.testing.assert_array_equal(here(CROPS), there(CROPS))
print(seen[0].lower()[-1], seen[-1].lower()[-1])
if keras.backend.backend() == "tensorflow":
    from ferbench.classifiers.runtimes.keras import _place, _placed
    assert _placed(model, "cpu:0") is model
    moved = _placed(model, "cpu:1")
    assert {_place(v) for v in moved.variables} == {"cpu:1"}, [_place(v) for v in moved.variables]
    assert {_place(v) for v in model.variables} == {"cpu:0"}
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_session_computes_on_its_device_with_its_variables_there(backend: str) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", _ON_ANOTHER_DEVICE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "1"]
