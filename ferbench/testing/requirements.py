"""How a check says what a component did, and what it is given to work on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.errors import FerbenchError

__all__ = ["ConformanceError", "close", "face_like_crops", "labelled_crops", "require", "require_error"]


class ConformanceError(FerbenchError, AssertionError):
    """A component does not keep its contract."""


def face_like_crops(n: int, size: int) -> npt.NDArray[np.uint8]:
    """Smooth random patterns with a flat, a black and a white crop among them."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (n, 6, 6)).repeat(-(-size // 6), axis=1).repeat(-(-size // 6), axis=2)
    noise = rng.integers(-20, 21, (n, size, size))
    crops: npt.NDArray[np.uint8] = np.clip(coarse[:, :size, :size] + noise, 0, 255).astype(np.uint8)
    crops[:3] = np.array([128, 0, 255], np.uint8)[:, None, None]
    return crops


def require(holds: bool | np.bool_, what: str, got: object, expected: object) -> None:
    """Raise :class:`ConformanceError` unless it holds."""
    if not holds:
        raise ConformanceError(what, got=got, expected=expected)


def close(what: str, got: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    """Require the same shape and, to 0.1 %, the same values."""
    # Sums of floats depend on their order, which a batch of another size may change in the last bits.
    close = got.shape == expected.shape and np.allclose(got, expected, rtol=1e-3, atol=1e-4)
    require(close, what, "others", "the same to 0.1 %")


def require_error(call: Any, kind: type[FerbenchError], what: str) -> None:
    """Require that a call raises this kind of error."""
    try:
        call()
    except kind:
        return
    raise ConformanceError(f"{what} was accepted", expected=kind.__name__)


def labelled_crops(n: int, size: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.str_]]:
    """(n, size, size) uint8 noise with stripes whose direction tells the label, and the three labels."""
    rng = np.random.default_rng(0)
    kind = np.arange(n) % 3
    y, x = np.mgrid[:size, :size] * (48 / size)
    waves = np.stack([np.sin(x / 2), np.sin(y / 2), np.sin((x + y) / 3)])
    striped = 128 + 60 * waves[kind] + rng.normal(0, 25, (n, size, size))
    return np.clip(striped, 0, 255).astype(np.uint8), np.array(["angry", "happy", "sad"])[kind]
