"""The inputs of a config that leaves them out, from the requests that it names as `example`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from configs.parse import first_rule_broken
from configs.schema import ModelConfig
from configs.tensors import TensorConfig

from ..errors import ModelError
from ..signature import NUMPY, Array
from ..user_code import call_at_start
from . import examples

_ADVICE = "give a dict of arrays with an entry for each input, rows first, or a list of such dicts"
_NUMBERS_OF_JSON = {"INT64", "FP32"}


def inputs_of(config: ModelConfig) -> tuple[TensorConfig, ...]:
    """Return the inputs that the requests of a config's example have.

    A size in which they differ is the one open dimension of the config. Fractions are FP32, whatever their width:
    numpy's own are FP64, which few networks take.

    Raises:
        ModelError: they cannot be read, differ in what they hold, or leave a size open that cannot be named.
    """
    requests = examples.requests_of(config.example, config.predict.decode)
    return call_at_start("example", _ADVICE, _inputs, requests, config)


def _inputs(requests: Sequence[Any], config: ModelConfig) -> tuple[TensorConfig, ...]:
    if not requests or not all(isinstance(each, Mapping) for each in requests):
        came = ", ".join(sorted({type(each).__name__ for each in requests}))
        holds = f"a request is a dict, and {came} came" if came else "holds no request"
        raise ModelError(f"example: {holds}\nhelp: {_ADVICE}")
    names = list(requests[0])
    if any(set(each) != set(names) for each in requests):
        raise ModelError(f"example: its requests have different inputs\nhelp: {_ADVICE}")
    return tuple(_of_name(str(name), [each[name] for each in requests], config) for name in names)


def _of_name(name: str, values: Sequence[Any], config: ModelConfig) -> TensorConfig:
    # JSON writes 31 beside 64.5: whole numbers there are no datatype, as those of an array are.
    typed = any(isinstance(each, np.ndarray) for each in values)
    return _input(name, [_array(name, each) for each in values], typed, config)


def _array(name: str, value: Any) -> Array:
    try:
        array: Array = value if isinstance(value, np.ndarray) else np.asarray(value)
    except ValueError as error:
        raise ModelError(
            f"example: {name!r} has rows of different sizes\nhelp: give each in its own request"
        ) from error
    if array.dtype.kind in "SUO":
        return array.astype(object)
    if array.ndim == 0 or array.dtype.kind not in "biuf":
        raise ModelError(f"example: {name!r} is {array.dtype} of shape {list(array.shape)}\nhelp: {_ADVICE}")
    # Of a file from another machine, or of more bits than any datatype: the same numbers.
    return array.astype(np.float64 if array.dtype == np.longdouble else array.dtype.newbyteorder("="), copy=False)


def _input(name: str, arrays: Sequence[Array], typed: bool, config: ModelConfig) -> TensorConfig:
    kinds, ranks = {_datatype(array) for array in arrays}, {array.ndim for array in arrays}
    if kinds == _NUMBERS_OF_JSON and not typed:
        kinds = {"FP32"}
    if len(kinds) > 1 or len(ranks) > 1:
        forms = ", ".join(sorted({f"{_datatype(array)} of {array.ndim} dimensions" for array in arrays}))
        raise ModelError(f"example: {name!r} is {forms}\nhelp: give it the same form in every request")
    first = arrays[0]
    sizes: list[int | str] = [
        size if all(array.shape[axis] == size for array in arrays) else _open(name, axis, first, config)
        for axis, size in enumerate(first.shape)
    ]
    shared = [axis for axis, size in enumerate(sizes) if axis and isinstance(size, str)]
    if any(len({array.shape[axis] for axis in shared}) > 1 for array in arrays):
        raise _unclear(name, f"sizes {' and '.join(map(str, shared))}", first, config)
    try:
        return TensorConfig.model_validate({"name": name, "datatype": kinds.pop(), "shape": [-1, *sizes[1:]]})
    except ValidationError as error:
        said = first_rule_broken(error)
        raise ModelError(f"example: {name!r} of shape {list(first.shape)}: {said}\nhelp: {_ADVICE}") from error


def _datatype(array: Array) -> str:
    if array.dtype == np.float64:
        return "FP32"
    return next(name for name, dtype in NUMPY.items() if dtype == array.dtype)


def _open(name: str, axis: int, first: Array, config: ModelConfig) -> int | str:
    if axis == 0:
        return -1
    if config.lengths and axis == 1:
        return -1
    if len(config.dims) == 1:
        return next(iter(config.dims))
    raise _unclear(name, f"size {axis}", first, config)


def _unclear(name: str, where: str, first: Array, config: ModelConfig) -> ModelError:
    count = len(config.dims)
    has = f"dims has {count} name{'s' if count > 1 else ''}" if count else "there are no dims"
    return ModelError(
        f"example: its requests differ in {where} of {name!r}, and {has}: which size is open is not known\n"
        f"help: {_advice(name, _datatype(first), list(first.shape), config)}"
    )


def _advice(name: str, datatype: str, shape: Sequence[int], config: ModelConfig) -> str:
    written = f"{{name: {name}, datatype: {datatype}, shape: [batch, {', '.join(map(str, shape[1:]))}]}}"
    listed = f"list inputs, as {written}, with a name of dims in place of each size that is open"
    if config.dims:
        return listed
    if datatype == "UINT8" and len(shape) == 4:
        return f"name pictures of one size, to which others are resized; or write dims, and {listed}"
    return (
        f"if this is the only one, write the sizes to warm, as dims: {{tokens: {{sizes: [16, 32, 64]}}}}; else {listed}"
    )
