"""scikit-learn's own prediction, split into its two stages so that each can be timed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.checks import check_integer
from ferbench.classifiers.trees import fitted_parts
from ferbench.errors import DeviceError, NotFittedError, ParameterError

__all__ = ["SklearnRuntime", "SklearnSession"]

Matrix = npt.NDArray[np.float32]


class SklearnSession:
    """A fitted chain of features and a classifier: crops (N, h, w) uint8 in, probabilities (N, C) float32 out.

    Parameters
    ----------
    steps : list of transformers
        What turns crops into the classifier's input; empty for a classifier of crops.
    classifier : object
        Has ``predict_proba``.
    """

    def __init__(self, steps: list[Any], classifier: Any) -> None:
        self._steps, self._classifier = steps, classifier

    def features(self, crops: npt.NDArray[np.uint8]) -> Any:
        """The classifier's input for these crops: (N, D) float32, or the crops where there are no features."""
        out: Any = crops
        for step in self._steps:
            out = step.transform(out)
        return out

    def classify(self, features: Any) -> Matrix:
        """(N, C) float32 probabilities of what :meth:`features` gave."""
        if len(features) == 0:  # several of scikit-learn's classifiers refuse an empty batch
            return np.zeros((0, len(self._classifier.classes_)), np.float32)
        return np.asarray(self._classifier.predict_proba(features), dtype=np.float32)

    def __call__(self, crops: npt.NDArray[np.uint8]) -> Matrix:
        """Probabilities (N, C), columns in the order of the classifier's ``classes_``."""
        return self.classify(self.features(crops))


class SklearnRuntime:
    """Runs any fitted scikit-learn pipeline, or lone classifier, on the CPU."""

    def prepare(
        self, fitted: Any, example: npt.NDArray[np.uint8], *, threads: int = 1, device: str = "cpu"
    ) -> SklearnSession:
        """Limit the threads of BLAS and OpenMP in this process and run once.

        The limit is set here, once, and stays: setting it around every call would cost more than a small classifier.

        Raises
        ------
        DeviceError
            A device other than the CPU.
        """
        from sklearn.exceptions import NotFittedError as SklearnNotFittedError
        from sklearn.pipeline import Pipeline
        from threadpoolctl import threadpool_limits

        if device != "cpu":
            raise DeviceError("the sklearn runtime runs on the CPU only", got=device, fix="use device='cpu'")
        check_integer("threads", threads, 1)
        steps = [step for _, step in fitted.steps] if isinstance(fitted, Pipeline) else [fitted]
        if not hasattr(steps[-1], "predict_proba"):
            raise ParameterError("the classifier gives no probabilities", got=type(steps[-1]).__name__)
        _set_forest_jobs(steps[-1], threads)
        threadpool_limits(limits=threads)
        session = SklearnSession([s for s in steps[:-1] if s is not None and s != "passthrough"], steps[-1])
        try:
            session(example[:1])
        except SklearnNotFittedError as error:
            raise NotFittedError("the pipeline was prepared before it was fitted", fix="call fit first") from error
        return session


def _set_forest_jobs(classifier: Any, threads: int) -> None:
    """Give estimators with their own pool (forests, nearest neighbours) the same limit; 1 needs no pool at all."""
    for part in fitted_parts(classifier):
        if "n_jobs" in getattr(part, "get_params", dict)():
            part.set_params(n_jobs=None if threads == 1 else threads)
