"""Draws probe rows in the form that the model takes: after the preprocessing, in a padded shape of one's choice."""

from collections.abc import Callable

import numpy as np

from configs.schema import ModelConfig

from . import probe
from .errors import ModelError
from .resolve import resolve
from .signature import NUMPY, Array, Rows, Shape, Signature, Tensor, signature_of

Preprocess = Callable[[Rows], dict[str, Array]]


class Draw:
    """Draws probe rows in the form that the model takes, after the preprocessing where there is one."""

    def __init__(self, signature: Signature, preprocess: Preprocess | None, lengths: tuple[int, ...]) -> None:
        self.inputs = signature.inputs
        self.preprocess = preprocess
        self.lengths = lengths
        self.feed = signature.inputs if preprocess is None else _feed_of(self(2, seed=1), lengths)

    def __call__(self, rows: int, seed: int, length: int | None = None) -> dict[str, Array]:
        words = length or (self.lengths[0] if self.lengths else 8)
        arrays = probe.sample(self.inputs, rows, seed, words)
        return arrays if self.preprocess is None else self.preprocess(arrays)

    def shaped(self, shape: Shape, seed: int) -> dict[str, Array]:
        """Return rows that take exactly this padded shape."""
        rows, length = shape
        arrays = self(rows, seed, length or None)
        if not length:
            return arrays
        return {tensor.name: stretch(arrays[tensor.name], tensor, length) for tensor in self.feed}


def draw_of(config: ModelConfig) -> Draw:
    """Return what draws rows for the model of a config."""
    preprocess = resolve(config.preprocess)() if config.preprocess else None
    return Draw(signature_of(config), preprocess, config.lengths or ())


def _feed_of(arrays: dict[str, Array], lengths: tuple[int, ...]) -> tuple[Tensor, ...]:
    datatypes = {dtype: name for name, dtype in NUMPY.items()}
    feed = []
    for name, array in arrays.items():
        if array.dtype not in datatypes or array.dtype == object:
            raise ModelError(f"preprocess: {name!r} has dtype {array.dtype}\nhelp: return plain numeric numpy arrays")
        tail = (-1, *array.shape[2:]) if lengths and array.ndim > 1 else array.shape[1:]
        feed.append(Tensor(name, datatypes[array.dtype], (-1, *tail)))
    if lengths and all(tensor.fixed for tensor in feed):
        raise ModelError(
            "lengths is given, but preprocess returns nothing of more sizes than the rows\n"
            "help: leave lengths out, or return arrays of shape [rows, length, ...]"
        )
    return tuple(feed)


def stretch(array: Array, tensor: Tensor, length: int) -> Array:
    """Return an array [rows, any, ...] padded with zeros, or cut, to [rows, length, ...]; a fixed one as it is."""
    if tensor.fixed:
        return array
    # A text of about `length` words can hold more tokens than that; both ends must meet the padded size.
    wide = np.zeros((array.shape[0], length, *array.shape[2:]), dtype=array.dtype)
    kept = min(length, array.shape[1])
    wide[:, :kept] = array[:, :kept]
    return wide
