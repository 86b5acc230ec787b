"""Every kind of image file is decoded as documented or refused in one line."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image as Pillow

from ferbench.datasets.decode import is_image_name, read_image
from ferbench.errors import FerbenchError, ImageError, SourceError


def encoded(image: Pillow.Image, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture
def scene() -> np.ndarray:
    """A (40, 60, 3) picture whose quarters differ in colour, so that channel order and orientation show."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:20, :30] = (250, 10, 10)
    image[:20, 30:] = (10, 250, 10)
    image[20:, :30] = (10, 10, 250)
    return image


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9))


def test_colours_come_as_rgb_and_equal_opencvs(scene):
    content = encoded(Pillow.fromarray(scene))
    reference = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    np.testing.assert_array_equal(read_image(content), reference)
    np.testing.assert_array_equal(read_image(content), scene)


def test_gray_stays_two_dimensional(scene):
    gray = scene[:, :, 0]
    result = read_image(encoded(Pillow.fromarray(gray)))
    assert result.shape == (40, 60)
    np.testing.assert_array_equal(result, gray)


def test_exif_orientation_is_honoured(scene):
    exif = Pillow.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    turned = read_image(encoded(Pillow.fromarray(scene), "JPEG", quality=95, subsampling=0, exif=exif))
    assert turned.shape == (60, 40, 3)
    assert turned[5, 35].argmax() == 0  # red went from the top left to the top right


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_gray_is_scaled_to_the_full_range(form):
    deep = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (16, 1))
    result = read_image(encoded(Pillow.fromarray(deep), form))
    assert result.dtype == np.uint8
    assert (result.min(), result.max()) == (0, 255)
    np.testing.assert_allclose(result, deep / 257, atol=0.51)


def test_sixteen_bit_colour_is_scaled(scene):
    ok, content = cv2.imencode(".png", scene[:, :, ::-1].astype(np.uint16) * 257)
    assert ok
    np.testing.assert_allclose(read_image(content.tobytes()), scene, atol=1)


def test_cmyk_becomes_rgb(scene):
    content = encoded(Pillow.fromarray(scene).convert("CMYK"), "TIFF")
    np.testing.assert_allclose(read_image(content).astype(int), scene, atol=3)


def test_palette_and_transparency(scene):
    palette = encoded(Pillow.fromarray(scene).quantize(8), "GIF")
    assert read_image(palette).shape == scene.shape
    clear = Pillow.fromarray(np.dstack([scene, np.zeros((40, 60), np.uint8)]))
    assert read_image(encoded(clear)).min() == 255  # wholly transparent: white


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 10), (1, 1), (7, 100), (11_000, 9_100)])
def test_unusable_sizes_are_refused_before_decoding(width, height):
    with pytest.raises(ImageError) as refused:
        read_image(png_header(width, height), name="face.png")
    assert "face.png" in str(refused.value)
    assert f"{width}×{height}" in str(refused.value) or 0 in (width, height)
    assert "\n" not in str(refused.value)


def test_one_pixel_is_refused_with_its_size():
    with pytest.raises(ImageError, match=r"1×1.*8×8"):
        read_image(encoded(Pillow.new("RGB", (1, 1))))


def test_forty_megapixels_are_decoded():
    assert read_image(encoded(Pillow.new("L", (8000, 5000), 90), "PNG", compress_level=1)).shape == (5000, 8000)


def test_just_under_the_limit_raises_no_warning():
    with pytest.raises(ImageError, match="damaged"):
        read_image(png_header(9_900, 9_900))


def test_a_decompression_bomb_is_refused():
    with pytest.raises(ImageError, match="too large"):
        read_image(png_header(100_000, 100_000))


@pytest.mark.parametrize("largest", [255, 60_000, 2**31 - 1])
def test_32_bit_pixels_are_refused_whatever_their_values(largest):
    deep = np.tile(np.linspace(0, largest, 64).astype(np.int32), (16, 1))
    with pytest.raises(ImageError, match=r"face.tif has 32-bit pixels: expected 8 or 16 bits a channel; convert it"):
        read_image(encoded(Pillow.fromarray(deep), "TIFF"), name="face.tif")


def test_floating_point_pixels_are_refused():
    with pytest.raises(ImageError, match="floating-point"):
        read_image(encoded(Pillow.fromarray(np.ones((16, 16), np.float32)), "TIFF"))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "WEBP"])
def test_a_file_cut_short_is_refused(scene, form):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    content = encoded(Pillow.fromarray(noise), form)
    with pytest.raises(ImageError):
        read_image(content[: len(content) // 2], name="half")


def test_what_is_no_image_is_refused(tmp_path):
    with pytest.raises(ImageError, match="empty"):
        read_image(b"")
    with pytest.raises(ImageError, match="not an image"):
        read_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n")
    with pytest.raises(SourceError, match="no such image file"):
        read_image(tmp_path / "nothing.jpg")
    with pytest.raises(SourceError, match="cannot open"):
        read_image(tmp_path)


def test_a_path_is_read(tmp_path, scene):
    Pillow.fromarray(scene).save(tmp_path / "s.png")
    np.testing.assert_array_equal(read_image(tmp_path / "s.png"), scene)


@given(st.binary(max_size=400), st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), st.integers(0, 300))
@example(b"\x00\x02", "TIFF", 98)  # a tag that claims more than the file holds
def test_damage_anywhere_is_a_message_never_a_crash(garbage, form, at):
    content = encoded(Pillow.new("RGB", (24, 24), (200, 100, 50)), form)
    damaged = content[:at] + garbage + content[at + len(garbage) :]
    try:
        image = read_image(damaged)
    except FerbenchError:
        return
    assert image.dtype == np.uint8
    assert image.ndim in (2, 3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/b.JPG", True), ("x.webp", True), ("._x.jpg", False), ("a/Thumbs.db", False), ("labels.csv", False)],
)
def test_image_names(name, expected):
    assert is_image_name(name) is expected
