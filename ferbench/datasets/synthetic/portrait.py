"""One head put into a picture: drawn from the front, lit, bent into its pose, laid over the background."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from ferbench.datasets.synthetic.drawing import Drawing, grain
from ferbench.datasets.synthetic.geometry import FaceShape, Points, face_shape, smooth
from ferbench.datasets.synthetic.hair import paint_back_hair, paint_beard, paint_front_hair, paint_glasses
from ferbench.datasets.synthetic.identity import Identity
from ferbench.datasets.synthetic.paint import neck_outline, paint_features, paint_glints, paint_neck, paint_skin
from ferbench.datasets.synthetic.pose import CANVAS_UNITS, Pose
from ferbench.datasets.synthetic.relief import SHIFT, Light, shade
from ferbench.datasets.synthetic.units import Activation
from ferbench.faces import Image

__all__ = ["Portrait", "draw_portrait", "face_box", "face_points"]

_FOREHEAD = -0.60
"""Where a face box begins: half-way up the forehead, as face detectors are trained to cut."""


@dataclass(frozen=True)
class Portrait:
    """A face and everything about this picture of it.

    Attributes
    ----------
    who : Identity
    units : mapping of unit to strength
    pose : Pose
    light : Light
    gaze : tuple of float
        Where the eyes look, right and down, each in [-1, 1].
    asymmetry : float
        How unevenly the two halves move, within (-0.5, 0.5).
    """

    who: Identity
    units: Activation
    pose: Pose
    light: Light = field(default_factory=Light)
    gaze: tuple[float, float] = (0.0, 0.0)
    asymmetry: float = 0.0

    @property
    def shape(self) -> FaceShape:
        """The face's parts, seen from the front."""
        return face_shape(self.who, self.units, gaze=self.gaze, asymmetry=self.asymmetry)


def face_points(portrait: Portrait, shape: FaceShape) -> Points:
    """(n, 2) pixels of the contour of the face from the forehead to the chin, ears and hair left out."""
    contour = shape.outline[shape.outline[:, 1] >= _FOREHEAD]
    return portrait.pose.project(contour)


def face_box(portrait: Portrait, shape: FaceShape) -> npt.NDArray[np.float32]:
    """(4,) float32 xyxy pixels: the true box, from the middle of the forehead to the chin."""
    points = face_points(portrait, shape)
    return np.concatenate([points.min(0), points.max(0)]).astype(np.float32)


def draw_portrait(image: Image, portrait: Portrait) -> npt.NDArray[np.float32]:
    """Draw a head, its neck and shoulders over an image.

    Parameters
    ----------
    image : (H, W, 3) uint8 RGB
        Changed in place.
    portrait : Portrait

    Returns
    -------
    (4,) float32
        True box, xyxy in pixels; not cut at the image's border.
    """
    shape = portrait.shape
    _draw_neck(image, portrait)
    _lay_over(image, _paint(portrait, shape), portrait.pose)
    _draw_shoulders(image, portrait)
    return face_box(portrait, shape)


def _resolution(scale: float) -> int:
    """Side of the drawing: about a quarter finer than the picture, in steps, so that the caches are of use."""
    return int(np.clip(32 * np.ceil(CANVAS_UNITS * scale * 1.15 / 32), 128, 352))


