"""Inputs that fit a model's metadata, for when the user brings none: seeded, so that two runs send the same.

Metadata says nothing of the values. Integers stay below 100, to pass for token ids; texts are short sentences.
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
        declared: the input, as the metadata has it.
        rows: size of an open first dimension.
        length: size of every other open dimension.
        seed: the same for the same values.
    """
    name, datatype = str(declared["name"]), str(declared["datatype"])
    if datatype not in NUMPY:
        raise LoadError(f"input {name!r} is {datatype}, for which no values can be drawn", "bring some by --requests")
    sizes = [int(size) for size in declared["shape"]]
    shape = [rows if not place and size < 0 else length if size < 0 else size for place, size in enumerate(sizes)]
    return Tensor(name, datatype, _values(datatype, tuple(shape), seed))


def _values(datatype: str, shape: tuple[int, ...], seed: int) -> Array:
    rng, dtype = np.random.default_rng(seed), NUMPY[datatype]
    if datatype == "BYTES":
        return _sentences(shape, random.Random(seed))
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    top = 256 if datatype == "UINT8" else _TOKENS
    return rng.integers(0, top, shape).astype(dtype)


def _sentences(shape: tuple[int, ...], rng: random.Random) -> Array:
    words = _TEXT.split()
    values = np.empty(int(np.prod(shape)), dtype=object)
    for place in range(len(values)):
        count = rng.randint(_LEAST_WORDS, _MOST_WORDS)
        values[place] = " ".join(rng.choices(words, k=count)).encode()
    return values.reshape(shape)
