"""Inputs that fit a model's metadata, for when the user brings none: seeded, so that two runs send the same.

Whole numbers are within the bounds that the metadata gives; else below 100, to pass for token ids. Texts are short
sentences.
"""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from models.signature import NUMPY, Array

from .errors import LoadError
from .tensor import Tensor

_TOKENS = 100
_TEXT = (
    "the quick model answers every question in a few milliseconds while users wait for the next page of a report "
    "about trains rivers markets weather and what people said of them last week"
)
_LEAST_WORDS, _MOST_WORDS = 4, 24


def draw(declared: Mapping[str, Any], rows: int, length: int, seed: int) -> Tensor:
    """Return values for one input.

    Args:
        declared: the input, as the metadata has it, with `low` and `high` where they are known.
        rows: size of an open first dimension.
        length: size of every other open dimension.
        seed: the same for the same values.
    """
    name, datatype = str(declared["name"]), str(declared["datatype"])
    if datatype not in NUMPY:
        raise LoadError(f"input {name!r} is {datatype}, for which no values can be drawn", "bring some by --requests")
    sizes = [int(size) for size in declared["shape"]]
    shape = [rows if not place and size < 0 else length if size < 0 else size for place, size in enumerate(sizes)]
    return Tensor(name, datatype, _values(datatype, tuple(shape), seed, declared.get("low"), declared.get("high")))


def _values(datatype: str, shape: tuple[int, ...], seed: int, low: int | None, high: int | None) -> Array:
    rng, dtype = np.random.default_rng(seed), NUMPY[datatype]
    if datatype == "BYTES":
        return _sentences(shape, random.Random(seed))
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    low, most = low or 0, 255 if datatype == "UINT8" else _TOKENS - 1
    return rng.integers(low, max(low, most) if high is None else high, shape, dtype, endpoint=True)


def _sentences(shape: tuple[int, ...], rng: random.Random) -> Array:
    words = _TEXT.split()
    values = np.empty(int(np.prod(shape)), dtype=object)
    for place in range(len(values)):
        count = rng.randint(_LEAST_WORDS, _MOST_WORDS)
        values[place] = " ".join(rng.choices(words, k=count)).encode()
    return values.reshape(shape)
