"""CPU, GPU, or whichever is best: which device a runtime gets, and why. Nothing is chosen silently.

A GPU counts only if the runtime itself can use it: a driver that lists one is not enough, since the installed build of
TensorFlow, JAX or PyTorch may know nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ferbench.contracts import GpuRuntime, Runtime
from ferbench.errors import DeviceError, ParameterError

__all__ = ["DEVICES", "Device", "choose_device"]

DEVICES = ("auto", "cpu", "gpu")
"""What a user may ask for: ``auto`` is the GPU where the runtime can use one, the CPU otherwise."""


@dataclass(frozen=True)
class Device:
    """Where a session runs.

    Attributes
    ----------
    kind : "cpu" or "gpu"
    because : str
        What computes there, or why it is no GPU: ``"keras on jax"``, ``"litert runs on the CPU"``.
    name : str
        The GPU's name; empty for the CPU.
    """

    kind: Literal["cpu", "gpu"]
    because: str
    name: str = ""

    def __str__(self) -> str:
        return f"{' '.join(filter(None, [self.kind, self.name]))} ({self.because})"


def choose_device(wanted: str, runtime: Runtime, name: str) -> Device:
    """The device that a runtime will use.

    Parameters
    ----------
    wanted : str
        One of :data:`DEVICES`.
    runtime : Runtime
        One that is no :class:`~ferbench.contracts.GpuRuntime` runs on the CPU.
    name : str
        The runtime's registered name.

    Raises
    ------
    ParameterError
        ``wanted`` is no device.
    DeviceError
        A GPU was asked for, and this runtime can use none here.

    Examples
    --------
    >>> from ferbench.registry import create
    >>> print(choose_device("auto", create("runtimes", "litert"), "litert"))
    cpu (litert runs on the CPU)
    """
    if wanted not in DEVICES:
        raise ParameterError("unknown device", got=repr(wanted), expected="'auto', 'cpu' or 'gpu'")
    if not isinstance(runtime, GpuRuntime):
        if wanted == "gpu":
            raise _no_gpu(f"the {name} runtime runs on the CPU only", "or another runtime")
        return Device("cpu", f"{name} runs on the CPU")
    if wanted == "cpu":
        return Device("cpu", runtime.engine)
    if gpus := runtime.find_gpus():
        return Device("gpu", runtime.engine, gpus[0])
    if wanted == "gpu":
        raise _no_gpu(f"{runtime.engine} sees no GPU", "or install a build of it for your GPU")
    return Device("cpu", f"{runtime.engine} sees no GPU")


def _no_gpu(what: str, otherwise: str) -> DeviceError:
    fix = f"choose one of these, {otherwise}; ferbench doctor lists what each runtime sees"
    return DeviceError(what, got="device 'gpu'", expected="'cpu' or 'auto'", fix=fix)
