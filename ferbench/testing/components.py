"""Conformance checks for components, ours and those of plugins: what the contracts promise, tried within seconds.

Each raises :class:`ConformanceError` with what was got and what was expected, and returns nothing where all is well.
Call them from a test::

    from ferbench.testing import check_features

    def test_my_features():
        check_features("my-features(size=3)")
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt

from ferbench.errors import FerbenchError, ImageError, ShapeError
from ferbench.faces import Faces
from ferbench.registry import create

__all__ = ["ConformanceError", "check_classifier", "check_detector", "check_features"]


class ConformanceError(FerbenchError, AssertionError):
    """A component does not keep its contract."""


def check_detector(detector: Any) -> None:
    """Check a detector: a spec, or an object with ``detect``, ``crop_scale`` and ``crop_shift``.

    Gray and RGB give :class:`Faces` in the order of the images; tiny and flat images, and no image at all, raise
    nothing; what is not an image raises :class:`ImageError`; the images stay as they were; a copy and a pickled
    detector find the same.
    """
    detector = create("detectors", detector) if isinstance(detector, str) else detector
    for name in ("crop_scale", "crop_shift"):
        _require(
            np.isfinite(getattr(detector, name, np.nan)), f"attribute {name}", getattr(detector, name, None), "set"
        )
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (2, 3), (2, 3, 3), (48, 48), (120, 160, 3), (33, 400)]
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    images += [np.zeros((90, 90), np.uint8), np.full((90, 90, 3), 255, np.uint8)]
    before = [image.copy() for image in images]
    faces = detector.detect(images)
    _require(isinstance(faces, Faces), "result of detect", type(faces).__name__, "Faces")
    _require(faces.n_images == len(images), "Faces.n_images", faces.n_images, len(images))
    _require(bool((faces.xyxy[:, 2:] > faces.xyxy[:, :2]).all()), "boxes", "an empty box", "right > left, bottom > top")
    _require(all(map(np.array_equal, images, before)), "the images given", "changed", "left as they were")
    _require(detector.detect([]).n_images == 0, "detect of no image", "faces", "Faces of no image")
    for other in (pickle.loads(pickle.dumps(detector)), copy.deepcopy(detector)):
        _require(np.array_equal(other.detect(images).xyxy, faces.xyxy), "a copy's boxes", "others", "the same")
    _require_error(lambda: detector.detect([np.zeros((9, 9), np.float32)]), ImageError, "an image of floats")


def check_features(features: Any, *, size: int = 48) -> None:
    """Check features: a spec, or an unfitted scikit-learn transformer from (N, h, w) uint8 to (N, D) float32.

    Rows are float32, finite, C-contiguous, the same for one crop alone, in a batch, after ``clone`` and after
    pickling; no crop gives no row; wrong input raises :class:`ShapeError`; the constructor only stores.

    Parameters
    ----------
    features : str or transformer
    size : int
        Side of the crops to try, in pixels.
    """
    from sklearn.base import clone

    features = create("features", features) if isinstance(features, str) else features
    crops = _crops(60, size)
    before, parameters = crops.copy(), repr(features.get_params())
    fitted = clone(features).fit(crops)
    rows = fitted.transform(crops)
    got = f"{rows.shape} {rows.dtype}"
    _require(rows.ndim == 2 and len(rows) == 60 and rows.dtype == np.float32, "features", got, "(N, D) float32")
    _require(bool(rows.flags.c_contiguous), "memory order of the features", "not C-contiguous", "C-contiguous")
    _require(bool(np.isfinite(rows).all()), "features", "values that are not finite", "finite values")
    _require(np.array_equal(crops, before), "the crops given", "changed", "left as they were")
    _require(repr(fitted.get_params()) == parameters, "parameters after fit", fitted.get_params(), parameters)
    _require(
        fitted.transform(crops[:0]).shape == (0, rows.shape[1]), "features of no crop", "other", f"(0, {rows.shape[1]})"
    )
    _close("features of one crop alone", fitted.transform(crops[7:8]), rows[7:8])
    _close("features after pickling", pickle.loads(pickle.dumps(fitted)).transform(crops), rows)
    _close("features of a clone fitted alike", clone(fitted).fit(crops).transform(crops), rows)
    for wrong, what in ((crops.astype(np.float32), "float crops"), (crops[0], "one crop without a batch axis")):
        _require_error(lambda wrong=wrong: fitted.transform(wrong), ShapeError, what)


def check_classifier(classifier: Any, *, save: bool = True) -> None:
    """Check a classifier of features: a spec, or an unfitted scikit-learn classifier with ``predict_proba``.

    ``classes_`` are the label names; probabilities are in [0, 1] and sum to 1, the most probable label is the one
    predicted, two fits give the same, and so do a pickled and (``save``) a skops-saved classifier. One whose tags say
    ``positive_only`` gets no negative features.
    """
    from sklearn.base import clone
    from sklearn.utils import get_tags

    classifier = create("classifiers", classifier) if isinstance(classifier, str) else classifier
    rng = np.random.default_rng(0)
    labels = np.array(["angry", "happy", "sad"])[np.arange(90) % 3]
    rows = (rng.normal(size=(90, 20)) + 2 * np.eye(3, 20)[np.arange(90) % 3]).astype(np.float32)
    if get_tags(classifier).input_tags.positive_only:
        rows = np.abs(rows)
    fitted = clone(classifier).fit(rows, labels)
    _require(list(fitted.classes_) == ["angry", "happy", "sad"], "classes_", list(fitted.classes_), "the label names")
    p = fitted.predict_proba(rows)
    _require(p.shape == (90, 3), "shape of the probabilities", p.shape, (90, 3))
    in_range = bool((p >= 0).all() and (p <= 1 + 1e-6).all())
    _require(in_range and np.allclose(p.sum(axis=1), 1, atol=1e-5), "probabilities", "others", "in [0, 1], sum 1")
    agrees = np.array_equal(fitted.classes_[p.argmax(axis=1)], fitted.predict(rows))
    _require(agrees, "most probable label", "another", "what predict says")
    _close("probabilities of one row alone", fitted.predict_proba(rows[:1]), p[:1])
    _close("probabilities of a second fit", clone(classifier).fit(rows, labels).predict_proba(rows), p)
    _close("probabilities after pickling", pickle.loads(pickle.dumps(fitted)).predict_proba(rows), p)
    if save:
        import skops.io

        data = skops.io.dumps(fitted)
        loaded = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
        _close("probabilities after saving", loaded.predict_proba(rows), p)


def _crops(n: int, size: int) -> npt.NDArray[np.uint8]:
    """Smooth random patterns with a flat, a black and a white crop among them."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (n, 6, 6)).repeat(-(-size // 6), axis=1).repeat(-(-size // 6), axis=2)
    noise = rng.integers(-20, 21, (n, size, size))
    crops: npt.NDArray[np.uint8] = np.clip(coarse[:, :size, :size] + noise, 0, 255).astype(np.uint8)
    crops[:3] = np.array([128, 0, 255], np.uint8)[:, None, None]
    return crops


def _require(holds: bool | np.bool_, what: str, got: object, expected: object) -> None:
    if not holds:
        raise ConformanceError(what, got=got, expected=expected)


def _close(what: str, got: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    # Sums of floats depend on their order, which a batch of another size may change in the last bits.
    close = got.shape == expected.shape and np.allclose(got, expected, rtol=1e-3, atol=1e-4)
    _require(close, what, "others", "the same to 0.1 %")


def _require_error(call: Any, kind: type[FerbenchError], what: str) -> None:
    try:
        call()
    except kind:
        return
    raise ConformanceError(f"{what} was accepted", expected=kind.__name__)
