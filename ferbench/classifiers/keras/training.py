"""Training a network: one recipe, checkpoints after every epoch, the same result after a kill as without one.

Each epoch draws its own augmented copy of the training set from ``(seed, epoch)``, so that a resumed training sees
exactly what an undisturbed one would have seen. A checkpoint holds the weights, the optimizer's state and the log.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ferbench.classifiers.keras.augmentation import AUGMENTATIONS, augment
from ferbench.errors import ModelFileError, ParameterError, UnknownNameError

__all__ = ["Epoch", "Recipe", "train", "training_precision"]

PRECISIONS = ("float32", "mixed_bfloat16")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: AdamW with a linear warm-up and a cosine decay, on smoothed or soft labels.

    Attributes
    ----------
    epochs, batch_size : int
        Passes over the data, and faces a step.
    learning_rate, weight_decay : float
        Peak rate, and decoupled weight decay (Loshchilov and Hutter 2019).
    warmup_epochs : float
        Epochs of linear warm-up.
    label_smoothing : float
        Share of the target spread over all classes.
    mixup : float
        Alpha of the Beta distribution that mixes pairs of faces (Zhang et al. 2018); 0 is off.
    augmentation : str
        Name in :data:`ferbench.classifiers.keras.augmentation.AUGMENTATIONS`.
    side : int
        Until the last quarter of the epochs, train on the central square of this side of every transformed crop: less
        to compute, and more to forget (after Touvron et al. 2019). 0 is off.
    average_epochs : int
        The final weights are the mean over the ends of this many last epochs (Izmailov et al. 2018); 0 is off.
    precision : str
        ``float32``, or for a GPU ``mixed_bfloat16``: half-precision arithmetic on float32 weights. (Keras 3.15 cannot
        restore the optimizer of ``mixed_float16`` from a checkpoint.)
    seed : int
        Seeds weights, order, augmentation and dropout.
    """

    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.1
    mixup: float = 0.0
    augmentation: str = "standard"
    side: int = 0
    average_epochs: int = 0
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        positive = {"epochs": self.epochs, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
        numbers = {**positive, "weight_decay": self.weight_decay, "warmup_epochs": self.warmup_epochs,
                   "mixup": self.mixup, "label_smoothing": self.label_smoothing, "seed": self.seed,
                   "side": self.side, "average_epochs": self.average_epochs}  # fmt: skip
        for name, value in numbers.items():
            if not isinstance(value, int | float) or value < 0:
                raise ParameterError(f"{name} must be a number, not negative", got=repr(value))
        whole = {name: numbers[name] for name in ("epochs", "batch_size", "seed", "side", "average_epochs")}
        for name, value in whole.items():
            if isinstance(value, bool) or not isinstance(value, int):
                raise ParameterError(f"{name} must be a whole number", got=repr(value))
        for name, value in positive.items():
            if value == 0:
                raise ParameterError(f"{name} must be positive", got=value)
        if not 0 <= self.label_smoothing < 1:
            raise ParameterError("label_smoothing is a share", got=self.label_smoothing, expected="0 <= value < 1")
        if self.average_epochs > self.epochs:
            raise ParameterError("average_epochs cannot be more than epochs", got=self.average_epochs)
        if self.augmentation not in AUGMENTATIONS:
            raise UnknownNameError("augmentation", self.augmentation, AUGMENTATIONS)
        if self.precision not in PRECISIONS:
            raise UnknownNameError("precision", self.precision, PRECISIONS)


@dataclass(frozen=True)
class Epoch:
    """One line of the training log."""

    epoch: int
    seconds: float
    loss: float
    accuracy: float
    learning_rate: float
    val_loss: float | None = None
    val_accuracy: float | None = None


@contextmanager
def training_precision(name: str) -> Iterator[None]:
    """Networks built inside compute at this precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def train(
    model: keras.Model,
    crops: npt.NDArray[np.uint8],
    targets: npt.NDArray[np.float32],
    recipe: Recipe,
    *,
    initial_weights: Sequence[npt.NDArray[Any]] | None = None,
    validation: tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]] | None = None,
    checkpoint_dir: Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train a network in place, or go on with a training that was interrupted.

    Parameters
    ----------
    model : keras.Model
        Untrained; takes (N, h, w, 1), gives probabilities. With a recipe's ``side``, of any size.
    crops : (N, h, w) uint8, gray
    targets : (N, C) float32
        One-hot or soft labels; rows sum to 1.
    recipe : Recipe
    initial_weights : sequence of arrays, optional
        What the network starts from instead of its random weights.
    validation : (crops, targets), optional
        Scored after every epoch, for the log only: no epoch is chosen by it.
    checkpoint_dir : Path, optional
        Where ``checkpoint.keras`` and ``log.json`` are kept. An existing checkpoint of the same recipe, network and
        data is gone on with; one of another is a :class:`ModelFileError`.
    on_epoch : callable, optional
        Called with each :class:`Epoch`, those of a resumed training included.

    Returns
    -------
    list of Epoch
        The training log.
    """
    if recipe.side and not 24 <= recipe.side <= min(crops.shape[1:]):
        raise ParameterError("side", got=recipe.side, expected=f"24 to {min(crops.shape[1:])}, the crops' own, or 0")
    if initial_weights is not None:
        model.set_weights(initial_weights)
    steps = -(-len(crops) // recipe.batch_size)
    _compile(model, recipe, steps)
    log: list[Epoch] = []
    stamp = _stamp(model, recipe, [crops, targets, *(initial_weights or ())])
    if checkpoint_dir is not None:
        checkpoint_dir.mkdir(parents=True, exist_ok=True)
        log = _restore(checkpoint_dir, stamp, model)
    average = _Average(model, recipe, checkpoint_dir, len(log))
    for done in log:
        if on_epoch:
            on_epoch(done)
    with ThreadPoolExecutor(1) as ahead:
        # The next epoch is augmented while this one is learnt: a GPU would otherwise wait for it.
        upcoming = None
        for index in range(len(log), recipe.epochs):
            started = time.perf_counter()
            _seed_dropout(model, recipe.seed, index)
            x, y = _epoch_data(crops, targets, recipe, index) if upcoming is None else upcoming.result()
            if index + 1 < recipe.epochs:
                upcoming = ahead.submit(_epoch_data, crops, targets, recipe, index + 1)
            history = model.fit(x, y, batch_size=recipe.batch_size, epochs=1, shuffle=False, verbose=0).history
            scores = _score(model, *validation, recipe.batch_size) if validation is not None else (None, None)
            epoch = Epoch(
                epoch=index + 1,
                seconds=round(time.perf_counter() - started, 3),
                loss=float(history["loss"][0]),
                accuracy=float(history["accuracy"][0]),
                learning_rate=float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
                val_loss=scores[0],
                val_accuracy=scores[1],
            )
            log.append(epoch)
            average.add(len(log))
            if checkpoint_dir is not None:
                _save(checkpoint_dir, stamp, model, log)
            if on_epoch:
                on_epoch(epoch)
    average.apply()
    return log


class _Average:
    """The mean of the weights after each of the last epochs, kept beside the checkpoint."""

    def __init__(self, model: keras.Model, recipe: Recipe, folder: Path | None, done: int) -> None:
        self._model, self._folder = model, folder
        self._first = recipe.epochs - recipe.average_epochs + 1
        self._weights: list[npt.NDArray[Any]] = []
        if folder is not None and recipe.average_epochs and done >= self._first:
            path = self._path(done)
            if not path.exists():
                raise ModelFileError(f"{path} is missing", fix=f"delete {folder} to start again")
            with np.load(path) as saved:
                self._weights = [saved[name] for name in saved.files]

    def _path(self, epoch: int) -> Path:
        assert self._folder is not None
        return self._folder / f"average-{epoch}.npz"

    def add(self, epoch: int) -> None:
        if epoch < self._first:
            return
        n, now = epoch - self._first, self._model.get_weights()
        if n:
            now = [(old * n + new) / (n + 1) for old, new in zip(self._weights, now, strict=True)]
        self._weights = now
        if self._folder is not None:
            # Named by its epoch: whichever log a kill leaves behind finds the average that belongs to it.
            np.savez(self._path(epoch), *self._weights)
            self._path(epoch - 2).unlink(missing_ok=True)

    def apply(self) -> None:
        if self._weights:
            self._model.set_weights(self._weights)


def _compile(model: keras.Model, recipe: Recipe, steps: int) -> None:
    warmup = int(recipe.warmup_epochs * steps) if recipe.epochs > recipe.warmup_epochs else 0
    schedule = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 10 if warmup else recipe.learning_rate,
        decay_steps=max(1, recipe.epochs * steps - warmup),
        alpha=0.001,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    # Decay pulls on convolution and dense kernels only: shrinking a batch norm's scale or a bias has no merit.
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(
        optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
        # XLA on the CPU is 1.3-9 times slower for these networks (measured); on a GPU Keras chooses.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the random states of dropout layers from ``(seed, epoch)``: Keras 3.15 does not keep them in a checkpoint."""
    states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    for layer, state in enumerate(states):
        state.assign(np.array([seed + layer, epoch << 20]))


def _epoch_data(
    crops: npt.NDArray[np.uint8], targets: npt.NDArray[np.float32], recipe: Recipe, epoch: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
    """The augmented, shuffled training set of one epoch, from ``(seed, epoch)`` alone."""
    rng = np.random.default_rng([recipe.seed, epoch])
    order = rng.permutation(len(crops))
    narrow = recipe.side and epoch < recipe.epochs - recipe.epochs // 4
    x = augment(crops[order], recipe.augmentation, rng, side=recipe.side if narrow else None)
    y = targets[order]
    if recipe.mixup:
        share = rng.beta(recipe.mixup, recipe.mixup, len(x)).astype(np.float32)
        share = np.maximum(share, 1 - share)
        other = rng.permutation(len(x))
        mixed = x * share[:, None, None] + x[other] * (1 - share)[:, None, None]
        x = (mixed + 0.5).astype(np.uint8)
        y = y * share[:, None] + y[other] * (1 - share)[:, None]
    return x[..., None], y


def _score(
    model: keras.Model, crops: npt.NDArray[np.uint8], targets: npt.NDArray[np.float32], batch_size: int
) -> tuple[float, float]:
    """Cross-entropy without smoothing, and accuracy."""
    p = np.asarray(model.predict(crops[..., None], batch_size=4 * batch_size, verbose=0))
    loss = float(-(targets * np.log(np.clip(p, 1e-7, 1))).sum(axis=1).mean())
    return loss, float((p.argmax(axis=1) == targets.argmax(axis=1)).mean())


def _stamp(model: keras.Model, recipe: Recipe, data: Sequence[npt.NDArray[Any]]) -> dict[str, Any]:
    """What a checkpoint must agree with to be gone on with."""
    digest = hashlib.sha256()
    for array in data:
        digest.update(np.ascontiguousarray(array).data)
    shapes = [[w.path.rsplit("/", 1)[-1], *w.shape] for w in model.weights]
    rates = [layer.rate for layer in model.layers if hasattr(layer, "rate")]  # leave no trace in the shapes
    network = [model.name, shapes]
    return {"recipe": asdict(recipe), "network": network, "dropout": rates, "data": digest.hexdigest()[:16]}


def _restore(folder: Path, stamp: dict[str, Any], model: keras.Model) -> list[Epoch]:
    """Bring a compiled model to where a checkpoint left off; the epochs done so far."""
    log = folder / "log.json"
    if not log.exists():
        return []
    state = json.loads(log.read_text())
    # What a recipe did not have when the checkpoint was written, it did not do.
    state["stamp"]["recipe"] = asdict(Recipe()) | state["stamp"]["recipe"]
    state["stamp"].setdefault("dropout", stamp["dropout"])
    if state["stamp"] != json.loads(json.dumps(stamp)):
        raise ModelFileError(
            f"{log} belongs to another training",
            got=f"another {_difference(state['stamp'], stamp)}",
            fix="choose another folder, or delete that one to start again",
        )
    epochs = [Epoch(**line) for line in state["log"]]
    # The log is replaced last: if a kill fell between, its weights are the previous ones.
    for name in ("checkpoint.keras", "previous.keras"):
        if (folder / name).exists():
            saved = keras.models.load_model(folder / name)
            if int(keras.ops.convert_to_numpy(saved.optimizer.iterations)) == state["steps"]:
                _copy_state(saved, model)
                # The next epoch must not put weights that have no log in the place of these.
                os.replace(folder / name, folder / "checkpoint.keras")
                return epochs
    raise ModelFileError(f"{folder} has no weights for its log", got=f"epoch {len(epochs)}", fix="delete that folder")


def _copy_state(saved: keras.Model, model: keras.Model) -> None:
    """Weights, random states and the optimizer's variables.

    The loaded model itself would not do: Keras 3.15 forgets which variables an optimizer spares from weight decay.
    """
    model.optimizer.build(model.trainable_variables)
    sources, targets = saved.variables + saved.optimizer.variables, model.variables + model.optimizer.variables
    for source, target in zip(sources, targets, strict=True):
        target.assign(source)


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    changed = [name for name in new["recipe"] if old["recipe"].get(name) != new["recipe"][name]]
    parts = ("network", "dropout", "data")
    return ", ".join(changed + [part for part in parts if old[part] != json.loads(json.dumps(new[part]))])


def _save(folder: Path, stamp: dict[str, Any], model: keras.Model, log: list[Epoch]) -> None:
    """Replace checkpoint and log; at any moment one consistent pair is on disk."""
    weights = folder / "checkpoint.keras"
    if weights.exists():
        os.replace(weights, folder / "previous.keras")
    new = folder / "new.keras"
    model.save(new)
    os.replace(new, weights)
    steps = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
    text = json.dumps({"stamp": stamp, "steps": steps, "log": [asdict(line) for line in log]}, indent=1)
    (folder / "log.json.new").write_text(text)
    os.replace(folder / "log.json.new", folder / "log.json")
