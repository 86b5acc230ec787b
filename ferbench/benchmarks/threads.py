"""The one place for thread counts: BLAS, OpenMP, OpenCV, TensorFlow, JAX, LiteRT, ONNX Runtime.

A timing is comparable only if every library in it may use the same number of threads. Most of them read an environment
variable when they are imported, so the order matters: :func:`thread_environment` goes into the environment of a
*fresh* process, :func:`apply_threads` then sets what can only be set by a call, and :func:`effective_threads` says
what came of it. LiteRT and ONNX Runtime take their count as an argument when a session is made:
:func:`session_threads` gives it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ferbench.checks import is_integer
from ferbench.errors import ParameterError

__all__ = [
    "THREAD_VARIABLES",
    "apply_threads",
    "available_cores",
    "effective_threads",
    "resolve_threads",
    "session_threads",
    "thread_environment",
]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""Environment variables that libraries read at import; :func:`thread_environment` sets every one."""


def available_cores() -> int:
    """Cores that this process may run on: affinity counts, so a pinned or contained process sees its own share."""
    # os.sched_getaffinity exists on Linux only.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def resolve_threads(threads: int | str) -> int:
    """A thread count from a suite: a positive number, or ``"all"`` for every core available.

    Raises
    ------
    ParameterError
        If it is neither.
    """
    if threads == "all":
        return available_cores()
    if is_integer(threads) and threads >= 1:
        return threads
    raise ParameterError("not a thread count", got=repr(threads), expected="a whole number from 1, or 'all'")


def thread_environment(threads: int) -> dict[str, str]:
    """Environment variables that hold every library to ``threads`` threads, for a process yet to be started.

    Examples
    --------
    >>> thread_environment(2)["OMP_NUM_THREADS"]
    '2'
    """
    count = str(resolve_threads(threads))
    environment = dict.fromkeys(THREAD_VARIABLES, count)
    # A model runs one graph at a time: threads between operations would come on top of those inside them.
    environment["TF_NUM_INTEROP_THREADS"] = "1"
    # Idle OpenMP workers that spin for 200 ms take the core that the next stage needs.
    environment["OMP_WAIT_POLICY"] = "PASSIVE"
    if threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return environment


def session_threads(threads: int) -> dict[str, dict[str, int]]:
    """Arguments that runtimes take when a session is made, by runtime.

    ``litert`` goes to ``Interpreter(...)``; ``onnx`` are attributes of ``onnxruntime.SessionOptions``.
    """
    count = resolve_threads(threads)
    return {
        "litert": {"num_threads": count},
        "onnx": {"intra_op_num_threads": count, "inter_op_num_threads": 1},
    }


def apply_threads(threads: int) -> None:
    """Hold the libraries that are loaded in this process to ``threads`` threads.

    Only what is imported is touched, nothing is imported for it: call it again after further imports. A worker calls
    it after its pipeline is loaded, on top of :func:`thread_environment`.
    """
    count = resolve_threads(threads)
    if "numpy" in sys.modules:
        from threadpoolctl import threadpool_limits

        threadpool_limits(limits=count)
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(count)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)


def effective_threads() -> dict[str, Any]:
    """What this process really has: cores, thread pools of loaded libraries, and the variables set.

    Returns
    -------
    dict
        ``cores``, ``pools`` (``"openblas libscipy_openblas": 1``; OpenCV, TensorFlow and PyTorch where loaded; 0 for
        TensorFlow means that it chose by itself), and ``environment``.
    """
    return {
        "cores": available_cores(),
        "pools": _pools(),
        "environment": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
    }


def _pools() -> dict[str, int]:
    pools: dict[str, int] = {}
    if "numpy" in sys.modules:
        from threadpoolctl import threadpool_info

        for pool in threadpool_info():
            pools[f"{pool['internal_api']} {pool['prefix']}"] = int(pool["num_threads"])
    if cv2 := sys.modules.get("cv2"):
        pools["opencv"] = int(cv2.getNumThreads())
    if tensorflow := sys.modules.get("tensorflow"):
        threading = tensorflow.config.threading
        # 0 is TensorFlow's "as the environment says, else every core".
        chosen = threading.get_intra_op_parallelism_threads() or int(os.environ.get("TF_NUM_INTRAOP_THREADS", "0"))
        pools["tensorflow intra-op"] = int(chosen)
    if torch := sys.modules.get("torch"):
        pools["torch"] = int(torch.get_num_threads())
    return pools
