"""Arrays that are computed once and then shared: detections, face crops, features.

An entry is a ``.npy`` file under the cache folder, named by the digest of everything that determines it, and opened
memory-mapped, so that workers share the pages. One process computes, others wait for it. ``joblib.Memory`` is not
used: it hashes its arguments, a second per call for the crops of a large dataset.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.cells import digest
from ferbench.benchmarks.environment import package_versions
from ferbench.benchmarks.store import write_atomically
from ferbench.datasets import cache_dir
from ferbench.digests import file_digest
from ferbench.errors import StorageError
from ferbench.registry import entries, entry
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
    """Digest of the source files beside a component and those within it, and of the files that its parameters name.

    An edited component, or an exchanged model, must not be answered from the cache.
    """
    return digest([_versions(), *map(file_digest, sorted(set(_files_of(group, spec))))])


def _files_of(group: str, spec: str) -> Iterator[Path]:
    parsed = parse_spec(spec)
    found = find_spec(entry(group, parsed.name).target.split(":")[0])
    if found is not None and found.origin is not None:
        yield from Path(found.origin).parent.glob("*.py")
    values = [value if isinstance(value, list | tuple) else [value] for value in parsed.params.values()]
    for text in (one for several in values for one in several if isinstance(one, str)):
        if text.partition("(")[0].strip() in entries(group):  # of=hog(cell=6)
            yield from _files_of(group, text)
        elif (path := Path(text).expanduser()).is_file():
            yield path


@cache
def _versions() -> dict[str, str]:
    """Versions of what arrays are made by: ferbench's own crops, and the libraries under them, where installed."""
    return package_versions(
        ("ferbench", "numpy", "scipy", "scikit-image", "opencv-contrib-python", "PyWavelets", "dlib", "dlib-bin")
    )


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
