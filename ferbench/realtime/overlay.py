"""Results drawn over the frame: boxes, labels with probabilities, a bar for each expression, frames a second.

Colours belong to label *names*: a model with another order of labels draws the same colour for the same expression.
They are Okabe and Ito's set, which stays apart under the common forms of colour blindness; and no colour stands
without its word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ferbench.faces import Image, check_image
from ferbench.realtime.results import FaceResult, FrameResult
from ferbench.realtime.text import Colour, blend_text, fill, text_size

__all__ = ["LABEL_COLOURS", "draw_overlay", "label_colour"]

# M. Okabe, K. Ito, "Color Universal Design", 2008; neutral is a gray, as befits it.
LABEL_COLOURS: dict[str, Colour] = {
    "angry": (213, 94, 0),
    "contempt": (230, 159, 0),
    "disgust": (0, 158, 115),
    "fear": (204, 121, 167),
    "happy": (240, 228, 66),
    "neutral": (190, 190, 190),
    "sad": (0, 114, 178),
    "surprise": (86, 180, 233),
}
"""RGB colour of each expression."""

_OTHER: Colour = (255, 255, 255)
_DARK: Colour = (20, 20, 24)
_LIGHT: Colour = (255, 255, 255)
_TRACK: Colour = (86, 86, 92)


def label_colour(label: str) -> Colour:
    """The RGB colour of an expression; white for names that have none."""
    return LABEL_COLOURS.get(label, _OTHER)


@dataclass(frozen=True)
class _Style:
    """Sizes in pixels that suit a frame: text stays legible at 320 pixels of width and modest at 1920."""

    text: int
    small: int
    line: int
    pad: int

    @classmethod
    def of(cls, image: Image) -> _Style:
        scale = min(image.shape[1], image.shape[0] * 16 / 9)
        text = int(np.clip(round(12 + (scale - 320) / 90), 12, 48))
        return cls(text, max(11, round(text * 0.78)), max(1, round(text / 8)), max(2, round(text / 4)))


@dataclass(frozen=True)
class _Rect:
    """A rectangle in whole pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    def is_inside(self, image: Image) -> bool:
        return self.left >= 0 and self.top >= 0 and self.right <= image.shape[1] and self.bottom <= image.shape[0]

    def meets(self, other: _Rect) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def draw_overlay(result: FrameResult, *, fps: float | None = None, bars: bool = True) -> Image:
    """Draw a frame's results.

    Parameters
    ----------
    result : FrameResult
        The frame and its faces.
    fps : float, optional
        Frames a second, shown in the corner with the milliseconds of this frame.
    bars : bool
        Draw every expression's probability beside a face, where there is room.

    Returns
    -------
    (H, W, 3) uint8 RGB
        A copy; the frame of ``result`` is not touched.
    """
    image = check_image(result.image)
    canvas = np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image.copy()
    style = _Style.of(canvas)
    boxes = [_rect_of(face.box) for face in result.faces]
    tags: list[_Rect] = []
    for face, box in zip(result.faces, boxes, strict=True):
        tags.append(_tag_place(canvas, style, face, box, tags))
    taken = boxes + tags
    if bars:
        for i, (face, box) in enumerate(zip(result.faces, boxes, strict=True)):
            others = taken[:i] + taken[i + 1 :]
            place = _bars_place(canvas, style, face, box, others)
            if place is not None:
                _draw_bars(canvas, style, face, place)
                taken.append(place)
    for face, box in zip(result.faces, boxes, strict=True):
        _draw_box(canvas, style, box, label_colour(face.label))
    for face, tag in zip(result.faces, tags, strict=True):
        _draw_tag(canvas, style, face, tag)
    _draw_status(canvas, style, result, fps, tags)
    return canvas


def _rect_of(box: Sequence[float]) -> _Rect:
    # A tracker may carry a box far outside; the drawing routines take 16-bit positions at most.
    left, top, right, bottom = (round(float(np.clip(v, -30_000, 30_000))) for v in box)
    return _Rect(left, top, max(right - left, 1), max(bottom - top, 1))


def _draw_box(canvas: npt.NDArray[np.uint8], style: _Style, box: _Rect, colour: Colour) -> None:
    """A coloured frame with a dark edge on both sides, visible on any ground."""
    import cv2

    corners = (box.left, box.top), (box.right, box.bottom)
    cv2.rectangle(canvas, *corners, _DARK, style.line + 2, cv2.LINE_AA)
    cv2.rectangle(canvas, *corners, colour, style.line, cv2.LINE_AA)


def _tag_text(face: FaceResult) -> str:
    # Rounded down below 100 %, so that certainty is shown only where there is certainty.
    return f"{face.label} {int(face.probability * 100 + 1e-6)} %"


