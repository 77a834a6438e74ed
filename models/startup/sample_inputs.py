"""Draws rows as the model takes them, examples or invented ones: after the preprocessing, in any padded shape."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from configs.named_size import axis_named
from configs.schema import ModelConfig
from configs.values import check_held

from ..errors import ModelError
from ..runtime.dims import Dim, OpenSizes, by_name, dims_in
from ..runtime.returned_values import check_model_inputs
from ..runtime.value_ranges import ValueRanges
from ..signature import NUMPY, Array, Rows, Shape, Signature, Sizes, Tensor, declared_model_inputs, signature_of
from ..sources.hooks import Hooks
from ..user_code import call_at_start
from . import examples, random_inputs
from .examples import Examples

Preprocess = Callable[[Rows], dict[str, Array]]
_FIRST_ROWS = 2
# As many examples show which axes are open, and invented texts have as many words.
_COMPARED = 8
_WORDS = 8


class SampleInputs:
    """Draws rows as the model takes them, after the preprocessing if there is one.

    They are the config's examples, or invented where it has none.
    """

    def __init__(
        self,
        signature: Signature,
        preprocess: Preprocess | None,
        dims: Sequence[Dim],
        examples: Examples | None = None,
        declared: Sequence[Tensor] | None = None,
    ) -> None:
        """Draw rows of a signature; `declared` are the inputs after the preprocessing, where the config says them."""
        self.inputs = signature.inputs
        self.preprocess = preprocess
        self.dims = tuple(dims)
        self.examples = examples
        self.model_inputs: tuple[Tensor, ...] = () if preprocess else signature.inputs
        if preprocess:
            self.model_inputs = self._found() if declared is None else self._held_against(declared)
        self.open_sizes = OpenSizes(dims, self.model_inputs)
        if examples is not None:
            self._refuse(examples)

    def _found(self) -> tuple[Tensor, ...]:
        """Return what the preprocessing returns, as several runs show."""
        assert self.preprocess is not None
        first = self(_FIRST_ROWS, seed=1)
        others: list[object] = []
        if self.dims and self.examples is None:
            longest = tuple(dim.sizes[-1] for dim in self.dims)
            others = [self.preprocessed(random_inputs.sample(self.inputs, 1, seed, longest[0]), 1) for seed in (2, 3)]
        elif self.dims and self.examples is not None:
            others = [self.preprocessed(row, 1) for row in self.examples.rows[:_COMPARED]]
        return found_inputs(first, _FIRST_ROWS, self.dims, others)

    def _held_against(self, declared: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return what the config declares; raise ModelError if the preprocessing returns something else."""
        returned = check_model_inputs(self(_FIRST_ROWS, seed=1), _FIRST_ROWS, declared)
        if sentence := ValueRanges(declared, self.dims).refused(returned):
            raise ModelError(f"preprocess: {sentence}\nhelp: correct low and high in model_inputs, or what it returns")
        return tuple(declared)

    def _refuse(self, given: Examples) -> None:
        """Raise ModelError if a row of the examples has values, or sizes, that no request may have."""
        hooked = self.preprocess is not None
        ranges = ValueRanges(self.inputs, () if hooked else self.dims)
        checked = (ranges.refused(row, place) for place, row in enumerate(given.rows))
        if ranges and (sentence := next(filter(None, checked), None)):
            raise ModelError(f"example: {sentence}\nhelp: give rows that a client may send, or correct low and high")
        if not self.dims:
            return
        # The hook gets all rows at once: what it returns is as wide as the longest.
        for row in [self(len(given), seed=1)] if hooked else given.rows:
            if sentence := self.open_sizes.refused(row, even=not hooked):
                what = f"example: {'preprocessed, ' if hooked else ''}{sentence}"
                raise ModelError(f"{what}\nhelp: give rows that a client may send, or warm a larger size")

    def in_order(self, model_inputs: tuple[Tensor, ...]) -> "SampleInputs":
        """Return a copy whose rows reach the model in this order."""
        other = copy.copy(self)
        other.model_inputs = model_inputs
        return other

    @property
    def least(self) -> dict[str, int]:
        """The smallest warmed size of each open dimension, by name."""
        return {dim.name: dim.sizes[0] for dim in self.dims}

    def sizes_of(self, rows: Rows) -> dict[str, int]:
        """Return the sizes of rows as the model takes them, by the dimensions' names."""
        return by_name(self.dims, self.open_sizes.own(rows))

    def __call__(self, rows: int, seed: int, sizes: Sizes | None = None, words: int | None = None) -> dict[str, Array]:
        """Return rows; invented ones have these sizes, texts about so many words, or as many as the first size."""
        drawn = self.examples
        if drawn is None:
            chosen = sizes or tuple(self.least.values())
            of = by_name(self.dims, chosen)
            arrays = random_inputs.sample(self.inputs, rows, seed, words or (chosen[0] if chosen else _WORDS), of)
        else:
            arrays = drawn.draw(rows, seed)
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
        rows, sizes = shape
        arrays = self(rows, seed, sizes)
        if not sizes:
            return arrays
        of = by_name(self.dims, sizes)
        # Real rows are as long as they are: repeated, they fill a longer one with numbers that the network knows.
        fit = stretch if self.examples is None else _repeated
        fitted = {tensor.name: fit(arrays[tensor.name], tensor, of) for tensor in self.model_inputs}
        cut = [of[name] for name, size in self.sizes_of(arrays).items() if size > of[name]]
        return lowered(fitted, self.model_inputs, min(cut)) if cut else fitted

    def preprocessed(self, arrays: Rows, rows: int) -> dict[str, Array]:
        """Return these rows, preprocessed, and checked against what the preprocessing returned first."""
        assert self.preprocess is not None
        advice = f"it was called with {list(arrays)}; its arrays are read-only: copy one before you change it"
        if self.examples is None:
            advice = f"{self.note}; {advice}"
        returned = call_at_start("preprocess", advice, self.preprocess, arrays)
        # Sizes may differ from the first rows': if an open size is not listed, the audit must find out.
        sizes_aside = [replace(tensor, shape=(-1,) * len(tensor.shape)) for tensor in self.model_inputs]
        return self._cut(check_model_inputs(returned, rows, sizes_aside)) if self.model_inputs else returned

    def _cut(self, arrays: dict[str, Array]) -> dict[str, Array]:
        """Return rows no larger than a request's may be: words that were drawn hold more tokens than words."""
        if self.examples is not None and not self.examples.invented:
            return arrays
        most = {dim.name: dim.sizes[-1] for dim in self.dims}
        for tensor in self.model_inputs:
            for each in tensor.named:
                if each.name in most:
                    kept = (slice(None),) * each.axis
                    arrays[tensor.name] = arrays[tensor.name][(*kept, slice(most[each.name]))]
        return arrays


