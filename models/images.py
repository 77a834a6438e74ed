"""The default image reader of /predict: any image becomes one UINT8 row [1, channels, height, width]."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import ExifTags, Image

from models.signature import Array, Signature, Tensor

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_MODES = {1: "L", 3: "RGB"}
_MOST_PIXELS = 40_000_000
# As many as the largest picture has.
MOST_NUMBERS = 3 * _MOST_PIXELS
# What Pillow is known to raise on broken files.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
# By the EXIF orientation. ImageOps.exif_transpose also writes the EXIF anew, which fails for tags of unexpected types.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_IN = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")


def default_reader(signature: Signature) -> Callable[[bytes], Array] | None:
    """Return a reader if the only input is an image: UINT8, [-1, 1 or 3, height, width].

    A picture is resized to these sizes; where one is open, it keeps its own.
    """
    if len(signature.inputs) != 1:
        return None
    tensor = signature.inputs[0]
    plain = tensor.datatype == "UINT8" and len(tensor.shape) == 4 and tensor.shape[1] in _MODES
    return _reader(tensor) if plain else None


def described(tensor: Tensor) -> str:
    """Return what the default reader does, for the model's metadata."""
    _, channels, height, width = tensor.shape
    sides = [f"{name} {size}" for name, size in (("width", width), ("height", height)) if size != -1]
    resized = f"resized to {' and '.join(sides)} (bilinear, without keeping the ratio, nothing is cut off)"
    return (
        f"A picture ({', '.join(_FORMATS)}): turned upright by its EXIF orientation, made "
        f"{'RGB' if channels == 3 else 'gray'} of 8 bits without its transparency, "
        f"{resized if sides else 'in its own size'}, as UINT8 0..255; no mean or std is applied."
    )


def _reader(tensor: Tensor) -> Callable[[bytes], Array]:
    _, channels, height, width = tensor.shape

    def read(body: bytes) -> Array:
        image = open_image(body, _MODES[channels])
        size = (image.width if width == -1 else width, image.height if height == -1 else height)
        return _planes(image if size == image.size else image.resize(size, Image.Resampling.BILINEAR))

    return read


def own_size(body: bytes) -> Array:
    """Return a picture as one row of its own size: UINT8 [1, 3, height, width]. Raises ValueError, for the client."""
    return _planes(open_image(body, _MODES[3]))


def _planes(image: Image.Image) -> Array:
    pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, len(image.getbands()))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]


def open_image(body: bytes, mode: str) -> Image.Image:
    """Decode upright; the size is checked before anything is decoded. Raises ValueError, for the client.

    As Pillow's `convert`, which training mostly uses too, it leaves transparency out: pixels keep the colour below it.
    """
    form = ""
    try:
        image = Image.open(io.BytesIO(body), formats=_FORMATS)
        if image.width * image.height <= _MOST_PIXELS:
            form = image.format or ""
            image.load()
            return _eight_bits(upright(image)).convert(mode)
    except Image.DecompressionBombError:
        pass
    except _BROKEN as error:
        cut = f"this {form} is cut off or damaged, " if form else ""
        raise ValueError(
            f"the body, {len(body)} bytes that begin with {body[:8]!r}, is not a readable image:"
            f" {cut}send the whole of a {', '.join(_FORMATS)}"
        ) from error
    raise ValueError(f"the image has more than {_MOST_PIXELS // 1_000_000} megapixels: send it smaller")


def upright(image: Image.Image) -> Image.Image:
    """Turn a decoded picture by its EXIF orientation; one whose orientation is unreadable stays as it is."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow hardly checks EXIF, so broken ones raise errors of any kind.
        return image
    if turn is None:
        return image
    turned = image.transpose(turn)
    for key in _ORIENTATION_IN:  # A hook that turns by EXIF too must not turn it again.
        turned.info.pop(key, None)
    return turned


def _eight_bits(image: Image.Image) -> Image.Image:
    # Pillow's own conversion would clip sixteen bits at 255, not scale them.
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if image.mode.startswith("I") else image
