"""Draws rows as the model takes them, examples or invented ones: after the preprocessing, in any padded shape."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from configs.schema import ModelConfig

from ..errors import ModelError
from ..runtime.returned_values import check_model_inputs, too_long, uneven
from ..signature import NUMPY, Array, Rows, Shape, Signature, Tensor, signature_of
from ..sources.hooks import Hooks
from ..user_code import call_at_start
from . import examples, random_inputs
from .examples import Examples

Preprocess = Callable[[Rows], dict[str, Array]]
_FIRST_ROWS = 2


class SampleInputs:
    """Draws rows as the model takes them, after the preprocessing if there is one.

    They are the config's examples, or invented where it has none.
    """

    def __init__(
        self,
        signature: Signature,
        preprocess: Preprocess | None,
        lengths: tuple[int, ...],
        examples: Examples | None = None,
    ) -> None:
        self.inputs = signature.inputs
        self.preprocess = preprocess
        self.lengths = lengths
        self.examples = examples
        self.model_inputs: tuple[Tensor, ...] = () if preprocess else signature.inputs
        if preprocess:
            self.model_inputs = _inputs_of(self(_FIRST_ROWS, seed=1), _FIRST_ROWS, lengths)
        if examples is not None and lengths:
            self._refuse_lengths(examples, lengths[-1])

    def _refuse_lengths(self, given: Examples, longest: int) -> None:
        """Raise ModelError if a row of the examples is longer, or less even, than a request may be."""
        hooked, names = self.preprocess is not None, [each.name for each in self.model_inputs if not each.fixed]
        # The hook gets all rows at once: what it returns is as wide as the longest.
        for row in [self(len(given), seed=1)] if hooked else given.rows:
            if sentence := too_long(row, names, longest) or (None if hooked else uneven(row, names)):
                what = f"example: {'preprocessed, ' if hooked else ''}{sentence}"
                raise ModelError(f"{what}\nhelp: give rows that a client may send")

    def in_order(self, model_inputs: tuple[Tensor, ...]) -> "SampleInputs":
        """Return a copy whose rows reach the model in this order."""
        other = copy.copy(self)
        other.model_inputs = model_inputs
        return other

    def __call__(self, rows: int, seed: int, length: int | None = None) -> dict[str, Array]:
        words = length or (self.lengths[0] if self.lengths else 8)
        drawn = self.examples
        arrays = random_inputs.sample(self.inputs, rows, seed, words) if drawn is None else drawn.draw(rows, seed)
        return arrays if self.preprocess is None else self.preprocessed(arrays, rows)

    @property
    def note(self) -> str:
        """The help of an error: which rows the network was asked with."""
        if self.examples is not None and not self.examples.invented:
            return "it was asked with the rows of example: look there too"
        if any(each.datatype == "BYTES" for each in self.inputs):
            return "it was asked with invented words: name a file of real inputs as example"
        return "it was asked with invented numbers: name real rows as example, or give low and high of the inputs"

    @property
    def source(self) -> str:
        """Whose rows these are, for log and metadata."""
        count = 0 if self.examples is None or self.examples.invented else len(self.examples)
        return "invented rows" if not count else f"{count} example row{'s' * (count != 1)}"

    def shaped(self, shape: Shape, seed: int) -> dict[str, Array]:
        """Return rows of exactly this padded shape."""
        rows, length = shape
        arrays = self(rows, seed, length or None)
        if not length:
            return arrays
        # Real rows are as long as they are: repeated, they fill a longer one with numbers that the network knows.
        fit = stretch if self.examples is None else _repeated
        return {tensor.name: fit(arrays[tensor.name], tensor, length) for tensor in self.model_inputs}

    def preprocessed(self, arrays: Rows, rows: int) -> dict[str, Array]:
        """Return these rows, preprocessed, and checked against what the preprocessing returned first."""
        assert self.preprocess is not None
        advice = "its arrays are read-only: copy one before you change it"
        if self.examples is None:
            advice = f"{self.note}; {advice}"
        returned = call_at_start("preprocess", advice, self.preprocess, arrays)
        # Sizes may differ from the first rows': if an open size is not listed, the audit must find out.
        sizes_aside = [replace(tensor, shape=(-1,) * len(tensor.shape)) for tensor in self.model_inputs]
        return self._cut(check_model_inputs(returned, rows, sizes_aside)) if self.model_inputs else returned

    def _cut(self, arrays: dict[str, Array]) -> dict[str, Array]:
        """Return rows no longer than a request's may be: words that were drawn hold more tokens than words."""
        if not self.lengths or (self.examples is not None and not self.examples.invented):
            return arrays
        longest, fixed = self.lengths[-1], [each.name for each in self.model_inputs if each.fixed]
        return {name: array if name in fixed else array[:, :longest] for name, array in arrays.items()}


def draw_of(config: ModelConfig, hooks: Hooks) -> SampleInputs:
    """Return the SampleInputs of a config's model."""
    return SampleInputs(signature_of(config), hooks.preprocess, config.lengths or (), examples.of_config(config))


def _inputs_of(returned: object, rows: int, lengths: tuple[int, ...]) -> tuple[Tensor, ...]:
    datatypes = {dtype: name for name, dtype in NUMPY.items()}
    model_inputs = []
    if not isinstance(returned, Mapping) or not returned:
        raise ModelError(
            f"preprocess returned a {type(returned).__name__}\n"
            "help: return a dict of numpy arrays, one for each input of forward"
        )
    for name, array in returned.items():
        if not isinstance(array, np.ndarray) or array.shape[:1] != (rows,):
            came = f"an array of shape {list(array.shape)}" if hasattr(array, "shape") else f"a {type(array).__name__}"
            raise ModelError(
                f"preprocess: {name!r} is {came} for {rows} rows\n"
                "help: return numpy arrays with one row for each input row"
            )
        if array.dtype not in datatypes or array.dtype == object:
            raise ModelError(f"preprocess: {name!r} has dtype {array.dtype}\nhelp: return plain numeric numpy arrays")
        tail = (-1, *array.shape[2:]) if lengths and array.ndim > 1 else array.shape[1:]
        model_inputs.append(Tensor(name, datatypes[array.dtype], (-1, *tail)))
    if lengths and all(tensor.fixed for tensor in model_inputs):
        raise ModelError(
            "lengths is given, but no array that preprocess returns has a dimension besides the rows\n"
            "help: leave lengths out, or return arrays of shape [rows, length, ...]"
        )
    return tuple(model_inputs)


def _repeated(array: Array, tensor: Tensor, length: int) -> Array:
    """Return an array [rows, any, ...] repeated or cut to [rows, length, ...]; a fixed one as it is."""
    if tensor.fixed or array.shape[1] == 0:
        return stretch(array, tensor, length)
    times = -(-length // array.shape[1])
    return np.ascontiguousarray(np.concatenate([array] * times, axis=1)[:, :length])


def stretch(array: Array, tensor: Tensor, length: int) -> Array:
    """Return an array [rows, any, ...] padded with zeros, or cut, to [rows, length, ...]; a fixed one as it is."""
    if tensor.fixed:
        return array
    # A text of about `length` words can hold more tokens than that; both ends must meet the padded size.
    wide = np.zeros((array.shape[0], length, *array.shape[2:]), dtype=array.dtype)
    kept = min(length, array.shape[1])
    wide[:, :kept] = array[:, :kept]
    return wide
