"""Geometry of a face: where dlib's 68 points lie to each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from ferbench.checks import check_choice
from ferbench.detectors.dlib_models import dlib_model, import_dlib
from ferbench.errors import DataError
from ferbench.features.base import Crops, Matrix, check_crops, require_fitted

__all__ = ["PARTS", "Landmarks", "align_shapes", "contour_angles", "pair_distances"]

PARTS = ("coordinates", "distances", "angles")
_POINTS = 68
_SMALLEST = 16
_ROUNDS = 5
"""Of aligning to the mean and averaging anew: faces in upright crops differ little to begin with."""
_SIDE = 144
"""Pixels to which crops are enlarged: dlib rounds its points to whole pixels, on 48 a fiftieth of the face."""
_MODEL = "shape_predictor_68_face_landmarks.dat"
_CONTOURS = (
    (range(17), False),  # jaw
    (range(17, 22), False),  # brows
    (range(22, 27), False),
    (range(27, 31), False),  # nose
    (range(31, 36), False),
    (range(36, 42), True),  # eyes
    (range(42, 48), True),
    (range(48, 60), True),  # lips, outer and inner border
    (range(60, 68), True),
)
"""The lines that the 68 points follow, and whether they close."""


class Landmarks(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Shape of the face from dlib's 68 points [1]_, free of where, how large and how tilted it is in the crop [2]_.

    The whole crop is the face's box, nothing is detected here. **dlib's 68-point model was trained on iBUG 300-W, whose
    licence excludes commercial use.** The file comes with the ``landmarks`` extra.

    Parameters
    ----------
    parts : str or sequence of str
        ``coordinates``: the points, moved, scaled and turned onto the mean shape of the training faces (generalised
        Procrustes analysis), 136 values. ``distances``: between all pairs of points, in units of the shape's
        size (root of the summed squared distances from its centre), 2,278 values. ``angles``: how far the line turns at
        each point of the jaw, brows, nose, eyes and lips, in units of 180 degrees, 58 values.

    Attributes
    ----------
    reference_ : (68, 2) float32
        Mean shape: its centre is 0, its size is 1.

    References
    ----------
    .. [1] V. Kazemi, J. Sullivan: One millisecond face alignment with an ensemble of regression trees. CVPR 2014.
    .. [2] J. Gower: Generalized Procrustes analysis. Psychometrika 40(1), 1975.
    """

    is_stateless = False

    def __init__(self, parts: str | Sequence[str] = PARTS) -> None:
        self.parts = parts

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_predictor"}  # native, made anew on use

    def _check_parts(self) -> tuple[str, ...]:
        given = tuple(self.parts) if isinstance(self.parts, list | tuple) else (self.parts,)
        return tuple(check_choice("parts", part, PARTS) for part in given or ("",))

    def check_parameters(self) -> None:
        """Raise :class:`ParameterError` where a value cannot be."""
        self._check_parts()

    def fit(self, X: Crops, y: Any = None) -> Self:
        """Find the mean shape of the crops.

        Raises
        ------
        MissingDependencyError
            dlib or its model file is not installed.
        """
        self._check_parts()
        crops = check_crops(X, minimum=_SMALLEST)
        if not len(crops):
            raise DataError("landmarks need a training face for the mean shape", got="none")
        shapes = _as_complex(self.points(crops))
        reference = shapes.mean(axis=0)
        for _ in range(_ROUNDS):
            reference = _aligned(shapes, reference).mean(axis=0)
        reference /= np.linalg.norm(reference)
        self.reference_ = np.stack([reference.real, reference.imag], axis=-1).astype(np.float32)
        return self

    def points(self, X: Crops) -> npt.NDArray[np.float32]:
        """(N, 68, 2) float32 landmarks, x and y in shares of the crop's width and height; no fit is needed."""
        import cv2

        crops = check_crops(X, minimum=_SMALLEST)
        if not hasattr(self, "_predictor"):
            file = dlib_model(_MODEL, "features 'landmarks'")
            dlib = import_dlib("features 'landmarks'")
            model = dlib.shape_predictor(str(file))
            # dlib's own box would be smaller; on FER2013 the points tell more with the whole crop.
            self._predictor = model, dlib.rectangle(0, 0, _SIDE - 1, _SIDE - 1)
        predict, box = self._predictor
        out = np.empty((len(crops), _POINTS, 2), np.float32)
        for points, crop in zip(out, crops, strict=True):
            shape = predict(cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR), box)
            points[:] = [(point.x, point.y) for point in shape.parts()]
        out += 0.5
        out /= _SIDE
        return out

    def transform(self, X: Crops) -> Matrix:
        """(N, D) float32: the parts in the order in which they are named; coordinates as x, y of point after point."""
        require_fitted(self, "reference_")
        shapes = self.points(X)
        columns: dict[str, Callable[[], Matrix]] = {
            "coordinates": lambda: align_shapes(shapes, self.reference_).reshape(len(shapes), 2 * _POINTS),
            "distances": lambda: pair_distances(shapes),
            "angles": lambda: contour_angles(shapes),
        }
        return np.concatenate([columns[part]() for part in self._check_parts()], axis=1)


def align_shapes(shapes: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Shapes (N, P, 2) centred, scaled to unit size and turned to lie closest to a reference (P, 2)."""
    aligned = _aligned(_as_complex(shapes), _as_complex(reference[None])[0])
    return np.stack([aligned.real, aligned.imag], axis=-1).astype(np.float32)


def pair_distances(shapes: npt.NDArray[np.float32]) -> Matrix:
    """(N, P (P - 1) / 2) distances between the points of each shape (N, P, 2), in units of its size."""
    points = _as_complex(shapes)
    first, second = np.triu_indices(points.shape[1], 1)
    return np.abs(points[:, first] - points[:, second]).astype(np.float32)


def contour_angles(shapes: npt.NDArray[np.float32]) -> Matrix:
    """(N, 58) turns of the 68 points' lines, in units of 180 degrees; 0: straight on, positive: clockwise as seen."""
    points = _as_complex(shapes)
    middle, before, after = [], [], []
    for contour, is_closed in _CONTOURS:
        n = len(contour)
        for k in range(n) if is_closed else range(1, n - 1):
            middle.append(contour[k])
            before.append(contour[k - 1])
            after.append(contour[(k + 1) % n])
    arriving, leaving = points[:, middle] - points[:, before], points[:, after] - points[:, middle]
    return (np.angle(leaving * arriving.conj()) / np.pi).astype(np.float32)


def _as_complex(shapes: npt.NDArray[np.float32]) -> npt.NDArray[np.complex128]:
    """(N, P) x + iy, centred and of unit size: in the plane a rotation is a product with a number."""
    points = shapes[..., 0].astype(np.float64) + 1j * shapes[..., 1]
    points -= points.mean(axis=1, keepdims=True)
    size = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(size > 0, size, 1))


def _aligned(points: npt.NDArray[np.complex128], reference: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    """Each row turned by the angle that brings it closest to the reference."""
    turn = points.conj() @ reference
    return np.asarray(points * np.exp(1j * np.angle(turn))[:, None])
