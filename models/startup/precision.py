"""Which arithmetic a model runs in: its config's, or fp64 if an input, an output or a parameter has it.

A buffer does not decide: a float32 network with float64 buffers stays as it is. So does a network that casts between
its parts, which therefore cannot run in float64 alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from configs.precisions import first_of
from configs.schema import ModelConfig, TensorConfig

from ..errors import ModelError
from ..signature import Tensor

_NAMES = {"bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The config with the precision that a model runs in, and why, if that is not the config's own.

    `as_declared`: the module keeps its dtypes, and float inputs reach it in the dtype that is declared for each.
    """

    config: ModelConfig
    as_declared: bool = False
    why: str = ""
    # Whether weights of 16 bits are widened to fp32 first, since the network cannot take fp32 rows as it is.
    widened: bool = False


def plain(config: ModelConfig) -> ModelConfig:
    """Return a config in fp32 where the start is to choose the precision."""
    return config.model_copy(update={"precision": first_of(config.precision)})


def choices(config: ModelConfig, module: nn.Module, outputs: Sequence[Tensor]) -> list[Arithmetic]:
    """Return what to try, the first that runs eagerly is it. `outputs`: the declared ones of the network itself."""
    why = _why_fp64(config, module, outputs)
    if not why or config.precision not in ("fp32", "fp64"):
        own = Arithmetic(config)
        half = _half(module) if config.source.exported_program is None else None
        wide = f"in {config.precision}, its weights of {half} converted" if half != _NAMES.get(config.precision) else ""
        return [own, Arithmetic(config, why=wide, widened=True)] if half else [own]
    double = config.model_copy(update={"precision": "fp64"})
    if config.source.factory is None:
        # A file's dtypes are fixed.
        return [Arithmetic(double if _all_float64(module) else config, True, f"in its file's dtypes: {why}")]
    own = Arithmetic(config, True, f"in its own dtypes: {why}, and it does not run in fp64 alone")
    return [Arithmetic(double, False, f"in fp64: {why}"), own]


def _half(module: nn.Module) -> str | None:
    """Return the name of a 16-bit dtype that a parameter has."""
    found = (each.dtype for each in module.parameters() if each.dtype in (torch.bfloat16, torch.float16))
    dtype = next(found, None)
    return None if dtype is None else str(dtype).removeprefix("torch.")


def has_float64(module: nn.Module) -> bool:
    return any(parameter.dtype == torch.float64 for parameter in module.parameters())


def refuse_without_fp64(device: torch.device) -> None:
    """Raise a ModelError where a device has no float64."""
    try:
        torch.ones(1, dtype=torch.float64, device=device).add(1)
    except (TypeError, RuntimeError) as error:
        raise ModelError(
            f"precision: fp64 is needed, and the device {device} cannot compute in it\n"
            "help: use device: cpu, or declare FP32 and a network of float32"
        ) from error


def _all_float64(module: nn.Module) -> bool:
    # A frozen TorchScript file shows no parameters: its dtypes are unknown, so nothing is claimed of them.
    floats = [each.dtype for each in module.parameters() if each.is_floating_point()]
    return bool(floats) and all(dtype == torch.float64 for dtype in floats)


def _why_fp64(config: ModelConfig, module: nn.Module, outputs: Sequence[Tensor]) -> str:
    tensors: tuple[tuple[str, Sequence[TensorConfig | Tensor]], ...] = (("input", config.inputs), ("output", outputs))
    for kind, declared in tensors:
        for tensor in declared:
            if tensor.datatype == "FP64":
                return f"{kind} {tensor.name!r} is declared FP64"
    for name, parameter in module.named_parameters():
        if parameter.dtype == torch.float64:
            return f"parameter {name} is float64"
    return ""
