"""Model files: which file of a saved pipeline belongs to which runtime, and how a network becomes one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.classifiers.runtimes.conversion import PRECISIONS, check_precision
from ferbench.classifiers.runtimes.views import check_views
from ferbench.errors import ParameterError, UnknownNameError
from ferbench.registry import entry
from ferbench.specs import Spec

__all__ = ["EXPORTS", "canonical_runtime", "check_fit_runtime", "convert", "model_file", "runs_file", "runtimes_of"]

_SUFFIXES = {"sklearn": "skops", "keras": "keras", "litert": "tflite", "onnx": "onnx", "opencv": "onnx"}

EXPORTS = ("litert", "onnx")
"""Runtimes that a network is exported to; ``opencv`` runs what is exported to ``onnx``."""


def canonical_runtime(runtime: Spec) -> Spec:
    """The spec without ``quantize=none`` and ``tta=none``, which are the defaults: equal pipelines have equal ids.

    Raises
    ------
    UnknownNameError
        Unknown runtime, precision or test-time augmentation.
    """
    entry("runtimes", runtime.name)
    given, defaults = runtime.params, set()
    if runtime.name in EXPORTS and check_precision(given.get("quantize", "none")) == "none":
        defaults.add("quantize")
    if runtime.name in (*EXPORTS, "keras", "opencv") and check_views(given.get("tta", "none")) == "none":
        defaults.add("tta")
    return Spec(runtime.name, {name: value for name, value in given.items() if name not in defaults})


def model_file(runtime: Spec) -> str | None:
    """Name of the file that a runtime runs: ``model.tflite``, ``model.dynamic.onnx``; None for plugins' runtimes."""
    if runtime.name not in _SUFFIXES:
        return None
    quantize = runtime.params.get("quantize", "none") if runtime.name in EXPORTS else "none"
    return f"model.{_SUFFIXES[runtime.name]}" if quantize == "none" else f"model.{quantize}.{_SUFFIXES[runtime.name]}"


def runs_file(runtime: Spec) -> bool:
    """Whether a runtime is given its file as it is; Keras' and scikit-learn's are read first."""
    return runtime.name in (*EXPORTS, "opencv")


def runtimes_of(files: Iterable[str]) -> list[str]:
    """Runtimes that can run at least one of the files, as specs: what a saved pipeline offers."""
    specs = [Spec(name) for name in _SUFFIXES]
    specs += [Spec(name, {"quantize": quantize}) for name in EXPORTS for quantize in PRECISIONS if quantize != "none"]
    names = set(files)
    return [str(spec) for spec in specs if model_file(spec) in names]


def check_fit_runtime(runtime: Spec) -> None:
    """Refuse a runtime that a pipeline cannot be trained for.

    Raises
    ------
    ParameterError
        Full int8, whose calibration comes after the training, and OpenCV, which runs what is exported to ONNX.
    """
    if runtime.name == "opencv":
        raise ParameterError("a network cannot be trained for opencv", fix="train it for onnx, and run it on opencv")
    if runtime.params.get("quantize") == "int8":
        raise ParameterError(
            f"a network cannot be trained for {runtime}: its calibration comes afterwards",
            fix="train it without, then use ferbench export",
        )


def convert(estimator: Any, runtime: Spec, calibration: npt.NDArray[np.uint8] | None = None) -> bytes:
    """The file that a runtime runs, made of a fitted Keras classifier.

    Parameters
    ----------
    estimator : KerasClassifier
    runtime : Spec
        ``litert``, ``onnx``, with or without ``quantize``.
    calibration : (N, h, w) uint8, optional
        Training crops, for ``quantize=int8``.
    """
    quantize = check_precision(runtime.params.get("quantize", "none"))
    if runtime.name == "litert":
        from ferbench.classifiers.runtimes.litert import export_litert

        return export_litert(estimator, quantize, calibration)
    if runtime.name == "onnx":
        from ferbench.classifiers.runtimes.onnx import export_onnx

        return export_onnx(estimator, quantize, calibration)
    raise UnknownNameError("runtime to export to", runtime.name, EXPORTS)
