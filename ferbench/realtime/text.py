"""Anti-aliased text on images: Pillow draws each string once as a mask, numpy blends it in.

OpenCV's own stroke fonts have neither smooth edges nor letters beyond ASCII, and become unreadable below 12 pixels.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Colour", "blend_text", "fill", "text_size"]

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""


@cache
def _font(height: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size=height)


@cache
def _line_height(height: int) -> tuple[int, int]:
    """Ascent and descent in pixels: the same for all texts of a size, so that they share a baseline."""
    ascent, descent = _font(height).getmetrics()
    return int(ascent), int(descent)


@lru_cache(maxsize=1024)
def _mask(text: str, height: int) -> npt.NDArray[np.float32]:
    """(h, w) float32 in [0, 1]: how much of each pixel the text covers."""
    from PIL import Image, ImageDraw

    width, total = text_size(text, height)
    canvas = Image.new("L", (max(width, 1), total))
    ImageDraw.Draw(canvas).text((0, 0), text, fill=255, font=_font(height))
    mask: npt.NDArray[np.float32] = np.asarray(canvas, dtype=np.float32) / np.float32(255)
    mask.setflags(write=False)
    return mask


def text_size(text: str, height: int) -> tuple[int, int]:
    """Width and height in pixels of a line of text in a font of ``height`` pixels."""
    return int(np.ceil(_font(height).getlength(text))), sum(_line_height(height))


def blend_text(image: npt.NDArray[np.uint8], text: str, left: int, top: int, height: int, colour: Colour) -> None:
    """Draw one line of text into an RGB image in place; what lies outside the image is cut off."""
    mask = _mask(text, height)
    region, window = _visible(image, left, top, mask.shape[1], mask.shape[0])
    if region.size:
        alpha = mask[window][:, :, None]
        region[:] = (region * (1 - alpha) + np.array(colour, np.float32) * alpha + 0.5).astype(np.uint8)


def fill(
    image: npt.NDArray[np.uint8], left: int, top: int, width: int, height: int, colour: Colour, opacity: float = 1.0
) -> None:
    """Fill a rectangle of an RGB image in place; what lies outside the image is cut off."""
    region, _ = _visible(image, left, top, width, height)
    if not region.size:
        return
    if opacity >= 1:
        region[:] = np.array(colour, np.uint8)
    else:
        region[:] = (region * np.float32(1 - opacity) + np.array(colour, np.float32) * opacity + 0.5).astype(np.uint8)


def _visible(
    image: npt.NDArray[np.uint8], left: int, top: int, width: int, height: int
) -> tuple[npt.NDArray[np.uint8], tuple[slice, slice]]:
    """The part of the image under a rectangle, and the part of the rectangle inside the image."""
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, image.shape[1]), min(top + height, image.shape[0])
    if x1 <= x0 or y1 <= y0:
        return image[:0, :0], (slice(0), slice(0))
    return image[y0:y1, x0:x1], (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
