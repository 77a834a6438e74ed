"""Runs a network once as a start does, and shows a client what a row of its inputs is."""

import torch
from torch import nn

from configs.schema import ModelConfig
from configs.tensors import TensorConfig
from models.startup import stages
from models.startup.precision import plain


def run(config: ModelConfig, module: nn.Module) -> ModelConfig:
    """Run a network eagerly as a start does, with its hooks and its example; return the config with all outputs."""
    config, _ = stages.complete(config, module)
    bound = stages.bind_source(config, module)
    return stages.declared(bound, stages.check_eagerly(bound, plain(config), torch.device("cpu")), config)


def row_sizes(config: ModelConfig) -> tuple[tuple[str, str, tuple[int, ...], float], ...]:
    """Return a row of each input for a client: open sizes as the smallest that are warmed, and the highest value."""
    sizes = {name: dim.sizes[0] for name, dim in config.open_dims.items()}
    return tuple(
        (each.name, each.datatype, tuple(_size(size, sizes) for size in each.shape[1:]), _highest(each))
        for each in config.inputs
    )


def _size(size: int | str, sizes: dict[str, int]) -> int:
    return sizes.get(size, 1) if isinstance(size, str) else sizes.get("", 1) if size == -1 else size


def _highest(tensor: TensorConfig) -> float:
    if isinstance(tensor.high, int | float):
        return float(tensor.high)
    return 255.0 if tensor.datatype == "UINT8" else 1.0
