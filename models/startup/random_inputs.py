"""Draws random inputs that a signature allows, from a seed, for the warm-up and the checks of a start."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..signature import Array, Tensor

_WORDS = b"the quick brown fox jumps over a lazy dog while seven red cars wait in the pit lane for new tyres".split()


def sample(
    tensors: Sequence[Tensor], rows: int, seed: int, length: int = 16, sizes: Mapping[str, int] | None = None
) -> dict[str, Array]:
    """Return `rows` rows of every tensor. Open sizes are those in `sizes`, else `length`, the most words of a text."""
    generator = np.random.default_rng(seed)
    return {tensor.name: _draw(tensor, rows, generator, length, sizes or {}) for tensor in tensors}


def _draw(tensor: Tensor, rows: int, generator: np.random.Generator, length: int, sizes: Mapping[str, int]) -> Array:
    shape = (rows, *(length if size == -1 else size for size in tensor.sized(sizes)))
    kind = tensor.numpy.kind
    if kind == "O":
        return _texts(shape, generator, length)
    if kind == "b":
        return _attended(generator.integers(0, 2, shape).astype(np.bool_), tensor)
    if kind == "f":
        if tensor.low is None and tensor.high is None:
            return generator.standard_normal(shape).astype(tensor.numpy)
        low, high = tensor.low or 0.0, 1.0 if tensor.high is None else float(tensor.high)
        return generator.uniform(low, high, shape).astype(tensor.numpy)
    # By default ids and masks are 0 or 1, and images use the whole byte.
    default = 255 if tensor.datatype == "UINT8" else 1
    given = sizes.get(tensor.high, length) if isinstance(tensor.high, str) else tensor.high
    low, high = int(tensor.low or 0), int(default if given is None else given)
    # A bound is a float in the config; the largest of a 64-bit type is rounded up beyond the type.
    most = min(high, int(np.iinfo(tensor.numpy).max))
    drawn = generator.integers(low, most, shape, dtype=tensor.numpy, endpoint=True)
    return _attended(drawn, tensor) if (low, high) == (0, 1) else drawn


def _attended(drawn: Array, tensor: Tensor) -> Array:
    """Keep the first step of what may be a mask: a fully masked row has no answer to compare."""
    if not tensor.fixed and drawn.ndim > 1:
        drawn[:, 0] = 1
    return drawn


def _texts(shape: tuple[int, ...], generator: np.random.Generator, length: int) -> Array:
    texts = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        count = int(generator.integers(1, max(2, length)))
        texts[index] = b" ".join(_WORDS[word] for word in generator.integers(0, len(_WORDS), count))
    return texts
