"""The requests that a case sends: drawn by the shapes of its YAML, or as its own function draws them."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from models.signature import NUMPY, Array

Draw = Callable[[np.random.Generator, int], dict[str, Array]]
WORDS = [f"word{n}".encode() for n in range(40)]


def drawn(args: Mapping[str, Any], generator: np.random.Generator, rows: int) -> dict[str, Array]:
    """Return so many rows for the inputs of a YAML; what is open has one size in a request, as `tokens` or -1 say.

    The mask of a text leaves out the end of each row.
    """
    chosen: dict[Any, int] = {}
    for each in args["inputs"]:
        for size in each["shape"][1:]:
            if size not in chosen:
                chosen[size] = _size(args, size, generator)
    return {
        each["name"]: _array(each, [rows, *(chosen[size] for size in each["shape"][1:])], chosen, generator)
        for each in args["inputs"]
    }


def _size(args: Mapping[str, Any], size: int | str, generator: np.random.Generator) -> int:
    if isinstance(size, int) and size > 0:
        return size
    dim = args["dims"][size] if isinstance(size, str) else {"sizes": args["lengths"]}
    sizes: Sequence[int] = dim["sizes"]
    return int(generator.choice(sizes) if dim.get("pad") == "none" else generator.integers(1, sizes[-1] + 1))


def _array(
    each: Mapping[str, Any], shape: Sequence[int], chosen: Mapping[Any, int], generator: np.random.Generator
) -> Array:
    kind = NUMPY[each["datatype"]]
    if each["name"] == "attention_mask":
        kept = generator.integers(1, shape[1] + 1, (shape[0], 1))
        return (np.arange(shape[1]) < kept).astype(kind)
    if kind.kind == "O":
        texts = [b" ".join(generator.choice(WORDS, generator.integers(1, 12))) for _ in range(shape[0])]
        return np.array(texts, object)
    if kind.kind == "f":
        return generator.normal(size=shape).astype(kind)
    low, high = each.get("low", 0), each.get("high", 255 if kind == np.uint8 else 1)
    return generator.integers(low, chosen.get(high, high) + 1, shape).astype(kind)


def pages(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    """Words with their boxes, whose corners are in order."""
    words = int(generator.integers(1, 17))
    corner = generator.integers(0, 60, (rows, words, 2))
    return {
        "input_ids": generator.integers(1, 50, (rows, words)),
        "bbox": np.concatenate([corner, corner + generator.integers(1, 60, corner.shape)], axis=2),
        "attention_mask": np.ones((rows, words), np.int64),
    }


def jpegs(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    from PIL import Image

    files = []
    for _ in range(rows):
        written, (height, width) = io.BytesIO(), generator.integers(16, 80, 2)
        Image.fromarray(generator.integers(0, 256, (height, width, 3), np.uint8)).save(written, "JPEG")
        files.append(written.getvalue())
    return {"jpeg": np.array(files, object)}


def jpegs_of_a_size(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    from PIL import Image

    files, (height, width) = [], generator.integers(1, 33, 2)
    for _ in range(rows):
        written = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (height, width, 3), np.uint8)).save(written, "JPEG")
        files.append(written.getvalue())
    return {"jpeg": np.array(files, object)}


def images(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    """Of two pixels a side at least, as a kernel of two needs."""
    height, width = generator.integers(2, 17, 2)
    return {"image": generator.normal(size=(rows, 1, height, width)).astype(np.float32)}


def queries(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    """A query with several candidates."""
    candidates = int(generator.integers(1, 5))
    texts = [b" ".join(generator.choice(WORDS, generator.integers(1, 7))) for _ in range(rows * (1 + candidates))]
    found = np.array(texts, object).reshape(rows, 1 + candidates)
    return {"query": found[:, 0], "candidates": found[:, 1:]}


def customers(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    usage = generator.normal(size=(rows, 6)).astype(np.float32)
    country, plan = generator.integers(0, 20, rows), generator.integers(0, 5, rows)
    return {"usage": usage, "country": country, "plan": plan, "active": generator.random(rows) > 0.5}


def eight(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    return {"x": generator.normal(size=(rows, 8)).astype(np.float32)}


def any_images(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    height, width = generator.integers(4, 33, 2)
    return {"image": generator.integers(0, 256, (rows, 3, height, width), np.uint8)}


def hidden_ends(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    """Vectors with a mask that is True from the end of each row on."""
    size = int(generator.integers(1, 17))
    own = generator.integers(1, size + 1, (rows, 1))
    return {"x": generator.normal(size=(rows, size, 8)).astype(np.float32), "padding": np.arange(size) >= own}


def recordings(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    pieces = [generator.integers(-9999, 9999, size, np.int16) for size in generator.integers(60, 401, rows)]
    return {"pcm": np.array([each.tobytes() for each in pieces], object)}


def steps(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    """Sequences padded by the client, each with the number of its own steps."""
    own = generator.integers(1, 9, rows)
    x = generator.normal(size=(rows, own.max(), 4)).astype(np.float32)
    return {"x": x, "steps": own}


def speech(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    own = generator.integers(40, 401, (rows, 1))
    mask = (np.arange(own.max()) < own).astype(np.int64)
    return {"input_values": (generator.normal(size=mask.shape) * mask).astype(np.float32), "attention_mask": mask}


def mel(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    own = generator.integers(1, 33, rows)
    return {"mel": generator.normal(size=(rows, own.max(), 80)).astype(np.float32), "frames": own}


def texts_and_pictures(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    """Texts that end with their end token, as CLIP's do, padded by the client."""
    own = generator.integers(2, 17, (rows, 1))
    places = np.arange(own.max())
    ids = np.where(places < own - 1, generator.integers(1, 48, (rows, own.max())), 49)
    pixels = generator.normal(size=(rows, 3, 32, 32)).astype(np.float32)
    return {"input_ids": ids, "pixel_values": pixels, "attention_mask": (places < own).astype(np.int64)}


def zero_shot(generator: np.random.Generator, rows: int) -> dict[str, Array]:
    """A picture with several texts, each of which ends with its end token."""
    candidates, tokens = generator.integers(1, 5), int(generator.integers(2, 9))
    own = generator.integers(2, tokens + 1, (rows, candidates, 1))
    places = np.arange(tokens)
    ids = np.where(places < own - 1, generator.integers(1, 48, (rows, candidates, tokens)), 0)
    pixels = generator.normal(size=(rows, 3, 32, 32)).astype(np.float32)
    return {"pixel_values": pixels, "input_ids": np.where(places == own - 1, 49, ids)}
