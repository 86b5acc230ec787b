"""Painting the features of a face: skin, eyes, brows, nose, mouth."""

from __future__ import annotations

import numpy as np

from ferbench.datasets.synthetic.drawing import Drawing, ellipse
from ferbench.datasets.synthetic.geometry import EyeShape, FaceShape, Points, band, smooth
from ferbench.datasets.synthetic.identity import Colour, Identity

__all__ = [
    "ear_outline",
    "mixed",
    "neck_outline",
    "paint_eye",
    "paint_features",
    "paint_glints",
    "paint_neck",
    "paint_skin",
]


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """``(1 - share) * a + share * b``."""
    r, g, b_ = ((1 - share) * p + share * q for p, q in zip(a, b, strict=True))
    return r, g, b_


_DARK: Colour = (26.0, 16.0, 14.0)


def ear_outline(who: Identity, side: float) -> Points:
    """The contour of the ear of a side, -1 or 1; wider at the top."""
    ear = ellipse(side * who.width * 1.02, 0.08, 0.095 * who.ears, 0.19 * who.ears)
    ear[:, 0] += side * 0.10 * np.maximum(0.08 - ear[:, 1], 0)
    return ear


def neck_outline(who: Identity) -> Points:
    """The neck's contour, down to below the collar."""
    w = who.width
    right = [(0.58 * w, 0.45), (0.57 * w, 1.05), (0.60 * w, 1.30), (0.72 * w, 1.55)]
    return np.vstack([smooth(right, 5), smooth([(-x, y) for x, y in right[::-1]], 5)])


def paint_neck(drawing: Drawing, who: Identity, shape: FaceShape) -> None:
    """The neck, with the shadow that the head throws on it."""
    w = who.width
    neck = neck_outline(who)
    drawing.cover(neck, mixed(who.skin, (110, 56, 44), 0.16))
    shadow = mixed(who.skin, (52, 22, 18), 0.58)
    drawing.soft([ellipse(0.0, shape.chin - 0.03, 0.60 * w, 0.20)], shadow, 0.75, 0.045)
    for side in (-1.0, 1.0):
        cord = smooth([(side * 0.46 * w, 1.02), (side * 0.30 * w, 1.25), (side * 0.16 * w, 1.42)])
        drawing.soft([band(cord, side * 0.05, 0.0)], shadow, 0.16, 0.03)


def paint_skin(drawing: Drawing, who: Identity, shape: FaceShape) -> None:
    """Ears and the bare head."""
    shadow = mixed(who.skin, (90, 40, 30), 0.22)
    for side in (-1.0, 1.0):
        x = side * who.width * 1.02
        size = who.ears
        drawing.cover(ear_outline(who, side), mixed(who.skin, (150, 60, 50), 0.12))
        drawing.soft([ellipse(x, 0.08, 0.045 * size, 0.11 * size)], shadow, 0.8, 0.015)
    drawing.cover(shape.outline, who.skin)
    if who.freckles:
        rng = np.random.default_rng(who.texture_seed)
        spots = [
            ellipse(float(x), float(y), 0.008, 0.008, 6) for x, y in rng.normal((0.0, 0.2), (0.32, 0.10), size=(40, 2))
        ]
        drawing.soft(spots, mixed(who.skin, (120, 60, 30), 0.6), 0.7 * who.freckles)


def paint_features(drawing: Drawing, who: Identity, shape: FaceShape) -> None:
    """Everything between brows and chin."""
    for eye in shape.eyes:
        paint_eye(drawing, who, eye)
    for brow in shape.brows:
        _paint_brow(drawing, who, brow)
    _paint_nose(drawing, who, shape)
    _paint_mouth(drawing, who, shape)


def paint_eye(drawing: Drawing, who: Identity, eye: EyeShape) -> None:
    """Eyeball between the lids, lashes, and the fold above."""
    lid = mixed(who.skin, (96, 48, 44), 0.22)
    drawing.soft([np.vstack([eye.upper, eye.crease[::-1]])], lid, 0.75, 0.012)
    almond = np.vstack([eye.upper, eye.lower[::-1]])
    where = drawing.box([almond], 0.03)
    opening = drawing.mask([almond], where).astype(np.float32) * np.float32(1 / 255)
    ball = drawing.copy()  # the eyeball is painted whole on a copy, then seen through the lids
    white = mixed((236, 230, 226), who.skin, 0.12)
    ball.fill(almond, white)
    ix, iy = eye.iris
    ball.fill(ellipse(ix, iy, eye.iris_radius, eye.iris_radius), mixed(who.iris, _DARK, 0.55))
    ball.fill(ellipse(ix, iy, 0.86 * eye.iris_radius, 0.86 * eye.iris_radius), who.iris)
    ball.fill(ellipse(ix, iy, 0.46 * eye.iris_radius, 0.46 * eye.iris_radius), (14, 10, 10))
    # The upper lid throws a shadow on the eyeball.
    under_lid = band(eye.upper, 0.0, 0.036)
    ball.soft([under_lid], mixed(_DARK, who.skin, 0.25), 0.55, 0.010)
    drawing.lay(where, ball.rgb[where], opening)
    lash = mixed(_DARK, who.brow, 0.4)
    thickness = 0.016 + 0.014 * who.lashes
    lashes = band(eye.upper + np.array([0.0, 0.004]), 0.0, -thickness)
    drawing.soft([lashes], lash, 0.95, 0.004)
    drawing.soft([band(eye.lower, 0.0, 0.012)], mixed(lash, who.skin, 0.35), 0.6, 0.006)
    corner = (eye.centre[0] - eye.side * 0.93 * eye.width, eye.centre[1] + 0.018)
    drawing.soft([ellipse(*corner, 0.020, 0.013, 10)], (188, 112, 104), 0.7, 0.004)


