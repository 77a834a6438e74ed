"""The /predict hooks of the digits model: an image of any size to one row, one row of outputs to an answer.

A drawing is brought to where scikit-learn's digits are: ink bright on black, as tall as the image, 8 x 8. The training
script draws its variations through the same `frame`, so the network has seen what this does to a digit.
"""

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from ..images import upright

Array = np.ndarray[Any, Any]

_MAX_PIXELS = 4096 * 4096
_WORKING_SIZE = 256
# Of the full range: paper grain and JPEG noise stay below, a pencil line on white stays above.
_LEAST_CONTRAST = 0.1
# Of the contrast: softer than this is the halo of a stroke, not the stroke.
_INK = 0.25
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def read_image(body: bytes) -> Array:
    """Turn a PNG or JPEG of one digit, dark on light or light on dark, into uint8 [1, 1, 8, 8].

    ValueError where the bytes are no such image, or where the image shows nothing.
    """
    return frame(_grey(_decode(body)))[None, None]


def answer(row: Mapping[str, Array]) -> dict[str, object]:
    """Turn one row of `probabilities` [10] and `label` [] into what a person wants to read."""
    label = int(row["label"])
    return {"label": label, "probability": round(float(row["probabilities"][label]), 4)}


def frame(grey: Array) -> Array:
    """Crop float32 [h, w] in 0..1 to its ink and fit that, aspect kept, into uint8 [8, 8]: 255 is full ink."""
    ink = _ink(grey)
    rows = np.flatnonzero((ink > _INK).any(1))
    columns = np.flatnonzero((ink > _INK).any(0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = 8 / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Box averaging is how the 8 x 8 counts of the data set were made from 32 x 32 bitmaps.
    small = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.BOX, box=box))
    framed = np.zeros((8, 8), np.float32)
    top, left = (8 - size[1]) // 2, (8 - size[0]) // 2
    framed[top : top + size[1], left : left + size[0]] = small
    stretched: Array = np.rint(framed * (255 / framed.max())).astype(np.uint8)
    return stretched


def _decode(body: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(body), formats=("PNG", "JPEG"))
        too_large = image.width * image.height > _MAX_PIXELS
        if not too_large:
            image.load()
    except _BROKEN as error:
        raise ValueError("the body is not a readable image: send the bytes of a whole PNG or JPEG") from error
    if too_large:
        raise ValueError(f"the image has {image.width} x {image.height} pixels: send at most 4096 x 4096 in all")
    return upright(image)


def _grey(image: Image.Image) -> Array:
    """Return float32 [h, w] in 0..1 with transparency on white, no side longer than the working size."""
    if image.mode.startswith(("I", "F")):
        # Sixteen bits: Pillow's own conversion would clip them at 255.
        image = Image.fromarray(np.asarray(image, np.float32) / 65535)
    else:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        image = Image.alpha_composite(white, coloured).convert("L")
        image = Image.fromarray(np.asarray(image, np.float32) / 255)
    shrink = min(1.0, _WORKING_SIZE / max(image.size))
    size = (max(1, round(image.width * shrink)), max(1, round(image.height * shrink)))
    return np.asarray(image.resize(size, Image.Resampling.BOX), np.float32)


def _ink(grey: Array) -> Array:
    """Return 0 for paper to 1 for ink; the border is taken for paper, and ink is what is farthest from it."""
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = float(np.median(border))
    darker, lighter = paper - float(grey.min()), float(grey.max()) - paper
    contrast = max(darker, lighter)
    if contrast < _LEAST_CONTRAST:
        raise ValueError("the image is blank: draw one digit, dark on light or light on dark, with some margin")
    away = paper - grey if darker >= lighter else grey - paper
    ink: Array = (away / contrast).clip(0, 1).astype(np.float32)
    return ink
