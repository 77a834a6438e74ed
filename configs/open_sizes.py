"""The rules for open sizes over all tensors of a model: every name is listed, and has few enough sizes to warm."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from .named_size import NamedSize
from .suggest import closest
from .tensors import OutputConfig, TensorConfig
from .values import check_held

if TYPE_CHECKING:
    from .schema import ModelConfig

# The kind of this error: `pitstop audit` knows it for one of the five mistakes.
OPEN_SIZE = "open_size"
# A start runs each of these at every batch size.
MOST_SHAPES = 64


def check_dims(config: "ModelConfig") -> None:
    """Raise ValueError if `dims` contradict themselves, `lengths`, or what the tensors name."""
    if config.lengths and config.dims:
        raise ValueError("lengths is for one dimension without a name, and dims has names: use dims alone")
    if (count := math.prod(len(each.sizes) for each in config.dims.values())) > MOST_SHAPES:
        terms = " x ".join(f"{len(each.sizes)} of {name}" for name, each in config.dims.items())
        raise ValueError(
            f"dims have {terms} sizes, {count} shapes in all, and a start warms {MOST_SHAPES} at most: list fewer "
            "sizes; with pad: none one that is not listed runs as it is"
        )
    taken = config.inputs if not config.may_preprocess else config.model_inputs
    if taken is None:
        _check_by_hook(config)
    if not taken:
        return
    names = _names(taken)
    for tensor in taken:
        for each in tensor.named:
            if each.name not in config.dims:
                what = f"input {tensor.name!r} names {each.name}, which dims does not list"
                raise open_size(what, _unlisted(each.name, config.dims))
            if not each.plain:
                raise ValueError(f"input {tensor.name!r} has the size {each.text}: only an output's may be computed")
        if isinstance(tensor.high, str) and tensor.high not in config.dims:
            raise ValueError(f"input {tensor.name!r} has high: {tensor.high}, which dims does not list")
    if unused := [name for name in config.dims if name not in names]:
        _refuse_rows(taken, unused)
        raise ValueError(f"dims lists {unused[0]}, but no input names it in its shape")
    _check_padding(config, taken)


def check_own_inputs(config: "ModelConfig") -> None:
    """Raise ValueError if inputs without a preprocess have an open size that has no sizes to warm, or a wrong place."""
    unnamed = [tensor.shape[1:].count(-1) for tensor in config.inputs]
    if not unnamed:
        return
    if config.dims and any(unnamed):
        raise ValueError("an open dimension is -1, though dims are listed: give it the name of one of them")
    if any(unnamed) and config.lengths is None:
        raise open_size("an input has an open dimension")
    if config.lengths is not None and max(unnamed) == 0:
        raise ValueError("lengths is given, but no input has an open dimension")
    if any(count and tensor.shape[1] != -1 for count, tensor in zip(unnamed, config.inputs, strict=True)):
        raise ValueError("an open dimension must come right after the rows, as [-1, -1, ...], or have a name in dims")
    if max(unnamed) > 1:
        raise ValueError("an input may have one open dimension without a name besides the rows: name them in dims")


def check_own_outputs(config: "ModelConfig") -> None:
    """Raise ValueError if an output is one that only postprocess can give, or counts what it cannot."""
    for output in config.outputs:
        if output.datatype == "BYTES" or -1 in output.shape[1:]:
            raise ValueError(
                f"output {output.name!r} must be numeric, with no open dimension except the rows; "
                "postprocess may return text and open dimensions, and an open dimension of an input, or a count, "
                "has a name"
            )
        for each in output.named:
            if each.name not in config.dims:
                _refuse_count(config, output, each)
        counted = [each.name for each in output.named if each.name not in config.dims]
        if len(counted) > 1:
            raise ValueError(f"output {output.name!r} has two counts, {counted[0]} and {counted[1]}: it may have one")
    if named := [each.name for each in config.outputs if each.name in config.dims]:
        raise ValueError(f"output {named[0]!r} has the name of a dimension: rename the dimension")
    for name in count_names(config):
        given = next((each for each in config.outputs if each.name == name), None)
        if given is None and config.handler is not None:
            raise ValueError(f"an output has the count {name}, and handler is given: list {name} as an output too")
        if given is not None and (given.datatype not in ("INT32", "INT64") or len(given.shape) != 1):
            raise ValueError(
                f"output {name!r} counts the {name} of other outputs: its datatype must be INT32 or INT64, its shape "
                "[batch]"
            )


def count_names(config: "ModelConfig") -> list[str]:
    """Return the names in outputs that are no dimension of an input: only the data decides them, row by row."""
    named = (each.name for output in config.outputs for each in output.named)
    return list(dict.fromkeys(name for name in named if name not in config.dims))


def counts_of(config: "ModelConfig") -> tuple[OutputConfig, ...]:
    """Return the outputs of counts that the config does not list; what a hook returns is listed in full."""
    if config.postprocess is not None or config.handler is not None:
        return ()
    listed = {each.name for each in config.outputs}
    return tuple(
        OutputConfig.model_validate({"name": name, "datatype": "INT64", "shape": [-1]})
        for name in count_names(config)
        if name not in listed
    )


def largest(config: "ModelConfig", tensor: TensorConfig) -> tuple[int, ...]:
    """Return the largest sizes of a row, 1 for those that only the data decides."""
    sizes = [max(config.lengths or (1,)) if size == -1 else size for size in tensor.sizes[1:]]
    for each in tensor.named:
        sizes[each.axis - 1] = each.of(config.dims[each.name].sizes[-1]) if each.name in config.dims else 1
    return tuple(sizes)


def open_size(what: str, advice: str = "") -> PydanticCustomError:
    """Return the error of an open dimension without sizes to warm."""
    told = f"{what}: give it a size, or list the sizes to warm in lengths or dims"
    return PydanticCustomError(OPEN_SIZE, f"{told}\nhelp: {advice}" if advice else told)


def _unlisted(name: str, dims: Iterable[str]) -> str:
    """Say what to write for a name that dims does not list."""
    near = closest(name, dims)
    return f"did you mean {near!r}?" if near else f"write dims: {{{name}: {{sizes: [16, 32, 64]}}}} with sizes of yours"


def _refuse_rows(taken: Iterable[TensorConfig], unused: list[str]) -> None:
    """Raise ValueError where a dimension stands in the place of the rows."""
    for tensor in taken:
        if tensor.shape[0] in unused:
            shown = ", ".join(map(str, tensor.shape))
            raise ValueError(
                f"input {tensor.name!r} has shape [{shown}], whose first size counts the rows\n"
                f"help: write shape: [batch, {shown}]"
            )


def _refuse_count(config: "ModelConfig", output: TensorConfig, size: NamedSize) -> None:
    """Raise ValueError for a name that dims does not list, if it can be no count."""
    near = closest(size.name, config.dims, cutoff=0.8)
    advice = f"write {near}, or give the count another name" if near else "list the dimension in dims"
    if near or not size.plain:
        raise ValueError(
            f"output {output.name!r} names {size.text}, which dims does not list, and a count is a name of its own\n"
            f"help: {advice}"
        )


def _names(tensors: Iterable[TensorConfig]) -> set[str]:
    return {each.name for tensor in tensors for each in tensor.named}


def _check_by_hook(config: "ModelConfig") -> None:
    """Check dims where the arrays that have them come from a hook, and no model_inputs say their shapes."""
    if len(config.dims) > 1:
        raise ValueError(
            f"dims has {list(config.dims)}, and preprocess returns the arrays: write model_inputs, so that it is known "
            "which array has which"
        )


def _check_padding(config: "ModelConfig", taken: Iterable[TensorConfig]) -> None:
    taken = tuple(taken)
    having = {name: [each.name for each in taken if name in _names([each])] for name in config.dims}
    datatypes = {each.name: each.datatype for each in taken}
    fill: dict[str, float] = {}
    for name, dim in config.dims.items():
        given = dim.pad if isinstance(dim.pad, dict) else {}
        if strangers := [each for each in given if each not in having[name]]:
            raise ValueError(f"dims: {name} is padded in {strangers[0]!r}, which does not have it: {having[name]} do")
        for each in having[name]:
            if not dim.padded:
                continue
            value = dim.pad_of(each)
            check_held(f"dims: the padding of {each!r} in {name}", value, datatypes[each])
            if fill.setdefault(each, value) != value:
                raise ValueError(
                    f"dims: input {each!r} is padded with {fill[each]:g} in one dimension and with {value:g} in "
                    f"{name}: give it one value"
                )
