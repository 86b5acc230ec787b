"""Where the parts of a face are, given who it is and which action units are at work.

All points are in head units (see :class:`ferbench.datasets.synthetic.identity.Identity`), of the face seen from the
front; turning the head is :mod:`ferbench.datasets.synthetic.pose`'s work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ferbench.datasets.synthetic.identity import Identity
from ferbench.datasets.synthetic.units import Activation

__all__ = ["EyeShape", "FaceShape", "MouthShape", "Points", "band", "face_shape", "smooth"]

Points = npt.NDArray[np.float64]
"""(n, 2) x and y in head units."""


def smooth(points: npt.ArrayLike, per_segment: int = 8, *, closed: bool = False) -> Points:
    """A Catmull-Rom spline through some points.

    Parameters
    ----------
    points : (n, 2)
        Points that the curve passes, at least two.
    per_segment : int
        Points drawn for each pair of neighbours.
    closed : bool
        Whether the last point joins the first.

    Returns
    -------
    (m, 2) float64
    """
    p = np.asarray(points, np.float64)
    curve: Points = _spline(len(p), per_segment, closed) @ p
    return curve


@lru_cache(maxsize=128)
def _spline(n: int, per_segment: int, closed: bool) -> npt.NDArray[np.float64]:
    """(m, n): a spline is linear in its points, so one matrix draws all splines of a kind."""
    p = np.eye(n)
    padded = np.vstack([p[-1], p, p[0], p[1]]) if closed else np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0.0, 1.0, per_segment, endpoint=False)[:, None]
    basis = np.hstack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3])
    rows = [0.5 * basis @ padded[i : i + 4] for i in range(len(padded) - 3)]
    return np.vstack(rows if closed else [*rows, p[-1:]])


def band(line: Points, dx: float, dy: float) -> Points:
    """The closed strip between a line and the same line moved by (dx, dy)."""
    return np.vstack([line, (line + np.array([dx, dy]))[::-1]])


@dataclass(frozen=True)
class EyeShape:
    """One eye: corners, lids and what looks out between them."""

    side: float
    centre: tuple[float, float]
    width: float
    upper: Points
    lower: Points
    crease: Points
    iris: tuple[float, float]
    iris_radius: float
    openness: float


@dataclass(frozen=True)
class MouthShape:
    """Lips and what is between them."""

    upper: Points
    lower: Points
    opening: Points
    line: Points
    corners: Points
    gap: float
    upper_teeth: float
    lower_teeth: float


@dataclass(frozen=True)
class FaceShape:
    """All parts of a face."""

    outline: Points
    chin: float
    eyes: tuple[EyeShape, EyeShape]
    brows: tuple[Points, Points]
    nose_tip: tuple[float, float]
    nose_wings: float
    nose_root: float
    mouth: MouthShape


def _outline(who: Identity, drop: float) -> tuple[Points, float]:
    """The head's contour, clockwise from the crown, and where the chin ends."""
    w, chin = who.width, who.chin + drop
    right = [
        (0.0, who.crown),
        (0.42 * w, who.crown + 0.05),
        (0.78 * w, who.crown + 0.24),
        (0.94 * w, who.crown + 0.50),
        (1.00 * w, -0.28),
        (1.00 * w, 0.10),
        (0.955 * w, 0.42 + 0.3 * drop),
        (who.jaw * w, 0.70 * chin + 0.2 * drop),
        (who.chin_width * w, 0.945 * chin),
        (0.18 * w, chin),
    ]
    points = [*right, *((-x, y) for x, y in right[:0:-1])]
    return smooth(points, 6, closed=True), chin


