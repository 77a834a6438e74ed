"""Prepares a module for serving: eval, no gradients, on its device, in its precision and memory format.

cuDNN autotuning is on only if every batch has a warmed shape: else it would run again and again.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from configs.precisions import quantizes
from configs.schema import ModelConfig

from ..compile.quantized import quantize
from ..errors import ModelError
from ..runtime.dims import dims_in
from ..runtime.layout import Layout
from ..runtime.padding import powers_of_two
from ..user_code import call
from .precision import has_float64, refuse_without_fp64

DTYPES = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    # Of what is not quantised, and of what a quantised layer takes and gives.
    "int8_dynamic": torch.float32,
    "int8_weights": torch.float32,
}


def layout_of(config: ModelConfig, device: torch.device, as_declared: bool = False, widened: bool = False) -> Layout:
    """Return where batches go, and in which warmed sizes."""
    return Layout(
        device=device,
        dtype=DTYPES[config.precision],
        channels_last=config.memory_format == "channels_last",
        sizes=config.batch_sizes or powers_of_two(config.max_batch_size),
        dims=dims_in(config.open_dims),
        as_declared=as_declared,
        widened=widened,
        whole=config.whole,
        precision=config.precision,
    )


def pick_device(device: str) -> torch.device:
    """Return the torch device for `cuda` or `cpu`. There is no fallback here: cuda is a GPU or an error."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            "device: cuda requires a GPU, but torch finds none here\n"
            "help: install a CUDA build of torch on this node, or use device: auto or cpu"
        )
    return torch.device(device)


def set_arithmetic(config: ModelConfig, fixed: bool) -> None:
    """Set the process's arithmetic: TF32 only where asked, and cuDNN's search where the shapes are fixed."""
    tf32 = config.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.enabled = True
    # Pays only where shapes repeat, as those of padded batches of fixed rows do.
    torch.backends.cudnn.benchmark = fixed


@contextmanager
def plain_arithmetic() -> Iterator[None]:
    """Compute in fp32 proper, whatever the config has set, and without the search that pays only in repetition."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    cudnn.benchmark = cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before


def freeze_in_eval(module: nn.Module) -> nn.Module:
    """Switch training behaviour and gradients off, in place.

    Raises:
        ModelError: it has lazy layers without sizes.
    """
    try:
        call(module.eval)
    except NotImplementedError:
        # An exported program has its mode in the graph and refuses eval(); the checks test its behaviour.
        for part in module.modules():
            part.training = False
    # One by one: a ScriptModule refuses requires_grad_ as a whole.
    for name, parameter in module.named_parameters():
        if isinstance(parameter, UninitializedParameter):
            raise ModelError(
                f"the network's {name} has no size yet: its layer is lazy\n"
                "help: give the layer its sizes, call forward once in __init__, or name weights of a network that ran"
            )
        parameter.requires_grad_(False)
    return module


def reference_of(module: nn.Module, plain: Layout) -> nn.Module:
    """Return an eager module in the layout `plain`, for comparing answers: itself, unless its weights change."""
    return in_layout(module if _keeps_weights(module, plain) else call(copy.deepcopy, module), plain)


def changes_weights(module: nn.Module, layout: Layout) -> bool:
    """Whether preparing a module for a layout changes its weights, so that no other may use them."""
    return layout.channels_last or not _keeps_weights(module, layout)


def prepare(module: nn.Module, config: ModelConfig, layout: Layout) -> nn.Module:
    """Return the module on its device, in the precision and memory format that the config names."""
    refuse_cast(config, layout)
    module = in_layout(module, layout)
    if layout.channels_last:
        module = call(module.to, memory_format=torch.channels_last)  # type: ignore[arg-type]
    return quantize(module, config.precision) if quantizes(config.precision) else module


def refuse_cast(config: ModelConfig, layout: Layout) -> None:
    """Raise a ModelError where a precision is asked of an export, which has its own."""
    if config.source.exported_program is not None and layout.dtype != torch.float32 and not layout.as_declared:
        raise ModelError(
            f"precision: {config.precision} cannot be applied to a .pt2 export, which has its dtypes written in\n"
            f"help: export it in {config.precision}, or use precision: fp32 or tf32"
        )


def in_layout(module: nn.Module, layout: Layout) -> nn.Module:
    """Return the module on the device and in the dtype of a layout, changed in place."""
    if layout.dtype == torch.float64:
        refuse_without_fp64(layout.device)
    module = call(module.to, layout.device)
    return module if _keeps_weights(module, layout) else call(module.to, dtype=layout.dtype)


def _keeps_weights(module: nn.Module, layout: Layout) -> bool:
    """Whether the weights have the dtypes of this layout already."""
    fits = layout.dtype == torch.float32 and not has_float64(module) and not layout.widened
    return layout.as_declared or fits
