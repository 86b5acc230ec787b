"""A network as a scikit-learn classifier: clone, grid search and ``predict_proba`` work, on crops (N, h, w) uint8.

Keras' own ``SKLearnClassifier`` (3.15) loses its fit arguments on ``clone``, refuses 4-D input and has no
``predict_proba``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin

from ferbench.classifiers.keras.batch_norm import fuse_batch_norms
from ferbench.classifiers.keras.compact import halve_file, round_weights
from ferbench.classifiers.keras.ensemble import have_like_layers, members_of
from ferbench.classifiers.keras.recipe import Epoch, Recipe
from ferbench.classifiers.keras.training import train, training_precision
from ferbench.classifiers.keras.zoo import NETWORKS
from ferbench.classifiers.temperature import check_calibration_labels, consistent_temperature
from ferbench.digests import file_digest
from ferbench.errors import NotFittedError, ParameterError, ShapeError

__all__ = [
    "KerasClassifier",
    "emosense_4l",
    "emosense_8l",
    "emosense_10l",
    "ensemble",
    "keras_cnn",
    "krishna_cnn",
    "lenet",
    "mini_xception",
    "plain_cnn",
    "report_cnn",
    "resnet",
    "se_resnet",
    "transfer",
    "vgg",
    "wavelet_cnn",
]


class KerasClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Trains one of the networks by one recipe.

    Parameters
    ----------
    network : str
        Name in :data:`ferbench.classifiers.keras.zoo.NETWORKS`.
    network_params : dict, optional
        Parameters of the builder, such as ``{"width": 24}``.
    epochs, batch_size, optimizer, momentum, learning_rate, weight_decay, schedule, plateau_factor, plateau_patience, \
    plateau_floor, warmup_epochs, early_stopping, keep, label_smoothing, mixup, augmentation, transforms, balance, \
    side, average_epochs, precision, seed
        See :class:`ferbench.classifiers.keras.recipe.Recipe`.

    Attributes
    ----------
    classes_ : (C,) str
        Label names in the order of the probabilities.
    model_ : keras.Model
        The trained network.
    log_ : list of Epoch
        Loss and accuracy of every epoch.
    """

    takes_crops = True

    def __init__(
        self,
        network: str = "mini-xception",
        network_params: dict[str, Any] | None = None,
        *,
        epochs: int = Recipe.epochs,
        batch_size: int = Recipe.batch_size,
        optimizer: str = Recipe.optimizer,
        momentum: float = Recipe.momentum,
        learning_rate: float = Recipe.learning_rate,
        weight_decay: float = Recipe.weight_decay,
        schedule: str = Recipe.schedule,
        plateau_factor: float = Recipe.plateau_factor,
        plateau_patience: int = Recipe.plateau_patience,
        plateau_floor: float = Recipe.plateau_floor,
        warmup_epochs: float = Recipe.warmup_epochs,
        early_stopping: int = Recipe.early_stopping,
        keep: str = Recipe.keep,
        label_smoothing: float = Recipe.label_smoothing,
        mixup: float = Recipe.mixup,
        augmentation: str = Recipe.augmentation,
        transforms: int = Recipe.transforms,
        balance: str = Recipe.balance,
        side: int = Recipe.side,
        average_epochs: int = Recipe.average_epochs,
        precision: str = Recipe.precision,
        seed: int = Recipe.seed,
    ) -> None:
        self.network = network
        self.network_params = network_params
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.momentum = momentum
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.plateau_factor = plateau_factor
        self.plateau_patience = plateau_patience
        self.plateau_floor = plateau_floor
        self.warmup_epochs = warmup_epochs
        self.early_stopping = early_stopping
        self.keep = keep
        self.label_smoothing = label_smoothing
        self.mixup = mixup
        self.augmentation = augmentation
        self.transforms = transforms
        self.balance = balance
        self.side = side
        self.average_epochs = average_epochs
        self.precision = precision
        self.seed = seed

    @property
    def recipe(self) -> Recipe:
        """The training part of the parameters."""
        return Recipe(**{field.name: getattr(self, field.name) for field in fields(Recipe)})

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value of the recipe cannot be."""
        _ = self.recipe  # checks itself

    def fit(
        self,
        X: npt.NDArray[np.uint8],
        y: npt.NDArray[np.str_],
        *,
        targets: npt.NDArray[np.float32] | None = None,
        initial: keras.Model | None = None,
        validation: tuple[npt.NDArray[np.uint8], npt.NDArray[np.str_]] | None = None,
        checkpoint_dir: Path | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : (N, h, w) uint8, gray
        y : (N,) str
            Label names.
        targets : (N, C) float32, optional
            Soft labels over the sorted names of ``y`` to learn from instead of ``y``; rows sum to 1.
        initial : keras.Model, optional
            A trained network of the same architecture, or an ensemble with one such member, whose weights this one
            starts from.
        validation : (crops, labels), optional
            Scored after every epoch, for the log, and for what the recipe lets them decide (its ``decisions``).
        checkpoint_dir : Path, optional
            Makes the training resumable.
        on_epoch : callable, optional
            Called with every :class:`~ferbench.classifiers.keras.recipe.Epoch`.
        """
        crops, labels = _check_crops(X), np.asarray(y, dtype=np.str_)
        if len(crops) != len(labels) or not len(crops):
            raise ShapeError("crops and labels differ in length or are empty", got=f"{len(crops)} and {len(labels)}")
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise ParameterError("a classifier needs two classes", got=self.classes_.tolist())
        keras.utils.set_random_seed(self.seed)
        self.model_ = self._build(crops.shape[1:])
        # What is kept takes crops of this size in float32; while it learns it may take others, at another precision.
        with training_precision(self.precision):
            trained = self._build((None, None) if self.side else crops.shape[1:])
            if self.precision != "float32":
                trained = fuse_batch_norms(trained)
        held_out = None if validation is None else (_check_crops(validation[0]), self._one_hot(validation[1]))
        self.log_ = train(
            trained,
            crops,
            self._one_hot(labels) if targets is None else np.asarray(targets, dtype=np.float32),
            self.recipe,
            made_of=_told(self.network_params or {}),
            initial_weights=None if initial is None else self._weights_of(initial),
            validation=held_out,
            checkpoint_dir=checkpoint_dir,
            on_epoch=on_epoch,
        )
        self.model_.set_weights(trained.get_weights())
        return self

    def assemble(self, classes: npt.NDArray[np.str_], shape: tuple[int, int]) -> Self:
        """Make the network without training it, for weights that are there already.

        Parameters
        ----------
        classes : (C,) str
            Label names in the order of the probabilities.
        shape : (h, w)
            Size of the crops.
        """
        self.classes_ = classes
        self.model_ = self._build(shape)
        return self

    def _weights_of(self, initial: keras.Model) -> list[npt.NDArray[Any]]:
        alike = [one for one in (initial, *members_of(initial)) if have_like_layers(one, self.model_)]
        if len(alike) != 1:
            raise ParameterError(
                f"{self.network} cannot start from this network: "
                + (f"{len(alike)} of its members have such layers" if alike else "its layers differ"),
                got=f"{initial.count_params():,} parameters",
                expected=f"{self.model_.count_params():,} in layers of the same shapes, or one member that has them",
            )
        weights: list[npt.NDArray[Any]] = alike[0].get_weights()
        return weights

    def _build(self, shape: tuple[int | None, ...]) -> keras.Model:
        return NETWORKS[self.network](shape, len(self.classes_), **(self.network_params or {}))

    def predict_proba(self, X: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(N, C) float32 probabilities of (N, h, w) uint8 crops, in the order of ``classes_``."""
        if not hasattr(self, "model_"):
            raise NotFittedError(f"{self.network} is not trained yet", fix="call fit first")
        crops = _check_crops(X)
        if not len(crops):
            return np.zeros((0, len(self.classes_)), np.float32)
        p: npt.NDArray[np.float32] = np.asarray(self.model_.predict(crops[..., None], batch_size=256, verbose=0))
        return p

    def predict(self, X: npt.NDArray[np.uint8]) -> npt.NDArray[np.str_]:
        """(N,) names of the most probable expressions."""
        names: npt.NDArray[np.str_] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return names

    def calibrate(self, X: npt.NDArray[np.uint8], y: npt.NDArray[np.str_]) -> float:
        """Scale the probabilities, in the last layer, so that on held-out faces they mean what they say.

        On average, what is predicted then has the probability with which it is right
        (:func:`~ferbench.classifiers.temperature.consistent_temperature`).

        The scale becomes part of the weights: every export carries it and nothing costs more. The most probable label
        of no face changes.

        Parameters
        ----------
        X : (N, h, w) uint8, gray
            Faces that were not learnt from.
        y : (N,) str
            Their labels.

        Returns
        -------
        float
            The temperature; above 1, the network had been too sure.
        """
        check_calibration_labels(y, self.classes_)
        truth = self._one_hot(y).argmax(axis=1)
        temperature = consistent_temperature(np.log(np.maximum(self.predict_proba(X), 1e-12)), truth)
        last = [layer for layer in self.model_.layers if hasattr(layer, "kernel")][-1]
        for weight in (last.kernel, last.bias):
            weight.assign(weight / temperature)
        return temperature

    def halve(self) -> None:
        """Round the weights to float16, as which :meth:`save` stores them; they still compute in float32."""
        round_weights(self.model_)
        self.is_half_ = True

    def save(self, path: Path) -> None:
        """Write the network as a ``.keras`` file."""
        self.model_.save(path)
        if getattr(self, "is_half_", False):
            halve_file(path)

    def _one_hot(self, labels: npt.NDArray[np.str_]) -> npt.NDArray[np.float32]:
        hot: npt.NDArray[np.float32] = (np.asarray(labels)[:, None] == self.classes_[None]).astype(np.float32)
        return hot


def _told(params: dict[str, Any]) -> dict[str, Any]:
    """A network's parameters for the record of its training: of a file of weights its content, wherever it lies."""
    files = {name: Path(value).expanduser() for name, value in params.items() if isinstance(value, str)}
    return params | {name: file_digest(path) for name, path in files.items() if path.is_file()}


def _check_crops(X: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if not (isinstance(X, np.ndarray) and X.ndim == 3 and X.dtype == np.uint8):
        got = f"{X.shape} {X.dtype}" if isinstance(X, np.ndarray) else type(X).__name__
        raise ShapeError("a network takes gray crops", got=got, expected="(N, h, w) uint8")
    return X


def _factory(network: str) -> Callable[..., KerasClassifier]:
    """A registry factory whose signature joins the network's own parameters with the recipe's."""
    own = [p for p in inspect.signature(NETWORKS[network]).parameters.values() if p.kind is p.KEYWORD_ONLY]
    names = {p.name for p in own}

    def make(**params: Any) -> KerasClassifier:
        network_params = {k: v for k, v in params.items() if k in names}
        return KerasClassifier(network, network_params, **{k: v for k, v in params.items() if k not in names})

    recipe = [
        p for p in inspect.signature(KerasClassifier).parameters.values() if p.name not in ("network", "network_params")
    ]
    make.__signature__ = inspect.Signature([*own, *recipe])  # type: ignore[attr-defined]
    _, _, shared = inspect.cleandoc(Recipe.__doc__ or "").partition("Parameters\n----------\n")
    own_text = inspect.cleandoc(NETWORKS[network].__doc__ or "")
    make.__doc__ = f"{own_text}\n\nOther Parameters\n----------------\n{shared}"
    make.__name__ = network.replace("-", "_")
    return make


emosense_4l = _factory("emosense-4l")
emosense_8l = _factory("emosense-8l")
emosense_10l = _factory("emosense-10l")
ensemble = _factory("ensemble")
keras_cnn = _factory("keras-cnn")
krishna_cnn = _factory("krishna-cnn")
lenet = _factory("lenet")
mini_xception = _factory("mini-xception")
plain_cnn = _factory("plain-cnn")
report_cnn = _factory("report-cnn")
resnet = _factory("resnet")
se_resnet = _factory("se-resnet")
transfer = _factory("transfer")
vgg = _factory("vgg")
wavelet_cnn = _factory("wavelet-cnn")
