"""Hair, beards and glasses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ferbench.datasets.synthetic.drawing import Drawing, ellipse, grain
from ferbench.datasets.synthetic.geometry import FaceShape, Points, band, smooth
from ferbench.datasets.synthetic.identity import Identity
from ferbench.datasets.synthetic.paint import ear_outline, mixed, neck_outline

__all__ = ["paint_back_hair", "paint_beard", "paint_front_hair", "paint_glasses"]


def paint_back_hair(drawing: Drawing, who: Identity) -> list[Points]:
    """Hair that falls behind the face. Returns the shapes, for the strands."""
    w, top = who.width, who.crown
    tips = {"bob": 0.85, "long": 1.28, "curly": 0.55}
    if who.hair_style == "bun":
        bun = ellipse(0.0, top - 0.10, 0.26, 0.20, 24)
        drawing.cover(bun, who.hair)
        return [bun]
    if who.hair_style not in tips:
        return []
    end, wide = tips[who.hair_style], 1.16 if who.hair_style == "curly" else 1.10
    side = [
        (0.0, top - 0.09),
        (0.42 * w, top - 0.04),
        (0.82 * w, top + 0.16),
        (wide * w, -0.55),
        ((wide + 0.08) * w, 0.1),
        ((wide + 0.04) * w, 0.7 * end),
        (0.92 * w, end),
        (0.55 * w, end + 0.02),
    ]
    shape = smooth([*side, *((-x, y) for x, y in side[:0:-1])], 6, closed=True)
    if who.hair_style == "curly":
        shape = _bumpy(shape, 26, 0.045)
    drawing.cover(shape, mixed(who.hair, (10, 8, 8), 0.35))
    return [shape]


def _bumpy(points: Points, n: int, height: float) -> Points:
    """The same closed curve with n bulges."""
    centre = points.mean(0)
    out = points - centre
    swell = 1.0 + height * np.abs(np.sin(np.linspace(0, n * np.pi, len(points), endpoint=False)))
    return np.asarray(centre + out * swell[:, None], np.float64)


def _hairline(who: Identity) -> list[tuple[float, float]]:
    """From the picture's right temple over the forehead to the left one."""
    w, y = who.width, who.hairline
    p = who.parting
    if who.hair_style == "fringe":
        return [(0.80 * w, -0.30), (0.45 * w, -0.45), (0.0, -0.43), (-0.45 * w, -0.45), (-0.80 * w, -0.30)]
    if who.hair_style in ("parted", "bob", "long"):
        return [
            (0.90 * w, -0.22),
            (0.66 * w, y + 0.20 - 0.10 * p),
            (p * w, y - 0.06),
            (-0.66 * w, y + 0.20 + 0.10 * p),
            (-0.90 * w, -0.22),
        ]
    if who.hair_style == "buzz":
        return [(0.86 * w, -0.38), (0.62 * w, y + 0.04), (0.0, y + 0.02), (-0.62 * w, y + 0.04), (-0.86 * w, -0.38)]
    return [(0.87 * w, -0.36), (0.60 * w, y + 0.05), (0.05, y), (-0.60 * w, y + 0.05), (-0.87 * w, -0.36)]


def paint_front_hair(
    drawing: Drawing, who: Identity, shape: FaceShape, back: list[Points]
) -> npt.NDArray[np.float32] | None:
    """Hair over the forehead and at the temples.

    Returns
    -------
    (resolution, resolution) float32 or None
        Factor for the light that makes strands; None without hair.
    """
    if who.hair_style == "bald":
        return None
    w, top = who.width, who.crown
    rise = {"buzz": 0.015, "short": 0.07, "curly": 0.13, "bun": 0.04}.get(who.hair_style, 0.08)
    burn = {"buzz": 0.02, "short": 0.08, "parted": 0.04, "bun": -0.05}.get(who.hair_style, 0.10)
    wide = 1.02 if who.hair_style in ("buzz", "bun") else 1.06
    over = [
        (-0.985 * w, burn),
        (-wide * w, -0.35),
        (-0.93 * wide * w, top + 0.43),
        (-0.74 * wide * w, top + 0.19 - 0.6 * rise),
        (-0.40 * w, top + 0.04 - rise),
        (0.0, top - 0.01 - rise),
        (0.40 * w, top + 0.04 - rise),
        (0.74 * wide * w, top + 0.19 - 0.6 * rise),
        (0.93 * wide * w, top + 0.43),
        (wide * w, -0.35),
        (0.985 * w, burn),
    ]
    line = _hairline(who)
    outer = smooth(over, 6)
    if who.hair_style == "curly":
        outer = np.vstack([outer[:8], _bumpy(outer[8:-8], 12, 0.05), outer[-8:]])
    cap = np.vstack([outer, smooth([(0.93 * w, burn), *line, (-0.93 * w, burn)], 6)])
    everything = (slice(0, drawing.resolution), slice(0, drawing.resolution))
    opacity = 0.75 if who.hair_style == "buzz" else 1.0
    front = drawing.mask([cap], everything, 0.012 if who.hair_style == "buzz" else 0.005)
    np.maximum(drawing.alpha, drawing.mask([cap], everything), out=drawing.alpha)
    drawing.lay(everything, who.hair, front.astype(np.float32) * np.float32(opacity / 255))
    # A shadow of the hair on the forehead.
    under = smooth(line, 6)
    if who.hair_style != "buzz":
        drawing.soft([band(under, 0.0, 0.035)], mixed(who.skin, (40, 20, 16), 0.6), 0.40, 0.02)
    kind = "curls" if who.hair_style == "curly" else "strands"
    size = drawing.resolution
    offset = who.texture_seed % (768 - size)
    strands = grain(kind)[offset : offset + size, offset : offset + size]
    covered = front
    if back:
        ears = [ear_outline(who, side) for side in (-1.0, 1.0)]
        head = drawing.mask([shape.outline, neck_outline(who), *ears], everything)
        covered = np.maximum(front, np.minimum(drawing.mask(back, everything), 255 - head))
    return np.asarray(1.0 + (0.16 * opacity / 255) * strands * covered, np.float32)


