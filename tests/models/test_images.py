"""A picture becomes the pixels that Pillow makes of it, whatever its kind."""

import io
import random
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from models.images import default_reader, open_image, own_size
from models.signature import Array, Signature, Tensor
from models.zoo import digits_image
from pitstop.export import image_hooks

# Six pixels that differ, so that each way of turning them shows.
PIXELS = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
# What a picture of this orientation is stored as, of one that stands upright (EXIF 2.32, tag 0x0112).
STORED: dict[int, Callable[[Array], Array]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: a.T[::-1],
    7: lambda a: a.T[::-1, ::-1],
    8: lambda a: a.T[:, ::-1],
}
BROKEN_EXIF = [
    b"Exif\0\0garbage",
    b"garbage",
    b"Exif\0\0II*\0\xff\xff\xff\xff",
    b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\xff\0\0\0",
]


def file(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def png(depth: int, colour: int, *samples: int) -> bytes:
    """Write a PNG of one pixel, with samples of 16 bits; Pillow itself writes few kinds of them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, depth, colour, 0, 0, 0)
    row = zlib.compress(b"\0" + struct.pack(f">{len(samples)}H", *samples))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


@pytest.mark.parametrize("form, options", [("PNG", {}), ("JPEG", {"quality": 100}), ("WEBP", {"lossless": True})])
@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_stands_upright_whichever_way_it_is_stored(
    orientation: int, form: str, options: dict[str, Any]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](PIXELS)))
    found = own_size(file(stored, form, exif=exif, **options))
    assert np.abs(found[0, 0].astype(int) - PIXELS).max() <= 2


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("exif", BROKEN_EXIF)
def test_broken_exif_leaves_the_picture_as_it_is(exif: bytes, form: str) -> None:
    body = file(Image.new("RGB", (4, 2), (200, 100, 50)), form, exif=exif)
    assert own_size(body).shape == (1, 3, 2, 4)


def odd_exif(tag: int, kind: int) -> bytes:
    """Return EXIF with orientation 3 and one more tag, of a type that Pillow reads and may not be able to write."""
    entries = sorted([(0x0112, 3, 3), (tag, kind, 38)])
    packed = b"".join(struct.pack("<HHLL", tag, kind, 1, value) for tag, kind, value in entries)
    return b"Exif\0\0II*\0\x08\0\0\0\x02\0" + packed + b"\0\0\0\0" + b"\1\0\0\0" * 2


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("tag", [0x010F, 0x011A, 0x0128, 0x0132, 0x8298, 0x8769, 0x9286])
def test_a_picture_is_turned_whatever_the_types_of_its_other_tags(tag: int) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    turned = noise.transpose(Image.Transpose.ROTATE_180)
    for kind in (*range(1, 14), 16):
        found = own_size(file(turned, exif=odd_exif(tag, kind)))
        assert np.array_equal(found[0].transpose(1, 2, 0), np.asarray(noise)), kind


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_exif_fails_a_picture_that_can_be_decoded() -> None:
    image, whole, chosen = Image.new("L", (16, 12), 255), odd_exif(0x011A, 5), random.Random(0)
    image.paste(0, (6, 2, 9, 10))
    for _ in range(400):
        exif = bytearray(whole)
        for _ in range(chosen.randint(1, 5)):
            exif[chosen.randrange(6, len(exif))] = chosen.choice([*range(17), 127, 128, 255])
        body = file(image, exif=bytes(exif))
        assert sorted(own_size(body).shape[2:]) == [12, 16]
        assert digits_image.read_image(body).shape == (1, 1, 8, 8)


def test_a_hook_that_turns_by_exif_too_does_not_turn_a_picture_twice() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for form in ("PNG", "JPEG", "WEBP"):
        upright = open_image(file(Image.new("RGB", (4, 2)), form, exif=exif), "RGB")
        assert upright.size == ImageOps.exif_transpose(upright).size == (2, 4)


def test_the_digits_model_too_reads_a_picture_with_broken_exif() -> None:
    image = Image.new("L", (16, 16), 255)
    image.paste(0, (6, 2, 9, 14))
    assert digits_image.read_image(file(image, exif=BROKEN_EXIF[0])).shape == (1, 1, 8, 8)


@pytest.mark.parametrize(
    "body, pixel",
    [
        (png(16, 0, 0x12FF), (0x12, 0x12, 0x12)),
        (png(16, 2, 0x12FF, 0x80AA, 0xFFFF), (0x12, 0x80, 0xFF)),
        (png(16, 4, 0x12FF, 0x0000), (0x12, 0x12, 0x12)),
        (png(16, 6, 0x12FF, 0x80AA, 0xFFFF, 0x0000), (0x12, 0x80, 0xFF)),
    ],
)
def test_sixteen_bits_become_their_upper_byte(body: bytes, pixel: tuple[int, ...]) -> None:
    assert tuple(own_size(body).ravel()) == pixel


@pytest.mark.parametrize("mode, colour", [("RGBA", (200, 100, 50, 0)), ("LA", (77, 0)), ("CMYK", (0, 255, 255, 0))])
@pytest.mark.parametrize("to", ["RGB", "L"])
def test_colours_are_those_of_pillow_s_own_conversion(mode: str, colour: tuple[int, ...], to: str) -> None:
    image = Image.new(mode, (2, 2), colour)
    body = file(image, "JPEG", quality=100) if mode == "CMYK" else file(image)
    assert open_image(body, to).tobytes() == Image.open(io.BytesIO(body)).convert(to).tobytes()


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_transparency_of_a_palette_shows_the_colour_below_it(form: str) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((0, 0), 1)
    assert own_size(file(image, form, transparency=0))[0, :, 0].T.tolist() == [[200, 100, 50], [10, 20, 30]]


def test_it_is_resized_as_pillow_does_it_without_keeping_the_ratio() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    read = default_reader(Signature((Tensor("image", "UINT8", (-1, 3, 8, 16)),), ()))
    assert read is not None
    expected = np.asarray(Image.fromarray(noise).resize((16, 8), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    found = read(file(Image.fromarray(noise)))
    assert (found.dtype, found.shape) == (np.uint8, (1, 3, 8, 16))
    assert np.array_equal(found[0], expected)


@pytest.mark.parametrize("size", [(999, 257), (333, 1000), (400, 300), (256, 256), (224, 301)])
def test_an_imported_archive_s_pictures_have_torchvision_s_sizes(size: tuple[int, int]) -> None:
    """As its Resize(256) and CenterCrop(224): the shorter side is 256 exactly, and the longer one rounded down."""
    width, height = size
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
    short, long = min(size), int(256 * max(size) / min(size))
    resized = noise.resize((256, long) if width == short else (long, 256), Image.Resampling.BILINEAR)
    left, top = round((resized.width - 224) / 2), round((resized.height - 224) / 2)
    pixels = np.asarray(resized.crop((left, top, left + 224, top + 224)), np.float32) / 255
    expected = (pixels - image_hooks.MEAN) / image_hooks.STD
    assert np.array_equal(image_hooks.read_image(file(noise))[0].transpose(1, 2, 0), expected)
    assert np.array_equal(hook_of_the_page()(file(noise))[0].transpose(1, 2, 0), expected)


def hook_of_the_page() -> Callable[[bytes], Array]:
    """Return the hook that docs/predict.md shows."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "predict.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(
        next(text for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def read_picture" in text), names
    )
    hook: Callable[[bytes], Array] = names["read_picture"]
    return hook
