"""The shading of a face: a height field of bumps and creases, and the light that falls on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ferbench.datasets.synthetic.geometry import FaceShape, Points, smooth
from ferbench.datasets.synthetic.identity import Identity
from ferbench.datasets.synthetic.pose import CANVAS_LEFT, CANVAS_TOP, CANVAS_UNITS
from ferbench.datasets.synthetic.units import Activation

__all__ = ["Light", "canvas_axes", "creases", "fixed_points", "shade"]

Map = npt.NDArray[np.float32]
Bump = tuple[float, float, float, float, float]
"""Centre x and y, spread in x and y, height: a Gaussian, in head units."""

SHIFT = 4  # fractional bits of OpenCV's fixed-point coordinates


@dataclass(frozen=True)
class Light:
    """How a scene is lit.

    Attributes
    ----------
    direction : tuple of float
        Towards the lamp, in camera axes (x right, y down, z towards the viewer); of length 1.
    ambient : float
        Share of the light that comes from everywhere, in [0, 1].
    gain : float
        Overall brightness; 1 is a well exposed picture.
    tint : tuple of float
        Gain of red, green and blue.
    """

    direction: tuple[float, float, float] = (-0.3, -0.45, 0.84)
    ambient: float = 0.55
    gain: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)


@lru_cache(maxsize=32)
def canvas_axes(resolution: int) -> Map:
    """(2, resolution) float32: x and y, in head units, of a drawing's columns and rows."""
    centre = (np.arange(resolution) + 0.5) * CANVAS_UNITS / resolution
    return np.stack([CANVAS_LEFT + centre, CANVAS_TOP + centre]).astype(np.float32)


def fixed_points(points: Points, resolution: int) -> npt.NDArray[np.int32]:
    """(1, n, 2) int32 fixed-point pixels of a drawing, as OpenCV's drawing functions take them."""
    pixels = (points - (CANVAS_LEFT, CANVAS_TOP)) * (resolution / CANVAS_UNITS) - 0.5
    return np.rint(pixels * (1 << SHIFT)).astype(np.int32)[None]