def paint_beard(drawing: Drawing, who: Identity, shape: FaceShape) -> None:
    """Beard and moustache, from stubble to full; painted before the lips."""
    if not who.beard:
        return
    w, chin = who.width, shape.chin
    mouth = shape.mouth
    tip = shape.nose_tip[1]
    lip = float(mouth.upper[:, 1].min())
    corner_y = float(mouth.corners[:, 1].mean())
    edge = [
        (-0.97 * w, 0.22),
        (-0.80 * w, 0.48),
        (-0.50 * w, corner_y - 0.06),
        (-0.24 * w, corner_y + 0.13),
        (0.0, float(mouth.lower[:, 1].max()) + 0.035),
        (0.24 * w, corner_y + 0.13),
        (0.50 * w, corner_y - 0.06),
        (0.80 * w, 0.48),
        (0.97 * w, 0.22),
    ]
    jaw = shape.outline[(shape.outline[:, 1] > 0.22)]
    lower = jaw[np.argsort(-np.arctan2(jaw[:, 0], jaw[:, 1] - 0.2))]
    colour = mixed(who.hair, who.skin, 0.10)
    drawing.soft([np.vstack([smooth(edge, 5), lower])], colour, 0.30 + 0.55 * who.beard, 0.030)
    drawing.soft([ellipse(0.0, chin - 0.10, 0.20, 0.11)], colour, 0.5 * who.beard, 0.03)
    if who.moustache:
        half = 0.9 * who.mouth_width
        top = smooth(
            [
                (-half, corner_y + 0.02),
                (-0.5 * half, lip - 0.055),
                (0.0, tip + 0.11),
                (0.5 * half, lip - 0.055),
                (half, corner_y + 0.02),
            ]
        )
        low = smooth(
            [
                (half, corner_y + 0.05),
                (0.5 * half, lip + 0.005),
                (0.0, lip + 0.015),
                (-0.5 * half, lip + 0.005),
                (-half, corner_y + 0.05),
            ]
        )
        drawing.soft([np.vstack([top, low])], colour, 0.35 + 0.5 * who.moustache, 0.015)


def paint_glasses(drawing: Drawing, who: Identity, shape: FaceShape) -> None:
    """Frames and a faint reflection; painted after the shading."""
    if who.glasses == "none":
        return
    frame = mixed(who.brow, (30, 26, 30), 0.5)
    for eye in shape.eyes:
        x, y = eye.centre[0], who.eye_y + 0.03
        t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        power = 0.55 if who.glasses == "square" else 0.95
        lens = np.stack(
            [
                x + 0.235 * np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power,
                y + 0.185 * np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power,
            ],
            axis=1,
        )
        glare = np.array([(x - 0.14, y - 0.13), (x - 0.02, y - 0.15), (x - 0.12, y + 0.12), (x - 0.19, y + 0.06)])
        drawing.soft([glare], (255, 255, 255), 0.10, 0.01)
        drawing.line(lens, frame, 0.022, closed=True)
        temple = np.array([(x + eye.side * 0.235, y - 0.05), (eye.side * who.width, y - 0.06)])
        drawing.line(temple, frame, 0.022)
    drawing.line(smooth([(-0.10, who.eye_y + 0.0), (0.0, who.eye_y - 0.03), (0.10, who.eye_y + 0.0)]), frame, 0.022)