def _eye(who: Identity, au: Activation, side: float, gaze: tuple[float, float]) -> EyeShape:
    g = au.get
    cx, cy, w = side * who.eye_x, who.eye_y, who.eye_width
    squeeze = 1.0 - 0.40 * g(7, 0) - 0.26 * g(6, 0) - 0.28 * g(9, 0) - 0.12 * g(4, 0)
    upper = who.eye_open * max(0.06, (squeeze + 0.62 * g(5, 0)) * (1.0 - g(43, 0)))
    lower = who.eye_open * max(0.04, 0.52 - 0.34 * g(6, 0) - 0.30 * g(7, 0) - 0.22 * g(9, 0) + 0.08 * g(5, 0))
    lower *= 1.0 - 0.6 * g(43, 0)
    inner, outer = (cx - side * w, cy + 0.018), (cx + side * w, cy - who.eye_tilt)
    # The inner brow pulls the lid's inner part with it: the slanted lid of sadness and fear.
    slant = 0.028 * g(1, 0) * (0.4 + g(4, 0))
    top = [
        inner,
        (cx - side * 0.45 * w, cy - 0.80 * upper - slant),
        (cx + side * 0.08 * w, cy - upper - 0.3 * slant),
        (cx + side * 0.62 * w, cy - 0.72 * upper + 0.5 * slant),
        outer,
    ]
    bottom = [
        inner,
        (cx - side * 0.40 * w, cy + 0.66 * lower + 0.008),
        (cx + side * 0.20 * w, cy + lower),
        (cx + side * 0.70 * w, cy + 0.62 * lower),
        outer,
    ]
    fold = 0.036 - 0.02 * g(4, 0) - 0.012 * g(5, 0)
    crease = [(x, y - fold - 0.012 * i * (4 - i) / 4) for i, (x, y) in enumerate(top)]
    radius = 0.073
    iris = (cx + 0.05 * gaze[0], cy - 0.028 + 0.03 * gaze[1])
    return EyeShape(
        side, (cx, cy), w, smooth(top, 5), smooth(bottom, 5), smooth(crease[0:], 5), iris, radius, upper + lower
    )


def _brow(who: Identity, au: Activation, side: float) -> Points:
    """Centre line of a brow, from its inner to its outer end."""
    g = au.get
    y = who.brow_y + 0.085 * g(4, 0) + 0.055 * g(9, 0) + 0.018 * g(7, 0) + 0.012 * g(6, 0) - 0.02 * g(5, 0)
    inner = y - 0.135 * g(1, 0) + 0.030 * g(4, 0)
    middle = y - who.brow_arch - 0.075 * g(1, 0) - 0.095 * g(2, 0)
    outer = y + 0.016 - 0.125 * g(2, 0) - 0.012 * g(4, 0) + 0.020 * g(1, 0)
    squeeze = 0.050 * g(4, 0) + 0.02 * g(9, 0)
    x = who.eye_x
    return smooth(
        [
            (side * (x - 0.185 - squeeze), inner),
            (side * (x - 0.06 - 0.6 * squeeze), 0.45 * inner + 0.55 * middle - 0.004),
            (side * (x + 0.085), middle),
            (side * (x + 0.225), outer),
        ],
        6,
    )


