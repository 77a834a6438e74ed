"""The default image reader of /predict: any image becomes one UINT8 row [1, channels, height, width]."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

from models.signature import Array, Signature, Tensor

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_MODES = {1: "L", 3: "RGB"}
_MOST_PIXELS = 40_000_000
# What Pillow is known to raise on broken files.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


def default_reader(signature: Signature) -> Callable[[bytes], Array] | None:
    """Return a reader if the only input is an image: UINT8, [-1, 1 or 3, height, width].

    A picture is resized to these sizes; where one is open, it keeps its own.
    """
    if len(signature.inputs) != 1:
        return None
    tensor = signature.inputs[0]
    plain = tensor.datatype == "UINT8" and len(tensor.shape) == 4 and tensor.shape[1] in _MODES
    return _reader(tensor) if plain else None


def _reader(tensor: Tensor) -> Callable[[bytes], Array]:
    _, channels, height, width = tensor.shape

    def read(body: bytes) -> Array:
        image = _open(body, _MODES[channels])
        size = (image.width if width == -1 else width, image.height if height == -1 else height)
        return _planes(image if size == image.size else image.resize(size, Image.Resampling.BILINEAR))

    return read


def own_size(body: bytes) -> Array:
    """Return a picture as one row of its own size: UINT8 [1, 3, height, width]. Raises ValueError, for the client."""
    return _planes(_open(body, _MODES[3]))


def _planes(image: Image.Image) -> Array:
    pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, len(image.getbands()))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]


def _open(body: bytes, mode: str) -> Image.Image:
    """Decode upright; the size is checked before anything is decoded."""
    try:
        image = Image.open(io.BytesIO(body), formats=_FORMATS)
        if image.width * image.height <= _MOST_PIXELS:
            return _eight_bits(ImageOps.exif_transpose(image)).convert(mode)
    except Image.DecompressionBombError:
        pass
    except _BROKEN as error:
        raise ValueError(
            f"the body, {len(body)} bytes that begin with {body[:8]!r}, is not a readable image:"
            f" send the whole of a {', '.join(_FORMATS)}"
        ) from error
    raise ValueError(f"the image has more than {_MOST_PIXELS // 1_000_000} megapixels: send it smaller")


def _eight_bits(image: Image.Image) -> Image.Image:
    # Pillow's own conversion would clip sixteen bits at 255, not scale them.
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)) if image.mode.startswith("I") else image