def draw_of(config: ModelConfig, hooks: Hooks) -> SampleInputs:
    """Return the SampleInputs of a config's model."""
    signature, given = signature_of(config), examples.of_config(config)
    return SampleInputs(signature, hooks.preprocess, dims_in(config.open_dims), given, declared_model_inputs(config))


def found_inputs(returned: object, rows: int, dims: Sequence[Dim], others: Sequence[object] = ()) -> tuple[Tensor, ...]:
    """Return the tensors that a preprocessing returned for so many rows.

    Of one open dimension the axes are those that differ between runs, in `others` too; where none does, the first after
    the rows of every array.

    Raises:
        ModelError: it is no dict of numeric arrays with these rows, or none has an axis for the open dimension.
    """
    datatypes = {dtype: name for name, dtype in NUMPY.items()}
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
    axes = _open_axes(returned, others) if dims else {}
    tensors = []
    for name, array in returned.items():
        sizes = [-1 if axis in axes.get(name, ()) else size for axis, size in enumerate(array.shape)]
        open_sizes = tuple(axis_named(axis, dims[0].name) for axis in axes.get(name, ()))
        pad = dims[0].config.pad_of(name) if open_sizes and dims[0].padded else 0.0
        try:
            check_held(f"dims: the padding of {name!r}", pad, datatypes[array.dtype])
        except ValueError as error:
            raise ModelError(str(error)) from error
        tensors.append(Tensor(name, datatypes[array.dtype], (-1, *sizes[1:]), named=open_sizes, pad=pad))
    given = [name for dim in dims if isinstance(dim.config.pad, dict) for name in dim.config.pad]
    if strangers := [name for name in given if not axes.get(name)]:
        has = [tensor.name for tensor in tensors if not tensor.fixed]
        raise ModelError(
            f"dims: {dims[0].name} is padded in {strangers[0]!r}, which does not have it\n"
            f"help: of what preprocess returns, {has} have it"
        )
    if dims and all(tensor.fixed for tensor in tensors):
        key = "dims" if dims[0].name else "lengths"
        raise ModelError(
            f"{key} is given, but no array that preprocess returns has a dimension besides the rows\n"
            f"help: leave {key} out, or return arrays of shape [rows, length, ...]"
        )
    return tuple(tensors)


def _open_axes(returned: Mapping[str, Array], others: Sequence[object]) -> dict[str, tuple[int, ...]]:
    """Return the axes whose sizes differ between runs, by array; where none does, the first after the rows."""
    runs = [each for each in others if isinstance(each, Mapping)]
    differing: dict[str, tuple[int, ...]] = {}
    for name, array in returned.items():
        shapes = [np.shape(run[name]) for run in runs if name in run]
        differing[name] = tuple(
            axis
            for axis in range(1, array.ndim)
            if any(len(shape) == array.ndim and shape[axis] != array.shape[axis] for shape in shapes)
        )
    if any(differing.values()):
        return differing
    return {name: (1,) for name, array in returned.items() if array.ndim > 1}


def _repeated(array: Array, tensor: Tensor, sizes: Mapping[str, int]) -> Array:
    """Return an array [rows, any, ...] repeated or cut to these sizes; a fixed one as it is."""
    for each in tensor.named:
        size = sizes[each.name]
        if 0 < array.shape[each.axis] < size:
            array = np.concatenate([array] * -(-size // array.shape[each.axis]), axis=each.axis)
    return stretch(array, tensor, sizes)


def lowered(rows: Rows, model_inputs: Sequence[Tensor], size: int) -> dict[str, Array]:
    """Return rows that were cut to a size, in which no whole number of a row says that it has more.

    It may be the row's length. Any other number is as good as before.
    """
    kept = dict(rows)
    for tensor in model_inputs:
        if len(tensor.shape) == 1 and tensor.numpy.kind in "iu":
            least = min(max(size, int(tensor.low or 0)), int(np.iinfo(tensor.numpy).max))
            kept[tensor.name] = np.minimum(kept[tensor.name], least).astype(tensor.numpy)
    return kept


def stretch(array: Array, tensor: Tensor, sizes: Mapping[str, int]) -> Array:
    """Return an array [rows, any, ...] padded, or cut, to these sizes; a fixed one as it is."""
    if tensor.fixed:
        return array
    # A text can hold more tokens than words, or fewer; both must meet the padded size.
    tail = tensor.sized(sizes)
    wide = np.full((len(array), *tail), tensor.pad, dtype=array.dtype)
    kept = tuple(slice(min(size, have)) for size, have in zip(tail, array.shape[1:], strict=True))
    wide[(slice(None), *kept)] = array[(slice(None), *kept)]
    return wide