def _mouth(who: Identity, au: Activation, drop: float, sides: tuple[float, float]) -> MouthShape:
    g = au.get
    thin = max(0.22, 1.0 - 0.62 * g(23, 0) - 0.5 * g(24, 0) - 0.18 * g(20, 0) - 0.18 * g(12, 0))
    half = who.mouth_width * (
        1.0 + 0.30 * g(12, 0) + 0.32 * g(20, 0) - 0.16 * g(23, 0) - 0.06 * g(24, 0) - 0.20 * g(26, 0) + 0.04 * g(15, 0)
    )
    y = who.mouth_y - 0.020 * g(17, 0) - 0.025 * g(10, 0) - 0.012 * g(9, 0)
    lift = -0.120 * g(12, 0) + 0.105 * g(15, 0) + 0.030 * g(20, 0) + 0.42 * drop + 0.02 * g(16, 0)
    raise_upper = 0.060 * g(10, 0) + 0.026 * g(9, 0) + 0.014 * g(25, 0) + 0.020 * g(12, 0) * g(25, 0)
    sink_lower = 0.055 * g(25, 0) + 0.050 * g(16, 0) + 0.95 * drop - 0.030 * g(17, 0)
    gap = max(0.0, 0.75 * raise_upper * min(1.0, g(25, 0) + g(16, 0) + 0.35 * g(10, 0)) + max(sink_lower, 0.0))
    seam_up, seam_low = y - min(raise_upper, gap), y + max(sink_lower, 0.0)
    if gap == 0.0:
        seam_up = seam_low = y - 0.4 * raise_upper
    upper, lower = who.upper_lip * thin, who.lower_lip * thin * (1.0 - 0.25 * g(17, 0) * 0.5)
    left, right = (-half, y + lift * sides[0]), (half, y + lift * sides[1])

    def row(middle: float, at_side: float, share: float, dip: float = 0.0) -> list[tuple[float, float]]:
        """Points from the left to the right corner: heights at 0.55 of the half width and in the middle."""
        pull_l, pull_r = (left[1] - y) * share, (right[1] - y) * share
        return [
            left,
            (-0.58 * half, at_side + pull_l),
            (-0.17 * half, middle - dip),
            (0.0, middle),
            (0.17 * half, middle - dip),
            (0.58 * half, at_side + pull_r),
            right,
        ]

    # Corners that go up bow the closed line down in its middle, and the other way round.
    bow = 0.32
    top = row(seam_up - upper, seam_up - 0.62 * upper + 0.09 * gap, bow, 0.012)
    inner_top = row(seam_up, seam_up + 0.10 * gap, bow, -0.004)
    inner_low = row(seam_low, seam_low - 0.14 * gap, bow)
    bottom = row(seam_low + lower, seam_low + 0.66 * lower - 0.10 * gap, bow)
    t, it, il, b = (smooth(points, 5) for points in (top, inner_top, inner_low, bottom))
    return MouthShape(
        upper=np.vstack([t, it[::-1]]),
        lower=np.vstack([il, b[::-1]]),
        opening=np.vstack([it, il[::-1]]),
        line=0.5 * (it + il),
        corners=np.array([left, right]),
        gap=gap,
        upper_teeth=min(1.0, 0.1 + g(12, 0) + g(10, 0) + 0.5 * g(20, 0)),
        lower_teeth=min(1.0, g(16, 0) + 0.6 * g(20, 0)),
    )


def face_shape(
    who: Identity, au: Activation, *, gaze: tuple[float, float] = (0.0, 0.0), asymmetry: float = 0.0
) -> FaceShape:
    """Place all parts of a face.

    Parameters
    ----------
    who : Identity
    au : mapping of unit to strength
    gaze : tuple of float
        Where the eyes look, right and down, each in [-1, 1].
    asymmetry : float
        Positive: the face's right half in the picture moves more; within (-0.5, 0.5).
    """
    drop = 0.165 * au.get(26, 0.0)
    outline, chin = _outline(who, 0.75 * drop)
    halves = [
        {unit: min(1.0, strength * (1.0 + side * asymmetry)) for unit, strength in au.items()} for side in (-1.0, 1.0)
    ]
    nose_y = who.nose_length - 0.045 * au.get(9, 0.0) - 0.012 * au.get(10, 0.0)
    return FaceShape(
        outline=outline,
        chin=chin,
        eyes=(_eye(who, halves[0], -1.0, gaze), _eye(who, halves[1], 1.0, gaze)),
        brows=(_brow(who, halves[0], -1.0), _brow(who, halves[1], 1.0)),
        nose_tip=(0.0, nose_y),
        nose_wings=who.nose_width * (1.0 + 0.14 * au.get(9, 0.0) + 0.08 * au.get(12, 0.0)),
        nose_root=who.eye_y - 0.04,
        mouth=_mouth(who, au, drop, (1.0 - asymmetry, 1.0 + asymmetry)),
    )
