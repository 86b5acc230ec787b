"""Checks of the parts: detectors, features, classifiers of features."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np

from ferbench.errors import ImageError, ShapeError
from ferbench.faces import Faces
from ferbench.registry import check_values, create
from ferbench.testing.requirements import close, face_like_crops, require, require_error

__all__ = ["check_classifier", "check_detector", "check_features"]


def check_detector(detector: Any) -> None:
    """Check a detector: a spec, or an object with ``detect``, ``crop_scale`` and ``crop_shift``.

    Gray and RGB give :class:`Faces` in the order of the images; tiny and flat images, and no image at all, raise
    nothing; what is not an image raises :class:`ImageError`; the images stay as they were; a copy and a pickled
    detector find the same.
    """
    detector = create("detectors", detector) if isinstance(detector, str) else detector
    for name in ("crop_scale", "crop_shift"):
        require(np.isfinite(getattr(detector, name, np.nan)), f"attribute {name}", getattr(detector, name, None), "set")
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (2, 3), (2, 3, 3), (48, 48), (120, 160, 3), (33, 400)]
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    images += [np.zeros((90, 90), np.uint8), np.full((90, 90, 3), 255, np.uint8)]
    before = [image.copy() for image in images]
    faces = detector.detect(images)
    require(isinstance(faces, Faces), "result of detect", type(faces).__name__, "Faces")
    require(faces.n_images == len(images), "Faces.n_images", faces.n_images, len(images))
    require(bool((faces.xyxy[:, 2:] > faces.xyxy[:, :2]).all()), "boxes", "an empty box", "right > left, bottom > top")
    require(all(map(np.array_equal, images, before)), "the images given", "changed", "left as they were")
    require(detector.detect([]).n_images == 0, "detect of no image", "faces", "Faces of no image")
    for other in (pickle.loads(pickle.dumps(detector)), copy.deepcopy(detector)):
        require(np.array_equal(other.detect(images).xyxy, faces.xyxy), "a copy's boxes", "others", "the same")
    require_error(lambda: detector.detect([np.zeros((9, 9), np.float32)]), ImageError, "an image of floats")


def check_features(features: Any, *, size: int = 48) -> None:
    """Check features: a spec, or an unfitted scikit-learn transformer from (N, h, w) uint8 to (N, D) float32.

    Rows are float32, finite, C-contiguous, the same for one crop alone, in a batch, after ``clone`` and after
    pickling; no crop gives no row; wrong input raises :class:`ShapeError`; the constructor only stores. Features are
    fitted with labels, which most ignore.

    Parameters
    ----------
    features : str or transformer
    size : int
        Side of the crops to try, in pixels.
    """
    from sklearn.base import clone

    features = create("features", features) if isinstance(features, str) else features
    check_values(features)
    crops = face_like_crops(60, size)
    before, parameters = crops.copy(), repr(features.get_params())
    labels = np.array(["happy", "neutral", "sad"])[np.arange(60) % 3]
    fitted = clone(features).fit(crops, labels)
    rows = fitted.transform(crops)
    got = f"{rows.shape} {rows.dtype}"
    require(rows.ndim == 2 and len(rows) == 60 and rows.dtype == np.float32, "features", got, "(N, D) float32")
    require(bool(rows.flags.c_contiguous), "memory order of the features", "not C-contiguous", "C-contiguous")
    require(bool(np.isfinite(rows).all()), "features", "values that are not finite", "finite values")
    require(np.array_equal(crops, before), "the crops given", "changed", "left as they were")
    require(repr(fitted.get_params()) == parameters, "parameters after fit", fitted.get_params(), parameters)
    require(
        fitted.transform(crops[:0]).shape == (0, rows.shape[1]), "features of no crop", "other", f"(0, {rows.shape[1]})"
    )
    close("features of one crop alone", fitted.transform(crops[7:8]), rows[7:8])
    close("features after pickling", pickle.loads(pickle.dumps(fitted)).transform(crops), rows)
    close("features of a clone fitted alike", clone(fitted).fit(crops, labels).transform(crops), rows)
    for wrong, what in ((crops.astype(np.float32), "float crops"), (crops[0], "one crop without a batch axis")):
        require_error(lambda wrong=wrong: fitted.transform(wrong), ShapeError, what)


def check_classifier(classifier: Any, *, save: bool = True) -> None:
    """Check a classifier of features: a spec, or an unfitted scikit-learn classifier with ``predict_proba``.

    ``classes_`` are the label names; probabilities are in [0, 1] and sum to 1, the most probable label is the one
    predicted, two fits give the same, and so do a pickled and (``save``) a skops-saved classifier. One whose tags say
    ``positive_only`` gets no negative features.
    """
    from sklearn.base import clone
    from sklearn.utils import get_tags

    classifier = create("classifiers", classifier) if isinstance(classifier, str) else classifier
    check_values(classifier)
    rng = np.random.default_rng(0)
    labels = np.array(["angry", "happy", "sad"])[np.arange(90) % 3]
    rows = (rng.normal(size=(90, 20)) + 2 * np.eye(3, 20)[np.arange(90) % 3]).astype(np.float32)
    if get_tags(classifier).input_tags.positive_only:
        rows = np.abs(rows)
    fitted = clone(classifier).fit(rows, labels)
    require(list(fitted.classes_) == ["angry", "happy", "sad"], "classes_", list(fitted.classes_), "the label names")
    p = fitted.predict_proba(rows)
    require(p.shape == (90, 3), "shape of the probabilities", p.shape, (90, 3))
    in_range = bool((p >= 0).all() and (p <= 1 + 1e-6).all())
    require(in_range and np.allclose(p.sum(axis=1), 1, atol=1e-5), "probabilities", "others", "in [0, 1], sum 1")
    agrees = np.array_equal(fitted.classes_[p.argmax(axis=1)], fitted.predict(rows))
    require(agrees, "most probable label", "another", "what predict says")
    close("probabilities of one row alone", fitted.predict_proba(rows[:1]), p[:1])
    close("probabilities of a second fit", clone(classifier).fit(rows, labels).predict_proba(rows), p)
    close("probabilities after pickling", pickle.loads(pickle.dumps(fitted)).predict_proba(rows), p)
    if save:
        import skops.io

        data = skops.io.dumps(fitted)
        loaded = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
        close("probabilities after saving", loaded.predict_proba(rows), p)