def _paint_brow(drawing: Drawing, who: Identity, brow: Points) -> None:
    n = len(brow)
    t = np.linspace(0.0, 1.0, n)
    half = 0.5 * who.brow_thickness * np.interp(t, [0.0, 0.12, 0.5, 1.0], [0.62, 1.0, 0.92, 0.22])
    up, down = brow.copy(), brow.copy()
    up[:, 1] -= half
    down[:, 1] += half
    drawing.soft([np.vstack([up, down[::-1]])], who.brow, 0.86, 0.011)
    inner = np.vstack([up[2:], brow[:1:-1] + np.array([0.0, 0.4 * half.mean()])])
    drawing.soft([inner], mixed(who.brow, _DARK, 0.3), 0.5, 0.008)


def _paint_nose(drawing: Drawing, who: Identity, shape: FaceShape) -> None:
    x, y = shape.nose_tip
    wing = shape.nose_wings
    shadow = mixed(who.skin, (70, 26, 20), 0.52)
    for s in (-1.0, 1.0):
        drawing.soft(
            [ellipse(x + s * 0.48 * wing, y + 0.062, 0.040, 0.019, 12)], mixed(shadow, _DARK, 0.55), 0.9, 0.007
        )
        side = smooth([(s * wing * 0.96, y - 0.055), (s * wing * 1.10, y + 0.01), (s * wing * 0.80, y + 0.058)])
        drawing.soft([band(side, -s * 0.014, 0.006)], shadow, 0.75, 0.008)
    base = smooth([(-0.34 * wing, y + 0.072), (0.0, y + 0.088), (0.34 * wing, y + 0.072)])
    drawing.soft([band(base, 0.0, 0.016)], shadow, 0.7, 0.010)


def _paint_mouth(drawing: Drawing, who: Identity, shape: FaceShape) -> None:
    mouth = shape.mouth
    upper, lower = mixed(who.lips, _DARK, 0.16), who.lips
    drawing.soft([mouth.lower], lower, 0.92, 0.008)
    drawing.soft([mouth.upper], upper, 0.92, 0.007)
    half = len(mouth.line)
    if mouth.gap > 0.012:
        drawing.soft([mouth.opening], (58, 16, 18), 1.0, 0.003)
        _paint_inside(drawing, mouth.opening, mouth.gap, mouth.upper_teeth, mouth.lower_teeth)
    seam = mouth.line if mouth.gap <= 0.012 else mouth.opening[:half]
    drawing.line(seam, mixed(who.lips, _DARK, 0.72), 0.014)
    middle = half // 2
    glow = mouth.lower[half + middle - 6 : half + middle + 6]
    if len(glow) > 3:
        centre = mouth.lower.mean(0)
        drawing.soft(
            [ellipse(float(centre[0]), float(centre[1]), 0.075, 0.014, 12)],
            mixed(who.lips, (255, 235, 230), 0.5),
            0.35,
            0.012,
        )
    for corner in mouth.corners:
        drawing.soft(
            [ellipse(float(corner[0]), float(corner[1]), 0.016, 0.013, 8)], mixed(who.skin, _DARK, 0.6), 0.7, 0.006
        )


def _paint_inside(drawing: Drawing, opening: Points, gap: float, upper: float, lower: float) -> None:
    """Teeth and tongue, seen through the opening."""
    where = drawing.box([opening], 0.01)
    hole = drawing.mask([opening], where)
    half = len(opening) // 2
    top, bottom = opening[:half], opening[half:][::-1]
    layers: list[tuple[Points, Colour, float]] = []
    if gap > 0.06:
        x, y = bottom.mean(0)
        layers.append((ellipse(float(x), float(y) + 0.035, 0.14, 0.055, 14), (172, 76, 76), 0.85))
    reach = min(0.075, 0.85 * gap)
    if upper > 0.25:
        teeth = band(top[2:-2], 0.0, reach * min(1.0, upper))
        layers.append((teeth, (232, 226, 214), 0.95))
    if lower > 0.25:
        teeth = band(bottom[2:-2], 0.0, -0.8 * reach * lower)
        layers.append((teeth, (214, 206, 194), 0.9))
    for points, colour, opacity in layers:
        seen = np.minimum(drawing.mask([points], where, 0.003), hole)
        drawing.lay(where, colour, seen.astype(np.float32) * np.float32(opacity / 255))


def paint_glints(drawing: Drawing, shape: FaceShape, lamp_x: float) -> None:
    """Reflections of the lamp in the eyes: painted after the shading, as they are not dimmed by it."""
    for eye in shape.eyes:
        if eye.openness > 0.09:
            x, y = eye.iris[0] + 0.022 * (1 if lamp_x > 0 else -1), eye.iris[1] - 0.018
            drawing.soft([ellipse(x, y, 0.014, 0.014, 10)], (250, 250, 250), 0.85, 0.003)
