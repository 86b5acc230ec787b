"""The protocols that components satisfy. The harness knows these and nothing more concrete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from ferbench.faces import Faces, Image
from ferbench.samples import DatasetInfo, Samples

__all__ = [
    "AligningDetector",
    "Classifier",
    "Dataset",
    "Detector",
    "FeatureExtractor",
    "GpuRuntime",
    "Runtime",
    "Session",
    "StagedSession",
]


@runtime_checkable
class Detector(Protocol):
    """Finds faces.

    Attributes
    ----------
    crop_scale, crop_shift : float
        How this detector's boxes become crops: the square around the box's centre has ``crop_scale`` times the box's
        longer side, its centre moved down by ``crop_shift`` times that side (negative: up). Detectors differ in where
        they put a box, so each brings its own figures.

    Where it has a method ``check_parameters()``, its values are looked at before any picture is read, also before a
    training on crops: :class:`ParameterError` if one cannot be.
    """

    crop_scale: float
    crop_shift: float

    def detect(self, images: Sequence[Image]) -> Faces:
        """Find the faces of a batch of RGB or gray uint8 images."""
        ...


@runtime_checkable
class AligningDetector(Detector, Protocol):
    """A detector that also tells where the eyes are, so that crops can be turned until these are level.

    Attributes
    ----------
    align : "eyes" or None
        None leaves the crops upright, and the eyes unasked for.
    """

    align: str | None

    def find_eyes(self, images: Sequence[Image], faces: Faces) -> npt.NDArray[np.float32]:
        """(N, 2, 2) float32 eye centres of faces of these images, the left one in the image first; x, y in pixels.

        The boxes may have been moved since they were detected, and the landmarks with them. NaN where they are not
        known: such a face is cut upright.
        """
        ...


@runtime_checkable
class FeatureExtractor(Protocol):
    """A scikit-learn transformer from crops (N, h, w) uint8 gray to (N, D) float32.

    Where it has a method ``check_parameters()``, its values are looked at before any face is read:
    :class:`ParameterError` if one cannot be.
    """

    def fit(self, X: npt.NDArray[np.uint8], y: Any = None) -> Self:
        """Learn what there is to learn (nothing, for LBP or HOG)."""
        ...

    def transform(self, X: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Features (N, D) float32, C-contiguous."""
        ...


@runtime_checkable
class Classifier(Protocol):
    """A scikit-learn classifier whose ``classes_`` are label names.

    A network has the attribute ``takes_crops = True`` and takes (N, h, w) uint8 crops instead of features. As with
    features, ``check_parameters()`` is asked before any face is read.
    """

    classes_: npt.NDArray[np.str_]

    def fit(self, X: npt.NDArray[Any], y: npt.NDArray[np.str_]) -> Self:
        """Learn from (N, D) float32 features, or (N, h, w) uint8 crops, and (N,) label names."""
        ...

    def predict_proba(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """(N, C) probabilities in the order of ``classes_``; rows sum to 1."""
        ...


@runtime_checkable
class Session(Protocol):
    """A classifier made ready to run: crops in, probabilities out; returns when the result is on the host."""

    def __call__(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(N, C) float32 probabilities of (N, h, w) uint8 gray crops."""
        ...


@runtime_checkable
class StagedSession(Session, Protocol):
    """A session whose features and classifier can be run, and timed, apart."""

    def features(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(N, D) float32 features of (N, h, w) uint8 gray crops."""
        ...

    def classify(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(N, C) float32 probabilities of (N, D) features."""
        ...


@runtime_checkable
class Runtime(Protocol):
    """A way to execute a fitted classifier: ``sklearn``, ``keras``, ``litert``."""

    def prepare(self, fitted: Any, example: npt.NDArray[np.uint8], *, threads: int = 1, device: str = "cpu") -> Session:
        """Make a session.

        Parameters
        ----------
        fitted : object
            The fitted crop estimator of a pipeline (see :class:`ferbench.pipelines.Pipeline`).
        example : (n, h, w) uint8
            Crops of the size that will come, for shapes and warm-up.
        threads : int
            Threads the session may use.
        device : str
            ``"cpu"`` or ``"gpu"``.
        """
        ...


@runtime_checkable
class GpuRuntime(Runtime, Protocol):
    """A runtime that can use a GPU where there is one. A runtime without these two runs on the CPU alone."""

    @property
    def engine(self) -> str:
        """What computes, for messages: ``"keras on jax"``."""
        ...

    def find_gpus(self) -> Sequence[str]:
        """Names of the GPUs that this runtime can use here, the one it will use first; empty where there are none."""
        ...


@runtime_checkable
class Dataset(Protocol):
    """Labelled images with official splits."""

    info: DatasetInfo

    @property
    def revision(self) -> str:
        """Content digest of the dataset: the same bytes give the same revision on every machine."""
        ...

    def split(self, name: str) -> Samples:
        """The samples of one split, or of ``"all"``."""
        ...
