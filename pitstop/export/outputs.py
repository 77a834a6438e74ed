"""Finds out what a network returns by asking it twice, with different numbers of rows."""

from typing import Any

import torch
from torch import nn

from configs.schema import OutputConfig
from models.errors import ModelError
from models.runtime.dims import all_sizes
from models.runtime.output_paths import leaves, names_in, text
from models.startup.declared_dtypes import DATATYPES
from models.startup.network_outputs import Returned, network_outputs
from models.startup.sample_inputs import SampleInputs
from models.user_code import call_at_start

from .fresh import LOOKED_AT, ask, smallest, staged

_HELP = (
    "help: name the outputs yourself with --output NAME:DATATYPE:SHAPE, in the order that forward returns them, or "
    "in a config"
)


def outputs_of(module: nn.Module, samples: SampleInputs) -> tuple[OutputConfig, ...]:
    """Return the outputs in forward's order; the names that it gives become theirs, else output0, output1, …"""
    two, three = (
        call_at_start(*LOOKED_AT, _named, ask(module, staged(samples, rows, sizes, seed=rows), samples))
        for rows, sizes in ((2, smallest(samples)), (3, all_sizes(samples.dims)[-1]))
    )
    return tuple(_tensor(name, path, value, three.get(name, ("", None))[1]) for name, (path, value) in two.items())


def given_to_hook(module: nn.Module, samples: SampleInputs) -> tuple[OutputConfig, ...]:
    """Return what the network gives to a postprocess hook, as a start finds it, each with its place."""
    sizes = smallest(samples)
    three, two = (
        Returned(
            call_at_start(*LOOKED_AT, ask, module, staged(samples, rows, sizes, seed=rows), samples),
            rows,
            samples.least,
        )
        for rows in (3, 2)
    )
    reading, tensors = call_at_start(*LOOKED_AT, network_outputs, three, [two])
    return tuple(
        OutputConfig.model_validate({**tensor.describe(), "from": text(pick.path) or None})
        for pick, tensor in zip(reading.picks, tensors, strict=True)
    )


def _named(result: Any) -> dict[str, tuple[str, Any]]:
    """Return what is not None by name, each with the path that it needs, or none."""
    found = [(path, value) for path, value in leaves(result) if value is not None]
    if names_in(result) is not None:
        return {text(path): (text(path) if len(path) > 1 else "", value) for path, value in found}
    names = ["output"] if len(found) == 1 else [f"output{index}" for index in range(len(found))]
    return {name: ("", value) for name, (_, value) in zip(names, found, strict=True)}


def _tensor(name: str, path: str, value: Any, other: Any) -> OutputConfig:
    if not isinstance(value, torch.Tensor) or not isinstance(other, torch.Tensor):
        raise ModelError(f"output {name!r}: is a {type(value).__name__}, not a tensor\n{_HELP}")
    if value.dtype not in DATATYPES:
        raise ModelError(f"output {name!r}: has dtype {value.dtype}, which has no wire form\nhelp: return .float()")
    if value.dim() == 0 or value.shape[0] != 2 or other.shape[0] != 3:
        raise ModelError(
            f"output {name!r}: has shape {list(value.shape)} for 2 rows; its first size must count the rows\n{_HELP}"
        )
    if value.shape[1:] != other.shape[1:]:
        raise ModelError(f"output {name!r}: its sizes besides the rows change with the batch or an open size\n{_HELP}")
    found = {"name": name, "datatype": DATATYPES[value.dtype], "shape": (-1, *value.shape[1:])}
    return OutputConfig.model_validate({**found, "from": path or None})
