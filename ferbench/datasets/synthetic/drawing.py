"""A square drawing in head units: colour, coverage, and soft-edged shapes on it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ferbench.datasets.synthetic.geometry import Points
from ferbench.datasets.synthetic.identity import Colour
from ferbench.datasets.synthetic.pose import CANVAS_LEFT, CANVAS_TOP, CANVAS_UNITS
from ferbench.datasets.synthetic.relief import SHIFT, fixed_points

__all__ = ["Drawing", "ellipse", "grain"]

_COLOUR_TYPE = tuple[int, int, int]


def _bytes(colour: Colour) -> _COLOUR_TYPE:
    r, g, b = (int(min(max(c, 0.0), 255.0)) for c in colour)
    return r, g, b


def ellipse(x: float, y: float, rx: float, ry: float, n: int = 20) -> Points:
    """(n, 2) points of an upright ellipse."""
    points: Points = _circle(n) * (rx, ry) + (x, y)
    return points


@lru_cache(maxsize=32)
def _circle(n: int) -> Points:
    t = np.linspace(0.0, 2 * np.pi, n, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], axis=1)


@lru_cache(maxsize=8)
def grain(kind: str) -> npt.NDArray[np.float32]:
    """A fixed (768, 768) field of unit variance: ``skin`` blotches, ``strands`` running down, ``curls``."""
    noise = np.random.default_rng(20130).standard_normal((768, 768), dtype=np.float32)
    sigmas = {"skin": (1.2, 1.2), "strands": (0.9, 14.0), "curls": (3.2, 3.2)}
    field = cv2.GaussianBlur(noise, (0, 0), sigmaX=sigmas[kind][0], sigmaY=sigmas[kind][1])
    return np.asarray((field - field.mean()) / field.std(), np.float32)


class Drawing:
    """Colours and coverage of a face drawn from the front.

    Attributes
    ----------
    resolution : int
        Side in pixels.
    rgb : (resolution, resolution, 3) uint8
    alpha : (resolution, resolution) uint8
        255 where the head covers what is behind it.
    """

    def __init__(self, resolution: int, colour: Colour) -> None:
        self.resolution = resolution
        self.rgb = np.empty((resolution, resolution, 3), np.uint8)
        self.rgb[:] = _bytes(colour)
        self.alpha = np.zeros((resolution, resolution), np.uint8)

    def copy(self) -> Drawing:
        """The same drawing with colours of its own; coverage is shared."""
        other = Drawing.__new__(Drawing)
        other.resolution, other.rgb, other.alpha = self.resolution, self.rgb.copy(), self.alpha
        return other

    def cover(self, points: Points, colour: Colour) -> None:
        """Fill a shape that belongs to the head: it hides what is behind."""
        self.fill(points, colour)
        cv2.fillPoly(self.alpha, list(fixed_points(points, self.resolution)), 255, cv2.LINE_AA, SHIFT)

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill a shape."""
        cv2.fillPoly(self.rgb, list(fixed_points(points, self.resolution)), _bytes(colour), cv2.LINE_AA, SHIFT)

    def line(self, points: Points, colour: Colour, width: float, *, closed: bool = False) -> None:
        """Draw a line; ``width`` in head units, at least one pixel."""
        thick = max(1, round(width * self.resolution / CANVAS_UNITS))
        where = list(fixed_points(points, self.resolution))
        cv2.polylines(self.rgb, where, closed, _bytes(colour), thick, cv2.LINE_AA, SHIFT)

    def box(self, shapes: Sequence[Points], margin: float) -> tuple[slice, slice]:
        """Rows and columns of the part of the drawing that holds some shapes and a margin in head units."""
        points = shapes[0] if len(shapes) == 1 else np.concatenate(shapes)
        per_unit, pad = self.resolution / CANVAS_UNITS, int(margin * self.resolution / CANVAS_UNITS) + 2
        spans = []
        for axis, origin in ((1, CANVAS_TOP), (0, CANVAS_LEFT)):
            along = points[:, axis]
            start = max(int((float(along.min()) - origin) * per_unit) - pad, 0)
            stop = min(int((float(along.max()) - origin) * per_unit) + pad + 1, self.resolution)
            spans.append(slice(start, max(start, stop)))
        return spans[0], spans[1]

    def mask(self, shapes: Sequence[Points], where: tuple[slice, slice], blur: float = 0.0) -> npt.NDArray[np.uint8]:
        """(h, w) uint8 coverage of some shapes within a part of the drawing; ``blur`` in head units."""
        rows, columns = where
        mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        origin = np.array([columns.start, rows.start], np.int32) << SHIFT
        for shape in shapes:
            cv2.fillPoly(mask, list(fixed_points(shape, self.resolution) - origin), 255, cv2.LINE_AA, SHIFT)
        sigma = blur * self.resolution / CANVAS_UNITS
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma) if sigma > 0.3 else mask, np.uint8)

    def soft(self, shapes: Sequence[Points], colour: Colour, opacity: float = 1.0, blur: float = 0.0) -> None:
        """Fill shapes with soft edges (``blur`` in head units), partly see-through."""
        where = self.box(shapes, 3 * blur)
        mask = self.mask(shapes, where, blur)
        if mask.size:
            self.lay(where, np.asarray(colour, np.float32), mask * np.float32(opacity / 255))

    def lay(self, where: tuple[slice, slice], colour: npt.ArrayLike, weight: npt.NDArray[np.float32]) -> None:
        """Mix a colour, or an (h, w, 3) picture, into a part of the drawing with (h, w) weights in [0, 1]."""
        part = self.rgb[where]
        self.rgb[where] = part + (np.asarray(colour, np.float32) - part) * weight[..., None]
