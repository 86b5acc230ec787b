"""Training a network: one recipe, checkpoints after every epoch, the same result after a kill as without one.

Each epoch draws its own augmented copy of the training set from ``(seed, epoch)``, so that a resumed training sees
exactly what an undisturbed one would have seen. A checkpoint holds the weights, the optimizer's state and the log.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ferbench.classifiers.keras.epoch_data import EpochData, epoch_data
from ferbench.classifiers.keras.kept import weights_to_keep
from ferbench.classifiers.keras.recipe import Epoch, Recipe, has_ended, plateau_rate
from ferbench.errors import ModelFileError, ParameterError

__all__ = ["train", "training_precision"]


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
    made_of: Mapping[str, Any] | None = None,
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
    made_of : mapping, optional
        Parameters of the network, JSON values: a checkpoint of one with others is refused, whatever its shapes.
    initial_weights : sequence of arrays, optional
        What the network starts from instead of its random weights.
    validation : (crops, targets), optional
        Scored after every epoch, for the log, and for what the recipe lets them decide (its ``decisions``).
    checkpoint_dir : Path, optional
        Where ``checkpoint.keras`` and ``log.json`` are kept. An existing checkpoint of the same recipe, network and
        data is gone on with; one of another is a :class:`ModelFileError`.
    on_epoch : callable, optional
        Called with each :class:`Epoch`, those of a resumed training included.

    Returns
    -------
    list of Epoch
        The training log.

    Raises
    ------
    ParameterError
        Something of the recipe cannot be with these faces, or the loss or what the network answers is no number any
        more. The epochs before are in the checkpoint.
    ModelFileError
        The checkpoint is of another training.
    """
    if recipe.side and not 24 <= recipe.side <= min(crops.shape[1:]):
        raise ParameterError("side", got=recipe.side, expected=f"24 to {min(crops.shape[1:])}, the crops' own, or 0")
    if validation is None and (recipe.early_stopping or recipe.keep == "best"):
        raise ParameterError(
            "early stopping and keep=best need validation faces", got="none", fix="name a validation split"
        )
    if initial_weights is not None:
        model.set_weights(initial_weights)
    steps = -(-len(crops) // recipe.batch_size)
    _compile(model, recipe, steps)
    log: list[Epoch] = []
    steering = validation if validation is not None and recipe.decisions else ()
    stamp = _stamp(model, recipe, made_of or {}, [crops, targets, *(initial_weights or ()), *steering])
    if checkpoint_dir is not None:
        checkpoint_dir.mkdir(parents=True, exist_ok=True)
        log = _restore(checkpoint_dir, stamp, model)
    kept = weights_to_keep(model, recipe, checkpoint_dir, log)
    for done in log:
        if on_epoch:
            on_epoch(done)
    with ThreadPoolExecutor(1) as ahead:
        # The next epoch is augmented while this one is learnt: a GPU would otherwise wait for it.
        upcoming = None
        while not has_ended(recipe, log):
            started, index = time.perf_counter(), len(log)
            _seed_dropout(model, recipe.seed, index)
            data = epoch_data(crops, targets, recipe, index) if upcoming is None else upcoming.result()
            if index + 1 < recipe.epochs:
                upcoming = ahead.submit(epoch_data, crops, targets, recipe, index + 1)
            history = model.fit(
                **_fed(data, recipe.batch_size * recipe.transforms),
                epochs=1,
                shuffle=False,
                verbose=0,
                callbacks=[] if recipe.schedule == "cosine" else [_Rate(recipe, log, steps)],
            ).history
            if not np.isfinite(history["loss"][0]) or not _answers_in_numbers(model, crops[:8]):
                raise ParameterError(
                    f"the training diverged in epoch {index + 1}",
                    got="a loss or probabilities that are no numbers",
                    fix="lower learning_rate",
                )
            scores = _score(model, *validation, recipe.batch_size) if validation is not None else (None, None)
            epoch = Epoch(
                epoch=index + 1,
                seconds=round(time.perf_counter() - started, 3),
                loss=float(history["loss"][0]) / recipe.transforms,
                accuracy=float(history["accuracy"][0]),
                learning_rate=float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
                val_loss=scores[0],
                val_accuracy=scores[1],
            )
            log.append(epoch)
            kept.add(log)
            if checkpoint_dir is not None:
                _save(checkpoint_dir, stamp, model, log)
            if on_epoch:
                on_epoch(epoch)
    kept.apply()
    return log


def _answers_in_numbers(model: keras.Model, crops: npt.NDArray[np.uint8]) -> bool:
    answers = model(keras.ops.convert_to_tensor(crops[..., None], "float32"), training=False)
    return bool(np.isfinite(keras.ops.convert_to_numpy(answers)).all())


def _fed(data: EpochData, batch_size: int) -> dict[str, Any]:
    """An epoch's batches, as ``fit`` takes them, in their order.

    On TensorFlow they come from a pipeline without tf.data's autotuner, which Keras would use: with it a step now and
    then waits for half a minute while no thread computes (TensorFlow 2.21, two cores; epochs of 50 to 101 s became 40
    to 48 s).
    """
    if keras.backend.backend() != "tensorflow":
        return {"x": data.x, "y": data.y, "sample_weight": data.weights, "batch_size": batch_size}
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    parts = tuple(part for part in data if part is not None)
    return {"x": tf.data.Dataset.from_tensor_slices(parts).batch(batch_size).prefetch(2).with_options(options)}


def _compile(model: keras.Model, recipe: Recipe, steps: int) -> None:
    rate = _cosine(recipe, steps) if recipe.schedule == "cosine" else recipe.learning_rate
    kinds = {"adamw": keras.optimizers.AdamW, "adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
    options = {"momentum": float(recipe.momentum)} if recipe.optimizer == "sgd" else {}
    optimizer = kinds[recipe.optimizer](rate, weight_decay=recipe.weight_decay or None, **options)
    if recipe.weight_decay:
        # Decay pulls on convolution and dense kernels only: shrinking a batch norm's scale or a bias has no merit.
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(
        optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        loss_weights=float(recipe.transforms) if recipe.transforms > 1 else None,  # the sum over copies, not the mean
        metrics=["accuracy"],
        # XLA on the CPU is 1.3-9 times slower for these networks (measured); on a GPU Keras chooses.
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )


def _warmup_steps(recipe: Recipe, steps: int) -> int:
    return int(recipe.warmup_epochs * steps) if recipe.epochs > recipe.warmup_epochs else 0


def _cosine(recipe: Recipe, steps: int) -> Any:
    warmup = _warmup_steps(recipe, steps)
    return keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 10 if warmup else recipe.learning_rate,
        decay_steps=max(1, recipe.epochs * steps - warmup),
        alpha=0.001,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


class _Rate(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """The rate of one epoch under ``constant`` and ``plateau``; while warming up, of each step."""

    def __init__(self, recipe: Recipe, log: list[Epoch], steps: int) -> None:
        super().__init__()
        self._rate, self._first = plateau_rate(recipe, log), len(log) * steps
        self._warmup = _warmup_steps(recipe, steps)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        step = self._first + batch
        if batch == 0 or step <= self._warmup:
            share = min(1.0, 0.1 + 0.9 * step / self._warmup) if self._warmup else 1.0
            self.model.optimizer.learning_rate = self._rate * share


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the random states of dropout layers from ``(seed, epoch)``: Keras 3.15 does not keep them in a checkpoint."""
    states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    for layer, state in enumerate(states):
        state.assign(np.array([seed + layer, epoch << 20]))


def _score(
    model: keras.Model, crops: npt.NDArray[np.uint8], targets: npt.NDArray[np.float32], batch_size: int
) -> tuple[float, float]:
    """Cross-entropy without smoothing, and accuracy."""
    p = np.asarray(model.predict(crops[..., None], batch_size=4 * batch_size, verbose=0))
    loss = float(-(targets * np.log(np.clip(p, 1e-7, 1))).sum(axis=1).mean())
    return loss, float((p.argmax(axis=1) == targets.argmax(axis=1)).mean())


def _stamp(
    model: keras.Model, recipe: Recipe, made_of: Mapping[str, Any], data: Sequence[npt.NDArray[Any]]
) -> dict[str, Any]:
    """What a checkpoint must agree with to be gone on with."""
    digest = hashlib.sha256()
    for array in data:
        digest.update(np.ascontiguousarray(array).data)
    shapes = [[w.path.rsplit("/", 1)[-1], *w.shape] for w in model.weights]
    stamp = {
        "recipe": asdict(recipe),
        "made_of": dict(made_of),
        "network": [model.name, shapes],
        "data": digest.hexdigest()[:16],
    }
    told: dict[str, Any] = json.loads(json.dumps(stamp, default=str))
    return told


def _restore(folder: Path, stamp: dict[str, Any], model: keras.Model) -> list[Epoch]:
    """Bring a compiled model to where a checkpoint left off; the epochs done so far."""
    log = folder / "log.json"
    if not log.exists():
        return []
    state = json.loads(log.read_text())
    # What a recipe did not have when the checkpoint was written, it did not do.
    state["stamp"]["recipe"] = asdict(Recipe()) | state["stamp"]["recipe"]
    state["stamp"].setdefault("made_of", stamp["made_of"])
    if changed := _difference(state["stamp"], stamp):
        raise ModelFileError(
            f"{log} belongs to another training",
            got=f"another {', '.join(changed)}",
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


def _difference(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Names of the parameters in which two stamps differ, and of their other parts."""
    changed = [
        name
        for part in ("recipe", "made_of")
        for name in {**old[part], **new[part]}
        if old[part].get(name) != new[part].get(name)
    ]
    return changed + [part for part in ("network", "data") if old[part] != new[part]]


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
