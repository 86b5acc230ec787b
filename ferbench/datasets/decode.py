"""Image files become arrays here, and nowhere else: RGB or gray, uint8, upright, of a size that can hold a face."""

from __future__ import annotations

import io
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ferbench.errors import ImageError, SourceError
from ferbench.faces import MAX_PIXELS, Image

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

__all__ = ["IMAGE_SUFFIXES", "MIN_SIDE", "is_image_name", "read_image"]

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""File name endings that are taken for images when a folder or an archive is searched."""

MIN_SIDE = 8
"""Shortest side in pixels: below it no expression is visible, and resizing would invent one."""

_MAX_FILE_BYTES = 512 * 2**20
# Pillow's other readers include ones that start external programs (EPS); a face is never stored that way.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, struct.error, zlib.error)
_header_lock = threading.Lock()


def is_image_name(name: str) -> bool:
    """Whether a file name ends like an image and is not a hidden file (``._x.jpg`` of macOS archives)."""
    base = name.rsplit("/", 1)[-1]
    return base.lower().endswith(IMAGE_SUFFIXES) and not base.startswith(".")


def read_image(
    source: str | os.PathLike[str] | bytes, *, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> Image:
    """Decode an image file.

    The EXIF orientation is applied; CMYK and palette images become RGB; 16-bit gray is scaled to 8 bit; transparent
    pixels are laid over white; of an animation the first frame counts. Up to 100 million pixels are decoded: a
    40-megapixel photo is.

    Parameters
    ----------
    source : path or bytes
        A file, or the content of one.
    name : str, optional
        What to call it in messages; the path by default.
    max_pixels : int
        Refuse larger images, by their header, before anything is decoded; 100 million by default.

    Returns
    -------
    (H, W, 3) uint8 RGB, or (H, W) uint8 gray where the file is gray

    Raises
    ------
    SourceError
        The file is not there or cannot be opened.
    ImageError
        The content is empty, damaged, cut short, not an image, of a floating-point or 32-bit depth, smaller than
        8×8 pixels, or larger than ``max_pixels``.
    """
    if isinstance(source, bytes):
        return _decode(source, name or "image", max_pixels)
    path = Path(source)
    return _decode(_file_content(path), name or str(path), max_pixels)


def _file_content(path: Path) -> bytes:
    try:
        if path.is_file() and path.stat().st_size > _MAX_FILE_BYTES:
            raise ImageError(f"{path} is too large for an image file", expected=f"up to {_MAX_FILE_BYTES >> 20} MiB")
        return path.read_bytes()
    except FileNotFoundError:
        raise SourceError(f"no such image file: {path}") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot open {path}", got=getattr(error, "strerror", None) or error) from error


def _decode(content: bytes, name: str, max_pixels: int) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageOps, UnidentifiedImageError

    if not content:
        raise ImageError(f"{name} is empty", got="0 bytes", expected="an image file")
    try:
        with _no_warnings():  # our own limit on the size follows
            opened = Pillow.open(io.BytesIO(content), formats=_FORMATS)
    except Pillow.DecompressionBombError:
        raise ImageError(f"{name} is too large", got="more than Pillow opens", expected=_sizes(max_pixels)) from None
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image that can be read", expected=", ".join(_FORMATS)) from None
    except _DAMAGE as error:
        raise ImageError(f"{name} is damaged", got=error, fix="replace the file") from error
    width, height = opened.size
    if min(width, height) < MIN_SIDE or width * height > max_pixels:
        raise ImageError(f"{name} has an unusable size", got=f"{width}×{height}", expected=_sizes(max_pixels))
    try:
        # A TIFF reads its tags again, and warns of damaged ones; the other formats are decoded by several threads.
        with _no_warnings() if opened.format == "TIFF" else nullcontext():
            _refuse_32_bits(opened, name)
            opened.load()
        with _no_warnings():  # damaged EXIF data cost the orientation only
            turned = opened.getexif().get(0x0112, 1) != 1
        return _as_uint8(ImageOps.exif_transpose(opened) if turned else opened, name)
    except _DAMAGE as error:
        raise ImageError(f"{name} is damaged or cut short", got=error, fix="replace the file") from error


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Warnings of Pillow are not the user's; one thread at a time, since what they become is the process' own state."""
    with _header_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _sizes(max_pixels: int) -> str:
    return f"{MIN_SIDE}×{MIN_SIDE} pixels to {max_pixels / 1e6:.3g} million pixels"


def _refuse_32_bits(image: PillowImage, name: str) -> None:
    """By what the file declares: its values may be small, and where white lies cannot be told from them."""
    from PIL import TiffImagePlugin

    if not isinstance(image, TiffImagePlugin.TiffImageFile) or image.mode != "I":
        return
    if (bits := max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))) > 16:
        raise ImageError(f"{name} has {bits}-bit pixels", expected="8 or 16 bits a channel", fix="convert it")


def _as_uint8(image: PillowImage, name: str) -> Image:
    """Gray or RGB uint8 of a loaded Pillow image of any mode that has one meaning."""
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"), dtype=np.uint8)
    if image.mode.startswith("I"):
        return _from_deep_gray(np.asarray(image), name)
    if image.mode == "F":
        raise ImageError(f"{name} has floating-point pixels", expected="8 or 16 bits a channel", fix="convert it")
    if image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in image.info:
        from PIL import Image as Pillow

        rgba = image.convert("RGBA")
        white = Pillow.new("RGBA", rgba.size, (255, 255, 255, 255))
        flat = Pillow.alpha_composite(white, rgba).convert("L" if image.mode in ("LA", "La") else "RGB")
        return np.array(flat, dtype=np.uint8)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _from_deep_gray(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]], name: str) -> Image:
    wide = values.astype(np.int64)
    if wide.min() < 0 or wide.max() > 65535:
        raise ImageError(
            f"{name} has pixels out of range",
            got=f"values {wide.min()}..{wide.max()}",
            expected="0..65535",
            fix="convert it",
        )
    # 65535 / 257 = 255: white stays white.
    return ((wide + 128) // 257).astype(np.uint8)
