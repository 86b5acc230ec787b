"""A recipe, which says how a network is trained, and what follows from it and from the epochs that are done.

Rates, the end and the epoch that is kept are functions of the recipe and the log alone: a training that goes on after a
kill decides as an undisturbed one would have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ferbench.checks import is_integer, is_number
from ferbench.classifiers.keras.augmentation import AUGMENTATIONS
from ferbench.errors import ParameterError, UnknownNameError

__all__ = ["Epoch", "Recipe", "best_epoch", "has_ended", "plateau_rate"]

CHOICES = {
    "optimizer": ("adamw", "adam", "sgd"),
    "schedule": ("cosine", "constant", "plateau"),
    "keep": ("last", "best"),
    "balance": ("none", "weights", "sampling"),
    "precision": ("float32", "mixed_bfloat16"),
}

MIN_IMPROVEMENT = 1e-4
"""A loss that falls by less is on a plateau: the default of Keras' ReduceLROnPlateau."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; by default with AdamW, a linear warm-up and a cosine decay, on smoothed or soft labels.

    Parameters
    ----------
    epochs : int
        Passes over the training faces.
    batch_size : int
        Faces a step.
    optimizer : str
        ``adamw``, ``adam`` or ``sgd``.
    momentum : float
        Of ``sgd``; the others have their own.
    learning_rate : float
        Peak learning rate.
    weight_decay : float
        Decoupled weight decay (Loshchilov and Hutter 2019), with any optimizer.
    schedule : str
        ``cosine`` (down to a thousandth at the end), ``constant``, or ``plateau``: the rate is multiplied by
        ``plateau_factor`` after ``plateau_patience`` epochs without a lower loss, down to ``plateau_floor``. The loss
        is that of the validation faces; without any, of the training.
    plateau_factor : float
        What ``schedule=plateau`` multiplies the rate by, above 0 and below 1.
    plateau_patience : int
        Epochs without a lower loss after which it does.
    plateau_floor : float
        Rate below which it does not go.
    warmup_epochs : float
        Epochs over which the rate first rises from a tenth of its peak, as a straight line.
    early_stopping : int
        End after this many epochs without a lower validation loss; 0 is off.
    keep : str
        ``last``, or ``best``: the weights of the epoch that was right most often on the validation faces.
    label_smoothing : float
        Share of the target spread over all classes.
    mixup : float
        Alpha of the Beta distribution that mixes pairs of faces (Zhang et al. 2018); 0 is off.
    augmentation : str
        What is done to each training face anew in every epoch: ``none``, ``flip``, ``flip-rotate``,
        ``crop-shift-mirror``, ``light``, ``standard`` or ``strong``.
    transforms : int
        Differently augmented copies of each face in every step, over which its loss is summed (after Sonawane and
        Athawale); a step is as many times as long.
    balance : str
        Against rare classes: ``weights`` in the loss, or ``sampling`` each class equally often; ``none`` is off.
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
    optimizer: str = "adamw"
    momentum: float = 0.9
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    schedule: str = "cosine"
    plateau_factor: float = 0.1
    plateau_patience: int = 2
    plateau_floor: float = 1e-5
    warmup_epochs: float = 1.0
    early_stopping: int = 0
    keep: str = "last"
    label_smoothing: float = 0.1
    mixup: float = 0.0
    augmentation: str = "standard"
    transforms: int = 1
    balance: str = "none"
    side: int = 0
    average_epochs: int = 0
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name in CHOICES:
                if value not in CHOICES[name]:
                    raise UnknownNameError(name, str(value), CHOICES[name])
            elif name == "augmentation":
                if value not in AUGMENTATIONS:
                    raise UnknownNameError(name, str(value), AUGMENTATIONS)
            elif not is_number(value) or value < 0:
                raise ParameterError(f"{name} must be a number, not negative", got=repr(value))
        whole = ("epochs", "batch_size", "seed", "side", "average_epochs", "early_stopping", "plateau_patience")
        for name in (*whole, "transforms"):
            if not is_integer(getattr(self, name)):
                raise ParameterError(f"{name} must be a whole number", got=repr(getattr(self, name)))
        for name in ("epochs", "batch_size", "learning_rate", "transforms", "plateau_patience"):
            if getattr(self, name) == 0:
                raise ParameterError(f"{name} must be positive", got=0)
        for name in ("label_smoothing", "momentum"):
            if not getattr(self, name) < 1:
                raise ParameterError(f"{name} is a share", got=getattr(self, name), expected="0 <= value < 1")
        if not 0 < self.plateau_factor < 1:
            raise ParameterError("plateau_factor lowers the rate", got=self.plateau_factor, expected="0 < value < 1")
        if self.average_epochs > self.epochs:
            raise ParameterError(
                "average_epochs cannot be more than epochs",
                got=self.average_epochs,
                expected=f"0 to {self.epochs}",
                fix="set both, average_epochs=0 for none",
            )
        if self.average_epochs and self.keep == "best":
            raise ParameterError("either the last epochs are averaged or the best one is kept", got="both")

    @property
    def decisions(self) -> tuple[str, ...]:
        """What the validation faces decide: on them, such a training's figures flatter it."""
        made = {
            "learning rate": self.schedule == "plateau",
            "end of the training": self.early_stopping > 0,
            "epoch that is kept": self.keep == "best",
        }
        return tuple(what for what, is_made in made.items() if is_made)


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


def plateau_rate(recipe: Recipe, log: Sequence[Epoch]) -> float:
    """The learning rate after the epochs of a log, under ``constant`` and ``plateau``."""
    rate, best, waited = recipe.learning_rate, float("inf"), 0
    if recipe.schedule != "plateau":
        return rate
    for line in log:
        loss = line.loss if line.val_loss is None else line.val_loss
        if loss < best - MIN_IMPROVEMENT:
            best, waited = loss, 0
        else:
            waited += 1
        if waited >= recipe.plateau_patience:
            rate, waited = max(rate * recipe.plateau_factor, min(recipe.plateau_floor, rate)), 0
    return rate


def has_ended(recipe: Recipe, log: Sequence[Epoch]) -> bool:
    """Whether a training is over: all epochs are done, or the validation loss has not fallen for long enough."""
    if len(log) >= recipe.epochs:
        return True
    losses = [line.val_loss for line in log if line.val_loss is not None]
    if not recipe.early_stopping or not losses:
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= recipe.early_stopping


def best_epoch(log: Sequence[Epoch]) -> int:
    """Number of the first epoch with the highest validation accuracy."""
    return max(log, key=lambda line: (line.val_accuracy or 0.0, -line.epoch)).epoch
