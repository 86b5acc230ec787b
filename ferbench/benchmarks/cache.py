"""Arrays that are computed once and then shared: detections, face crops, features.

An entry is a ``.npy`` file under the cache folder, named by the digest of everything that determines it, and opened
memory-mapped, so that workers share the pages. One process computes, others wait for it. ``joblib.Memory`` is not
used: it hashes its arguments, a second per call for the crops of a large dataset.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.cells import digest
from ferbench.benchmarks.store import write_atomically
from ferbench.datasets import cache_dir
from ferbench.errors import StorageError
from ferbench.registry import entry
from ferbench.specs import parse_spec

__all__ = ["cached_array", "code_digest"]


def cached_array(key: dict[str, Any], compute: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The array of a key, computed the first time and memory-mapped read-only ever after.

    Parameters
    ----------
    key : dict
        JSON values that determine the array, among them ``what``, the name of its kind.
    compute : callable
        Makes the array; called while other processes that want the same key wait.

    Examples
    --------
    >>> cached_array({"what": "squares", "n": 3}, lambda: np.arange(3) ** 2)  # doctest: +SKIP
    memmap([0, 1, 4])
    """
    from filelock import FileLock

    path = cache_dir() / str(key["what"]) / f"{digest(key)}.npy"
    known = _open(path)
    if known is not None:
        return known
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if (known := _open(path)) is None:
            buffer = io.BytesIO()
            np.save(buffer, compute(), allow_pickle=False)
            write_atomically(path, buffer.getvalue())
    array = _open(path) if known is None else known
    if array is None:
        raise StorageError(f"{path} cannot be read back", fix="check the disk of the cache folder FERBENCH_CACHE")
    return array


def code_digest(group: str, spec: str) -> str:
    """Digest of the source files beside a component: an edited component must not be answered from the cache."""
    module = entry(group, parse_spec(spec).name).target.split(":")[0]
    found = find_spec(module)
    if found is None or found.origin is None:
        return ""
    sources = sorted(Path(found.origin).parent.glob("*.py"))
    return digest([_versions(), *(hashlib.sha256(source.read_bytes()).hexdigest() for source in sources)])


@cache
def _versions() -> list[str]:
    """Versions of what every array is made by: ferbench's own crops, and the libraries under them."""
    return [f"{name} {version(name)}" for name in ("ferbench", "numpy", "opencv-contrib-python")]


def _open(path: Path) -> npt.NDArray[Any] | None:
    """The array, or None where there is none, or a file that was cut off."""
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        return None
    except (ValueError, EOFError):
        return _open_empty(path)
    return array


def _open_empty(path: Path) -> npt.NDArray[Any] | None:
    """An empty array cannot be mapped; what cannot be read either is no array."""
    try:
        array: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        return None
    return array if array.size == 0 else None