def _sum_of_bumps(bumps: list[Bump], resolution: int) -> Map:
    """(resolution, resolution) float32. Gaussians are separable, so their sum is one matrix product.

    It is taken at half the resolution, as nothing here is finer, and by OpenCV: NumPy's would wake the BLAS threads,
    which costs twenty times the product on a busy machine.
    """
    x, y = canvas_axes(resolution // 2)
    b = np.asarray(bumps, np.float32)
    across = np.exp(-0.5 * ((x[None] - b[:, :1]) / b[:, 2:3]) ** 2)
    down = b[:, 4:] * np.exp(-0.5 * ((y[None] - b[:, 1:2]) / b[:, 3:4]) ** 2)
    total = cv2.gemm(down, across, 1.0, np.empty(0, np.float32), 0.0, flags=cv2.GEMM_1_T)
    return np.asarray(cv2.resize(total, (resolution, resolution), interpolation=cv2.INTER_CUBIC), np.float32)


@lru_cache(maxsize=32)
def _dome(resolution: int, width: float, chin: float) -> Map:
    """The bare head: half an ellipsoid whose rim is softened, so that the edge does not turn black."""
    x, y = canvas_axes(resolution)
    inside = 1.0 - (x[None] / (1.16 * width)) ** 2 - ((y[:, None] + 0.07) / (1.16 * chin + 0.12)) ** 2
    return np.asarray(0.82 * np.sqrt(np.maximum(inside, 0.0) + 0.05), np.float32)


def _bumps(who: Identity, shape: FaceShape, au: Activation) -> list[Bump]:
    """Everything that stands out of the bare head or is sunk into it."""
    g = au.get
    tip_x, tip_y = shape.nose_tip
    wing, h = shape.nose_wings, who.nose_height
    mouth = shape.mouth
    corner_l, corner_r = mouth.corners
    mid = float(mouth.line[len(mouth.line) // 2, 1])
    bumps: list[Bump] = [
        (tip_x, tip_y - 0.27, 0.050, 0.17, 0.085 * h),
        (tip_x, tip_y - 0.06, 0.078, 0.085, 0.125 * h),
        (-0.72 * wing, tip_y, 0.042, 0.050, 0.055 * h),
        (0.72 * wing, tip_y, 0.042, 0.050, 0.055 * h),
        (0.0, -0.02, 0.05, 0.07, -0.025),
        (0.0, mid - 0.02, 0.20, 0.10, 0.045),
        (0.0, mid + 0.150 + 0.6 * mouth.gap, 0.13, 0.030, -0.024),
        (0.0, shape.chin - 0.13, 0.135, 0.085, 0.050 + 0.03 * g(17, 0)),
        (0.0, 0.5 * (tip_y + mid), 0.022, 0.06, -0.010),
    ]
    for eye, brow in zip(shape.eyes, shape.brows, strict=True):
        s, (cx, cy) = eye.side, eye.centre
        brow_y = float(brow[:, 1].mean())
        raised = 0.045 * g(6, 0) + 0.025 * g(12, 0)
        bumps += [
            (cx, cy - 0.01, 0.135, 0.075, -0.070),
            (cx, cy, 0.075, 0.050, 0.040),
            (cx - s * 0.02, brow_y - 0.015, 0.17, 0.050, 0.035 + 0.012 * g(4, 0)),
            (s * 0.46, 0.27 - 0.05 * g(6, 0) - 0.03 * g(12, 0), 0.15, 0.115, 0.035 + raised),
            (cx, cy + 0.165, 0.10, 0.028, -0.010 - 0.012 * who.age - 0.014 * g(6, 0)),
            (s * 0.62, 0.52, 0.10, 0.16, -0.020),
        ]
    for s, (x, y) in ((-1.0, corner_l), (1.0, corner_r)):
        bumps.append((float(x) + s * 0.035, float(y), 0.030, 0.035, -0.012 - 0.016 * g(12, 0) - 0.012 * g(15, 0)))
    bumps += [
        (-0.030, shape.nose_root - 0.16, 0.020, 0.07, 0.020 * g(4, 0)),
        (0.030, shape.nose_root - 0.16, 0.020, 0.07, 0.020 * g(4, 0)),
        (0.0, shape.nose_root + 0.02, 0.07, 0.016, -0.02 * g(9, 0)),
        (0.0, shape.nose_root + 0.07, 0.07, 0.016, -0.02 * g(9, 0)),
    ]
    return bumps


def creases(who: Identity, shape: FaceShape, au: Activation) -> list[tuple[Points, float]]:
    """Lines in the skin with their strength in [0, 1]: of age, and of the units at work."""
    g, old = au.get, who.age
    tip_y, wing = shape.nose_tip[1], shape.nose_wings
    brow_y = min(float(brow[:, 1].min()) for brow in shape.brows)
    lines: list[tuple[Points, float]] = []
    inner, outer = g(1, 0), g(2, 0)
    for i in range(3):
        y = brow_y - 0.09 - 0.085 * i
        if y < who.hairline + 0.06:
            break
        strength = max(0.50 * inner, 0.55 * min(inner, outer)) + 0.16 * old
        reach = 0.22 + 0.24 * outer + 0.1 * old
        lines.append(
            (smooth([(-reach, y + 0.015), (-0.1, y - 0.012), (0.08, y - 0.008), (reach, y + 0.015)]), strength)
        )
    for (corner_x, corner_y), s in zip(shape.mouth.corners, (-1.0, 1.0), strict=True):
        fold = 0.10 + 0.22 * old + 0.55 * g(12, 0) + 0.40 * g(9, 0) + 0.45 * g(10, 0) + 0.15 * g(20, 0)
        end = (float(corner_x) + s * (0.075 + 0.03 * g(12, 0)), float(corner_y) - 0.02 + 0.05 * g(15, 0))
        start = (s * (wing + 0.03), tip_y - 0.05)
        lines.append((smooth([start, (0.52 * (start[0] + end[0]) + s * 0.05, 0.5 * (start[1] + end[1])), end]), fold))
        droop = 0.45 * g(15, 0) + 0.15 * old + 0.2 * g(17, 0)
        below = (float(corner_x) + s * 0.02, float(corner_y) + 0.04)
        lines.append((smooth([below, (below[0] + s * 0.03, below[1] + 0.09)]), droop))
    for eye in shape.eyes:
        s, (cx, cy) = eye.side, eye.centre
        feet = 0.55 * g(6, 0) + 0.25 * old
        ox = cx + s * (eye.width + 0.035)
        lines += [
            (np.array([(ox, cy + 0.5 * lift), (ox + s * 0.08, cy + 1.5 * lift)]), feet) for lift in (-0.05, 0.0, 0.05)
        ]
        bag = 0.10 + 0.30 * old + 0.35 * g(6, 0) + 0.25 * g(7, 0)
        under = [(cx - s * 0.13, cy + 0.085), (cx, cy + 0.135 - 0.02 * g(6, 0)), (cx + s * 0.14, cy + 0.09)]
        lines.append((smooth(under), bag))
        frown = 0.75 * g(4, 0) + 0.3 * g(9, 0) + 0.12 * old
        top = shape.brows[0][0, 1] - 0.07
        lines.append((smooth([(s * 0.062, top), (s * 0.046, top + 0.08), (s * 0.056, top + 0.15)]), frown))
        side = 0.8 * g(9, 0)
        root = shape.nose_root
        lines.append((smooth([(s * 0.10, root - 0.005), (s * 0.055, root + 0.045), (s * 0.035, root + 0.11)]), side))
    lines.append(
        (smooth([(-0.07, shape.nose_root), (0.0, shape.nose_root + 0.012), (0.07, shape.nose_root)]), 0.7 * g(9, 0))
    )
    return lines


def _crease_map(lines: list[tuple[Points, float]], resolution: int) -> Map:
    """(resolution, resolution) float32: how much of the light the creases take, in [0, 1]."""
    mask = np.zeros((resolution, resolution), np.uint8)
    for line, strength in lines:
        if strength > 0.06:
            value = int(min(1.0, strength) * 255)
            thick = max(1, round(resolution / 110 * min(1.0, 0.4 + strength)))
            cv2.polylines(mask, list(fixed_points(line, resolution)), False, value, thick, cv2.LINE_AA, SHIFT)
    blurred = cv2.GaussianBlur(mask, (0, 0), resolution / 160)
    return np.asarray(blurred, np.float32) * (0.42 / 255)


def shade(
    who: Identity, shape: FaceShape, au: Activation, light: Light, to_lamp: npt.NDArray[np.float64], resolution: int
) -> npt.NDArray[np.float32]:
    """Light on every point of the drawing.

    Parameters
    ----------
    who, shape, au
        The face and what it does.
    light : Light
    to_lamp : (3,)
        Direction of the lamp in the head's axes.
    resolution : int
        Side of the drawing in pixels.

    Returns
    -------
    (resolution, resolution, 3) float32
        Factor for the painted colours, about 0.3 to 1.4.
    """
    height = _dome(resolution, round(who.width, 2), round(who.chin, 2)) + _sum_of_bumps(
        _bumps(who, shape, au), resolution
    )
    scale = resolution / CANVAS_UNITS / 8.0  # Sobel's kernel of size 3 weighs 8
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=scale)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=scale)
    length = cv2.sqrt(slope_x * slope_x + slope_y * slope_y + 1.0)
    lx, ly, lz = (float(v) for v in to_lamp)
    facing = (lz - lx * slope_x - ly * slope_y) / length
    lit = light.ambient + (1.18 - light.ambient) * np.maximum(facing, 0.0)
    # A lamp a little off the viewer's axis leaves a sheen where the skin faces half-way between the two.
    hx, hy, hz = np.array([lx, ly, lz + 1.0]) / np.linalg.norm([lx, ly, lz + 1.0])
    sheen = np.maximum((hz - hx * slope_x - hy * slope_y) / length, 0.0) ** 24
    lit += 0.16 * (1.0 - light.ambient) * sheen
    # Hollows see less of the sky: under the brows, below nose and lower lip, along the jaw.
    tip_y, chin = shape.nose_tip[1], shape.chin
    mid = float(shape.mouth.line[len(shape.mouth.line) // 2, 1])
    hollow: list[Bump] = [
        (0.0, tip_y + 0.085, 0.105, 0.035, 0.22),
        (0.0, mid + 0.15 + 0.7 * shape.mouth.gap, 0.12, 0.030, 0.14),
        (0.0, chin + 0.03, 0.42, 0.06, 0.14),
    ]
    for eye in shape.eyes:
        s, (cx, cy) = eye.side, eye.centre
        hollow += [
            (cx, cy - 0.035, 0.15, 0.065, 0.20),
            (s * 0.125, cy + 0.0, 0.045, 0.07, 0.14),
            (s * 0.74, 0.35, 0.10, 0.4, 0.10),
        ]
    lit *= 1.0 - _sum_of_bumps(hollow, resolution) - _crease_map(creases(who, shape, au), resolution)
    red = 0.11 * who.ruddiness
    blush = _sum_of_bumps(
        [
            (-0.44, 0.28, 0.15, 0.12, red),
            (0.44, 0.28, 0.15, 0.12, red),
            (0.0, shape.nose_tip[1] - 0.04, 0.09, 0.08, red),
        ],
        resolution,
    )
    r, g, b = (light.gain * t for t in light.tint)
    return np.asarray(cv2.merge([lit * (r + 0.5 * blush), lit * (g - blush), lit * (b - blush)]), np.float32)
