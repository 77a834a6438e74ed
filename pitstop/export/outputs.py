"""Finds out what a network returns by asking it twice, with different numbers of rows."""

from typing import Any

import torch
from torch import nn

from configs.schema import TensorConfig
from models.errors import ModelError
from models.startup.declared_dtypes import DATATYPES
from models.startup.sample_inputs import SampleInputs

from .fresh import ask, staged

_HELP = "help: name the outputs yourself with --output NAME:DATATYPE:SHAPE, in the order that forward returns them"


def outputs_of(module: nn.Module, samples: SampleInputs) -> tuple[TensorConfig, ...]:
    """Return the outputs in forward's order; a dict's keys become their names, else output0, output1, …"""
    length = samples.lengths[0] if samples.lengths else 0
    two, three = (_named(ask(module, staged(samples, rows, length, seed=rows), samples)) for rows in (2, 3))
    return tuple(_tensor(name, value, three.get(name)) for name, value in two.items())


def _named(result: Any) -> dict[str, Any]:
    if isinstance(result, dict):
        return {str(name): value for name, value in result.items()}
    values = list(result) if isinstance(result, tuple | list) else [result]
    return {"output" if len(values) == 1 else f"output{index}": value for index, value in enumerate(values)}


def _tensor(name: str, value: Any, other: Any) -> TensorConfig:
    if not isinstance(value, torch.Tensor) or not isinstance(other, torch.Tensor):
        raise ModelError(f"output {name!r}: is a {type(value).__name__}, not a tensor\nhelp: return tensors alone")
    if value.dtype not in DATATYPES:
        raise ModelError(f"output {name!r}: has dtype {value.dtype}, which has no wire form\nhelp: return .float()")
    if value.dim() == 0 or value.shape[0] != 2 or other.shape[0] != 3:
        raise ModelError(
            f"output {name!r}: has shape {list(value.shape)} for 2 rows; its first size must count the rows\n{_HELP}"
        )
    if value.shape[1:] != other.shape[1:]:
        raise ModelError(f"output {name!r}: its sizes besides the rows change with the batch\n{_HELP}")
    found = {"name": name, "datatype": DATATYPES[value.dtype], "shape": (-1, *value.shape[1:])}
    return TensorConfig.model_validate(found)
