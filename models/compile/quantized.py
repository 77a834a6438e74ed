"""Replaces the weights of linear layers by int8, with torchao, which is imported only here.

The layers keep 127 steps for the largest weight of each row. `int8_dynamic` multiplies in int8, and rounds each row of
an activation when it comes; `int8_weights` only keeps the weights so, and multiplies in the dtype of the rows.
"""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from torch import nn

from ..errors import ModelError, first_line
from ..user_code import call

_LEVELS = {"int8_dynamic": "Int8DynamicActivationInt8WeightConfig", "int8_weights": "Int8WeightOnlyConfig"}
# As torchao called them before 0.10, when they were functions.
_OLDER = {"int8_dynamic": "int8_dynamic_activation_int8_weight", "int8_weights": "int8_weight_only"}
# Below this share of the weights a network gains next to nothing from int8, and a start would compile it for that.
_LEAST_SHARE = 0.3
_NOT_INSTALLED = "torchao is not installed, which replaces the weights by int8\nhelp: pip install 'torchao>=0.10'"
_NOT_LINEAR = (
    "the network has no nn.Linear, the only layer whose weights become int8\n"
    "help: use bf16 or fp16, or leave precision out"
)


def no_candidate(module: nn.Module) -> str:
    """Return why int8 is nothing to try for a network; "" where it is."""
    if find_spec("torchao") is None or not _linear(module):
        return (_NOT_INSTALLED if _linear(module) else _NOT_LINEAR).partition("\n")[0]
    linear, all_ = (
        sum(each.weight.numel() for each in _linear(module)),
        sum(each.numel() for each in module.parameters()),
    )
    share = linear / all_
    return (
        "" if share >= _LEAST_SHARE else f"only {share:.0%} of the weights are of nn.Linear, the only ones that change"
    )


def quantize(module: nn.Module, precision: str) -> nn.Module:
    """Return a network with int8 weights in its linear layers; the module itself, and all other weights, stay.

    Raises:
        ModelError: torchao is not installed or cannot do it, or there is no linear layer.
    """
    if not _linear(module):
        raise ModelError(f"precision: {precision}: {_NOT_LINEAR}")
    with _quietly():
        api = _torchao(precision)
        name = next((each for each in (_LEVELS[precision], _OLDER[precision]) if hasattr(api, each)), None)
        if name is None:
            raise ModelError(
                f"precision: {precision}: this torchao has no {_LEVELS[precision]}\nhelp: install 0.10 or newer"
            )
        made = _structure(module)
        try:
            api.quantize_(made, _config(getattr(api, name)))
        except Exception as error:  # Whatever a kernel raises of a weight.
            raise ModelError(
                f"precision: {precision}: torchao cannot quantise the network ({first_line(error)})\n"
                "help: use another precision"
            ) from error
    # torchao makes its weights anew, and those would record gradients.
    for parameter in made.parameters():
        parameter.requires_grad_(False)
    return made


def _linear(module: nn.Module) -> list[nn.Linear]:
    """The layers whose weights become int8. That of an attention, of a class of its own, torchao leaves."""
    own = nn.modules.linear.NonDynamicallyQuantizableLinear
    return [each for each in module.modules() if isinstance(each, nn.Linear) and not isinstance(each, own)]


def _structure(module: nn.Module) -> nn.Module:
    """Return a copy of the modules with the same tensors: only what is replaced takes memory."""
    tensors = [*module.parameters(), *module.buffers()]
    made: nn.Module = call(copy.deepcopy, module, {id(each): each for each in tensors})
    return made


def _torchao(precision: str) -> Any:
    try:
        import torchao.quantization as api
    except ModuleNotFoundError as error:
        if error.name != "torchao":
            raise ModelError(
                f"precision: {precision}: torchao cannot be imported ({first_line(error)})\nhelp: install it anew"
            ) from error
        raise ModelError(f"precision: {precision}: {_NOT_INSTALLED}") from error
    except Exception as error:  # Its version may not fit torch's.
        raise ModelError(
            f"precision: {precision}: torchao cannot be imported ({first_line(error)})\n"
            "help: install the version that its table of versions names for this torch"
        ) from error
    return api


def _config(make: Any) -> Any:
    # By default torchao sets inductor's process-wide options, which other models of the process would get too.
    try:
        return make(set_inductor_config=False)
    except TypeError:
        return make()


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep torchao from telling that its CUDA kernels are not for this machine, by log, warning and print."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