def _paint(portrait: Portrait, shape: FaceShape) -> npt.NDArray[np.uint8]:
    """(S, S, 4) uint8: the head from the front, colours multiplied by coverage."""
    who, size = portrait.who, _resolution(portrait.pose.scale)
    drawing = Drawing(size, who.hair)
    back = paint_back_hair(drawing, who)
    paint_neck(drawing, who, shape)
    paint_skin(drawing, who, shape)
    paint_beard(drawing, who, shape)
    paint_features(drawing, who, shape)
    strands = paint_front_hair(drawing, who, shape, back)
    to_lamp = portrait.pose.to_head(portrait.light.direction)
    factor = shade(who, shape, portrait.units, portrait.light, to_lamp, size)
    offset = (who.texture_seed // 768) % (768 - size)
    texture = 1.0 + 0.016 * grain("skin")[offset : offset + size, offset : offset + size]
    if strands is not None:
        texture = texture * strands
    factor *= texture[..., None]
    drawing.rgb = np.asarray(cv2.multiply(drawing.rgb, factor, dtype=cv2.CV_8U), np.uint8)
    paint_glints(drawing, shape, portrait.light.direction[0])
    paint_glasses(drawing, who, shape)
    covered = cv2.multiply(drawing.rgb, cv2.merge([drawing.alpha] * 3), scale=1 / 255)
    return np.asarray(cv2.merge([covered, drawing.alpha]), np.uint8)


def _lay_over(image: Image, painted: npt.NDArray[np.uint8], pose: Pose) -> None:
    """Bend the drawing into its pose and lay it over the image."""
    height, width = image.shape[:2]
    left, top, w, h = pose.region()
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + w, width), min(top + h, height)
    if x0 >= x1 or y0 >= y1:
        return
    map_x, map_y = (m[y0 - top : y1 - top, x0 - left : x1 - left] for m in pose.canvas_maps(painted.shape[0]))
    bent = cv2.remap(painted, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    colours, alpha = np.ascontiguousarray(bent[..., :3]), 255 - bent[..., 3]
    behind = cv2.multiply(image[y0:y1, x0:x1], cv2.merge([alpha] * 3), scale=1 / 255)
    image[y0:y1, x0:x1] = cv2.add(behind, colours)


def _draw_neck(image: Image, portrait: Portrait) -> None:
    """The lowest part of the neck, which the head's drawing does not reach."""
    who, light = portrait.who, portrait.light
    neck = np.rint(portrait.pose.project(neck_outline(who)) * (1 << SHIFT)).astype(np.int32)
    r, g, b = (0.66 * light.gain * c * t for c, t in zip(who.skin, light.tint, strict=True))
    cv2.fillPoly(image, [neck], (r, g, b), cv2.LINE_AA, SHIFT)


def _draw_shoulders(image: Image, portrait: Portrait) -> None:
    """Shoulders, which follow the head's place but not its turn."""
    pose, light, who = portrait.pose, portrait.light, portrait.who
    height, width = image.shape[:2]
    # The collar sits where the turned head's neck ends.
    base = pose.project(np.array([[0.0, 1.33]]))[0] - (0.0, 1.30 * pose.scale)
    left, right = max(int(base[0] - 1.9 * pose.scale), 0), min(int(base[0] + 1.9 * pose.scale), width)
    top = max(int(base[1] + 1.1 * pose.scale), 0)
    if left >= right or top >= height:
        return
    contour = (_SHOULDERS * pose.scale + base - (left, top)) * (1 << SHIFT)
    mask = np.zeros((height - top, right - left), np.uint8)
    cv2.fillPoly(mask, [np.rint(contour).astype(np.int32)], 255, cv2.LINE_AA, SHIFT)
    # Cloth over a rounded body: brightest where it faces the lamp, folds as a slow wave.
    x = (np.arange(left, right) - base[0]) / pose.scale
    y = (np.arange(top, height) - base[1]) / pose.scale
    round_off = np.maximum(1.0 - 0.16 * (x - 1.2 * light.direction[0]) ** 2, 0.5)
    fold = 0.035 * np.sin(5.0 * x[None] + 2.6 * y[:, None] + who.texture_seed % 7) + 0.03 * np.sin(9.0 * x)[None]
    level = (0.86 * light.gain * round_off[None] * (1.0 + fold)).clip(0.2, 1.3).astype(np.float32)
    tinted = np.array(who.clothes, np.float32) * np.array(light.tint, np.float32)
    cloth = cv2.merge([level * c for c in tinted]).clip(0, 255)
    weight = cv2.merge([mask.astype(np.float32) / 255] * 3)
    part = image[top:, left:right]
    image[top:, left:right] = part + (cloth - part) * weight


_HALF_SHOULDER = [(0.0, 1.37), (0.48, 1.23), (0.95, 1.43), (1.45, 1.72), (1.72, 2.1), (1.86, 3.4)]
_SHOULDERS = smooth(
    [(s * x, y) for s, half in ((-1, _HALF_SHOULDER[::-1]), (1, _HALF_SHOULDER[1:])) for x, y in half],
    6,
)
