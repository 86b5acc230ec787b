"""What is read off the stored cells of a row: whether they can be summed up, who is right, what is resampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ferbench.benchmarks.cells import Cell, Part

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["groups_of", "problem_of", "right_of"]


def problem_of(cells: Sequence[Cell], parts: Mapping[str, Part]) -> tuple[Literal["failed", "skipped"], str] | None:
    """Why cells cannot be summed up, or None."""
    for cell in cells:
        part = parts.get(cell.id)
        if part is not None and part.status != "ok":
            return part.status, part.error.message if part.error else "no reason was recorded"
    missing = sum(cell.id not in parts for cell in cells)
    return ("skipped", f"{missing} of {len(cells)} cells are not done yet") if missing else None


def right_of(items: pd.DataFrame) -> npt.NDArray[np.float64]:
    """(N,) float64: 1 where a face was called what it is."""
    return np.asarray(items["predicted"] == items["truth"], dtype=np.float64)


def groups_of(items: pd.DataFrame) -> tuple[npt.NDArray[np.str_], str]:
    """What is resampled, and its name."""
    over = "faces" if items["subject"].isna().any() else "subjects"
    return items["id" if over == "faces" else "subject"].to_numpy(dtype=np.str_), over
