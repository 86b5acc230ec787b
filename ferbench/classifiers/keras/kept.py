"""Which weights a training ends with: those of the last epoch, of the best one, or the mean of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt

from ferbench.classifiers.keras.recipe import Epoch, Recipe, best_epoch
from ferbench.errors import ModelFileError

__all__ = ["Kept", "weights_to_keep"]

Weights = list[npt.NDArray[Any]]


class Kept(Protocol):
    """Looks at the network after every epoch, and gives it its final weights."""

    def add(self, log: Sequence[Epoch]) -> None:
        """Look at the network as it is after the last epoch of the log."""
        ...

    def apply(self) -> None:
        """Give the network its final weights."""
        ...


def weights_to_keep(model: keras.Model, recipe: Recipe, folder: Path | None, log: Sequence[Epoch]) -> Kept:
    """What the recipe keeps, as it was after the epochs of a log; kept beside the checkpoint where there is one."""
    if recipe.keep == "best":
        return _Best(model, folder, log)
    return _Average(model, recipe, folder, len(log))


def _read(path: Path) -> Weights:
    if not path.exists():
        raise ModelFileError(f"{path} is missing", fix=f"delete {path.parent} to start again")
    with np.load(path) as saved:
        return [saved[name] for name in saved.files]


class _Average:
    """The mean of the weights after each of the last epochs; the last epoch's where none are averaged."""

    def __init__(self, model: keras.Model, recipe: Recipe, folder: Path | None, done: int) -> None:
        self._model, self._folder = model, folder
        self._first = recipe.epochs - recipe.average_epochs + 1
        self._weights: Weights = []
        if folder is not None and recipe.average_epochs and done >= self._first:
            self._weights = _read(folder / f"average-{done}.npz")

    def add(self, log: Sequence[Epoch]) -> None:
        epoch = len(log)
        if epoch < self._first:
            return
        n, now = epoch - self._first, self._model.get_weights()
        if n:
            now = [(old * n + new) / (n + 1) for old, new in zip(self._weights, now, strict=True)]
        self._weights = now
        if self._folder is not None:
            # Named by its epoch: whichever log a kill leaves behind finds the average that belongs to it.
            np.savez(self._folder / f"average-{epoch}.npz", *self._weights)
            (self._folder / f"average-{epoch - 2}.npz").unlink(missing_ok=True)

    def apply(self) -> None:
        if self._weights:
            self._model.set_weights(self._weights)


class _Best:
    """The weights of the epoch with the highest validation accuracy."""

    def __init__(self, model: keras.Model, folder: Path | None, log: Sequence[Epoch]) -> None:
        self._model, self._folder = model, folder
        self._weights: Weights = []
        self._epochs = [best_epoch(log)] if log else []
        if folder is not None and log:
            self._weights = _read(folder / f"best-{best_epoch(log)}.npz")

    def add(self, log: Sequence[Epoch]) -> None:
        if best_epoch(log) != len(log):
            return
        self._weights = self._model.get_weights()
        self._epochs.append(len(log))
        if self._folder is not None:
            np.savez(self._folder / f"best-{len(log)}.npz", *self._weights)
            # The one before stays: a kill may leave a log behind that does not know of this one yet.
            for old in self._epochs[:-2]:
                (self._folder / f"best-{old}.npz").unlink(missing_ok=True)

    def apply(self) -> None:
        self._model.set_weights(self._weights)
