"""The inputs of a config that leaves them out, from the requests that it names as `example`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from configs.schema import ModelConfig
from configs.tensors import TensorConfig

from ..errors import ModelError
from ..signature import NUMPY, Array
from ..user_code import call_at_start
from . import examples

_ADVICE = "give a dict of arrays with an entry for each input, rows first, or a list of such dicts"


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
        raise ModelError(f"example: holds no request\nhelp: {_ADVICE}")
    names = list(requests[0])
    if any(set(each) != set(names) for each in requests):
        raise ModelError(f"example: its requests have different inputs\nhelp: {_ADVICE}")
    return tuple(_input(str(name), [_array(str(name), each[name]) for each in requests], config) for name in names)


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


def _input(name: str, arrays: Sequence[Array], config: ModelConfig) -> TensorConfig:
    kinds, ranks = {_datatype(array) for array in arrays}, {array.ndim for array in arrays}
    if len(kinds) > 1 or len(ranks) > 1:
        forms = ", ".join(sorted({f"{_datatype(array)} of {array.ndim} dimensions" for array in arrays}))
        raise ModelError(f"example: {name!r} is {forms}\nhelp: give it the same form in every request")
    first = arrays[0]
    sizes: list[int | str] = [
        size if all(array.shape[axis] == size for array in arrays) else _open(name, axis, config)
        for axis, size in enumerate(first.shape)
    ]
    try:
        return TensorConfig.model_validate({"name": name, "datatype": kinds.pop(), "shape": [-1, *sizes[1:]]})
    except ValidationError as error:
        said = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ").partition("\nhelp: ")[0]
        raise ModelError(f"example: {name!r} of shape {list(first.shape)}: {said}\nhelp: {_ADVICE}") from error


def _datatype(array: Array) -> str:
    if array.dtype == np.float64:
        return "FP32"
    return next(name for name, dtype in NUMPY.items() if dtype == array.dtype)


def _open(name: str, axis: int, config: ModelConfig) -> int | str:
    if axis == 0:
        return -1
    if config.lengths and axis == 1:
        return -1
    if len(config.dims) == 1:
        return next(iter(config.dims))
    has = f"dims has {len(config.dims)} names" if config.dims else "there are no dims"
    raise ModelError(
        f"example: its requests differ in size {axis} of {name!r}, and {has}: which size is open is not known\n"
        "help: list inputs with the names of their open sizes, as shape: [batch, tokens], and the sizes to warm under "
        "dims, as tokens: {sizes: [16, 32, 64]}"
    )
