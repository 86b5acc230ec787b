"""Checks of what works on crops: networks, whole pipelines, runtimes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferbench.errors import ShapeError
from ferbench.registry import create
from ferbench.testing.requirements import close, labelled_crops, require, require_error

if TYPE_CHECKING:
    from ferbench.pipelines import Pipeline

__all__ = ["check_network", "check_pipeline", "check_runtime"]


def check_network(network: Any, *, size: int = 48) -> None:
    """Check a classifier of crops: a spec, or an unfitted classifier with ``takes_crops = True``.

    It learns from (N, h, w) uint8 crops and label names; probabilities are in [0, 1] and sum to 1, for no crop there
    are none, one crop alone gets what it gets in a batch; the most probable label is the one predicted; what is no
    crop raises :class:`ShapeError`; the crops stay as they were; the constructor only stores. Give few epochs: it is
    trained once.
    """
    from sklearn.base import clone

    network = create("classifiers", network) if isinstance(network, str) else network
    require(getattr(network, "takes_crops", False) is True, "takes_crops", "not True", "True")
    faces, labels = labelled_crops(48, size)
    before, parameters = faces.copy(), repr(network.get_params())
    fitted = clone(network).fit(faces, labels)
    require(repr(clone(fitted).get_params()) == parameters, "parameters after fit", fitted.get_params(), parameters)
    require(list(fitted.classes_) == ["angry", "happy", "sad"], "classes_", list(fitted.classes_), "the label names")
    p = fitted.predict_proba(faces)
    require(p.shape == (48, 3) and p.dtype == np.float32, "probabilities", f"{p.shape} {p.dtype}", "(48, 3) float32")
    in_range = bool((p >= 0).all() and (p <= 1 + 1e-6).all())
    require(in_range and np.allclose(p.sum(axis=1), 1, atol=1e-4), "probabilities", "others", "in [0, 1], sum 1")
    require(np.array_equal(fitted.classes_[p.argmax(axis=1)], fitted.predict(faces)), "predict", "another", "the top")
    close("probabilities of one crop alone", fitted.predict_proba(faces[:1]), p[:1])
    require(fitted.predict_proba(faces[:0]).shape == (0, 3), "probabilities of no crop", "other", "(0, 3)")
    require(np.array_equal(faces, before), "the crops given", "changed", "left as they were")
    require_error(lambda: fitted.predict_proba(faces.astype(np.float32)), ShapeError, "float crops")


def check_pipeline(pipeline: str | Pipeline, *, size: int = 48) -> None:
    """Check a pipeline: an id or preset, or an unfitted :class:`~ferbench.pipelines.Pipeline`.

    It learns from labelled crops, names what it sees in an image, gray or RGB, gives a row to no face where there is
    none, and answers alike after it was saved and loaded.
    """
    from ferbench.pipelines import load_pipeline, make_pipeline

    made = make_pipeline(pipeline) if isinstance(pipeline, str) else pipeline
    faces, labels = labelled_crops(60, size)
    fitted = made.fit(faces, labels)
    p = fitted.classify(faces)
    require(p.shape == (60, len(fitted.labels)), "probabilities", p.shape, (60, len(fitted.labels)))
    require(np.allclose(p.sum(axis=1), 1, atol=1e-4), "probabilities", "others", "rows that sum to 1")
    require({"angry", "happy", "sad"} <= set(fitted.labels), "labels", fitted.labels, "those it learnt from")
    for image in (np.full((120, 160), 128, np.uint8), np.full((120, 160, 3), 128, np.uint8)):
        done = fitted.process([image, image])
        require(done.faces.n_images == 2, "images of a result", done.faces.n_images, 2)
        require(len(done.probabilities) == len(done.faces), "rows", len(done.probabilities), len(done.faces))
        require(
            sum(v for k, v in done.times_ns.items() if k != "total") <= done.times_ns["total"],
            "stages",
            "longer",
            "total",
        )
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_pipeline(fitted.save(Path(folder) / "saved"))
        require(loaded.id == fitted.id, "id after loading", loaded.id, fitted.id)
        close("probabilities after loading", loaded.classify(faces), p)


def check_runtime(runtime: str, pipeline: Pipeline) -> None:
    """Check a runtime on a pipeline that was fitted: it must answer as the fitted estimator itself does.

    Batches of any size, none included, give (N, C) float32 that sum to 1 and agree with the reference to 0.1 %.

    Parameters
    ----------
    runtime : str
        Spec, such as ``"litert"``.
    pipeline : Pipeline
        Fitted on 48×48 crops, with an estimator that this runtime can execute.
    """
    faces, _ = labelled_crops(67, pipeline.input_size)
    expected = np.asarray(pipeline.estimator_.predict_proba(faces), dtype=np.float32)
    session = create("runtimes", runtime).prepare(pipeline.estimator_, faces[:1], threads=1, device="cpu")
    for n in (0, 1, 2, 67):
        got = session(faces[:n])
        form = f"{got.shape} {got.dtype}"
        require(
            got.shape == (n, expected.shape[1]) and got.dtype == np.float32, f"answer to {n} crops", form, "float32"
        )
        close(f"probabilities of {n} crops", got, expected[:n])
