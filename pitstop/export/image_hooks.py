"""What TorchServe's image_classifier did around its model, as /predict hooks: image to row, row to answer.

Copied beside an imported model by `pitstop export --mar`; change it there as you like.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray[Any, Any]

RESIZE, CROP = 256, 224
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
TOP = 5
MOST_PIXELS = 8192 * 8192
_NAMES = Path(__file__).with_name("index_to_name.json")


def read_image(body: bytes) -> Array:
    """Turn a PNG or JPEG into float32 [1, 3, 224, 224]: shorter side to 256, middle 224 x 224, ImageNet's mean and std.

    ValueError where the bytes are no image.
    """
    try:
        opened = Image.open(io.BytesIO(body), formats=("PNG", "JPEG"))
        if opened.width * opened.height > MOST_PIXELS:
            raise ValueError("the image is too large")
        image = opened.convert("RGB")
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError("the body is not a readable image: send the bytes of a whole PNG or JPEG") from error
    # In whole numbers: 257 * (256 / 257) is below 256.
    width, height = (RESIZE * side // min(image.size) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((image.width - CROP) / 2), round((image.height - CROP) / 2)
    pixels = np.asarray(image.crop((left, top, left + CROP, top + CROP)), np.float32) / 255
    row: Array = np.ascontiguousarray(((pixels - MEAN) / STD).transpose(2, 0, 1)[None])
    return row


def answer(row: Mapping[str, Array]) -> dict[str, object]:
    """Turn one row of scores [classes] into TorchServe's answer: the five likeliest names with their probabilities."""
    scores = next(iter(row.values())).astype(np.float64).reshape(-1)
    weights = np.exp(scores - scores.max())
    shares = weights / weights.sum()
    return {_name(int(index)): float(shares[index]) for index in np.argsort(-shares, kind="stable")[:TOP]}


def _name(index: int) -> str:
    found = _MAPPING.get(str(index), str(index))
    # ImageNet's file has ["n01440764", "tench"].
    return str(found[-1] if isinstance(found, list) else found)


_MAPPING: dict[str, Any] = json.loads(_NAMES.read_text(encoding="utf-8")) if _NAMES.is_file() else {}