def _tag_place(canvas: Image, style: _Style, face: FaceResult, box: _Rect, others: Sequence[_Rect]) -> _Rect:
    """Above the box, else below it, else inside it, where it is in the picture and covers no other face's label."""
    track_width = text_size(f"{face.track}", style.small)[0] + 2 * style.pad
    width, height = text_size(_tag_text(face), style.text)
    width, height = width + 2 * style.pad + track_width, height + style.pad
    edge = style.line // 2 + 1
    left, last = max(min(box.left - edge, canvas.shape[1] - width), 0), max(canvas.shape[0] - height, 0)
    inside = max(box.top + edge, 0)
    tops = [box.top - height - edge + 1, box.bottom + edge, inside, box.bottom - height - edge]
    places = [_Rect(left, top, width, height) for top in tops if 0 <= top <= last]
    places.append(_Rect(left, min(inside, last), width, height))
    return next((place for place in places if not any(place.meets(other) for other in others)), places[0])


def _draw_tag(canvas: npt.NDArray[np.uint8], style: _Style, face: FaceResult, tag: _Rect) -> None:
    colour = label_colour(face.label)
    number = f"{face.track}"
    number_width, number_height = text_size(number, style.small)
    split = number_width + 2 * style.pad
    fill(canvas, tag.left, tag.top, tag.width, tag.height, _DARK, 0.6)
    fill(canvas, tag.left, tag.top, split, tag.height, _TRACK)
    fill(canvas, tag.left + split, tag.top, tag.width - split, tag.height, colour)
    middle = tag.top + (tag.height - number_height) // 2
    blend_text(canvas, number, tag.left + style.pad, middle, style.small, _LIGHT)
    ink = _DARK if _luminance(colour) > 0.18 else _LIGHT
    blend_text(canvas, _tag_text(face), tag.left + split + style.pad, tag.top + style.pad // 2, style.text, ink)


def _luminance(colour: Colour) -> float:
    """Relative luminance, WCAG 2; above 0.18 dark text has the better contrast."""
    value = np.asarray(colour) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _bar_sizes(style: _Style, labels: Sequence[str]) -> tuple[int, int, int]:
    """Width of the column of names, width of the bars, height of a row."""
    names = max(text_size(label, style.small)[0] for label in labels)
    return names, style.small * 5, text_size("x", style.small)[1] + max(1, style.pad // 2)


def _bars_place(canvas: Image, style: _Style, face: FaceResult, box: _Rect, others: Sequence[_Rect]) -> _Rect | None:
    """Right of the box, or left of it; nowhere if there it would leave the picture or cover another face."""
    names, bars, row = _bar_sizes(style, list(face.probabilities))
    width, height = names + bars + 3 * style.pad, row * len(face.probabilities) + 2 * style.pad
    gap = style.line + style.pad
    top = max(min(box.top, canvas.shape[0] - height), 0)
    for left in (box.right + gap, box.left - gap - width):
        place = _Rect(left, top, width, height)
        if place.is_inside(canvas) and not any(place.meets(other) for other in others):
            return place
    return None


def _draw_bars(canvas: npt.NDArray[np.uint8], style: _Style, face: FaceResult, place: _Rect) -> None:
    names, bars, row = _bar_sizes(style, list(face.probabilities))
    fill(canvas, place.left, place.top, place.width, place.height, _DARK, 0.62)
    thickness = max(3, round(row * 0.5))
    for i, (label, probability) in enumerate(face.probabilities.items()):
        top = place.top + style.pad + i * row
        ink = _LIGHT if label == face.label else (196, 196, 200)
        blend_text(canvas, label, place.left + style.pad, top, style.small, ink)
        left, middle = place.left + 2 * style.pad + names, top + (row - thickness) // 2
        fill(canvas, left, middle, bars, thickness, _LIGHT, 0.14)
        fill(canvas, left, middle, round(bars * min(max(probability, 0), 1)), thickness, label_colour(label))


def _draw_status(
    canvas: npt.NDArray[np.uint8], style: _Style, result: FrameResult, fps: float | None, tags: Sequence[_Rect]
) -> None:
    parts = [] if fps is None else [f"{fps:.1f} fps", f"{result.times_ms.get('total', 0.0):.1f} ms"]
    if not result.faces:
        parts.append("no face")
    if not parts:
        return
    text = "  ·  ".join(parts)
    width, height = text_size(text, style.small)
    width, height = width + 4 * style.pad, height + 2 * style.pad
    # The lower corners: faces and their tags are rarely there; the right one where a tag is in the left.
    top, right = canvas.shape[0] - height - style.pad, max(canvas.shape[1] - width - style.pad, style.pad)
    places = [_Rect(left, top, width, height) for left in (style.pad, right)]
    place = next((each for each in places if not any(each.meets(tag) for tag in tags)), places[0])
    fill(canvas, place.left, place.top, place.width, place.height, _DARK, 0.62)
    blend_text(canvas, text, place.left + 2 * style.pad, place.top + style.pad, style.small, _LIGHT)
