"""Fitted estimators from files: scikit-learn's by skops, Keras' in safe mode. No code that a file brings is run."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Container
from pathlib import Path
from typing import Any

from ferbench.errors import ModelFileError
from ferbench.pipelines.pipeline import Pipeline
from ferbench.registry import create, entries

__all__ = ["read_keras", "read_skops"]


def read_skops(path: Path) -> Any:
    """A scikit-learn estimator, if every type in the file is known to be safe.

    Raises
    ------
    ModelFileError
        If one is not, or the file is no skops file.
    """
    import skops.io

    from ferbench.classifiers.sklearn import TRUSTED_TYPES
    from ferbench.classifiers.trees import check_trees

    try:
        unknown = set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED_TYPES)
        installed = _installed_types({name.split(".")[0] for name in unknown}) & unknown
        if unknown - installed:
            raise ModelFileError(
                f"{path} holds types that are not known to be safe",
                got=", ".join(sorted(unknown - installed)[:5]),
                fix="load only pipelines that ferbench saved, with the plugins installed that they use",
            )
        estimator = skops.io.load(path, trusted=sorted({*TRUSTED_TYPES, *installed}))
    except (zipfile.BadZipFile, json.JSONDecodeError, KeyError) as error:
        raise ModelFileError(f"{path} is no skops file", got=repr(error)) from error
    check_trees(estimator)
    return estimator


def _installed_types(packages: Container[str]) -> set[str]:
    """Full names of the features and classifiers that plugins register in some import packages.

    Whoever installed them runs them. A plugin of another package is not asked: it may not even load.
    """
    every = [one for group in ("features", "classifiers") for one in entries(group).values()]
    plugins = [one for one in every if one.package != "ferbench"]
    loaded = [one.load() for one in plugins if one.target.partition(":")[0].split(".")[0] in packages]
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in loaded if isinstance(kind, type)}


def read_keras(pipeline: Pipeline, path: Path) -> Any:
    """A pipeline's classifier with the network of a Keras file.

    Raises
    ------
    ModelFileError
        If the file is no Keras model, or has code in it.
    """
    import numpy as np

    import keras  # isort: skip

    classifier = create("classifiers", pipeline.parts.classifier)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
        try:
            classifier.model_ = keras.models.load_model(path, compile=False, safe_mode=True)
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise ModelFileError(f"{path} is no usable Keras model", got=str(error).splitlines()[0]) from error
    classifier.classes_ = np.array(pipeline.classes_)
    return classifier
