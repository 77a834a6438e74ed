"""A network that is ready to be compiled, and how it is made from the loaded one."""

import copy
from dataclasses import dataclass

from torch import nn

from configs.schema import ModelConfig

from ..runtime.layout import Layout
from ..signature import Tensor
from ..user_code import call
from .eager_checks import Eager
from .prepare import changes_weights, layout_of, prepare
from .sample_inputs import SampleInputs


@dataclass(frozen=True, slots=True)
class Prepared:
    """A module on its device, in its precision; `config` has the arithmetic that it runs in."""

    module: nn.Module
    samples: SampleInputs
    outputs: tuple[Tensor, ...]
    layout: Layout
    config: ModelConfig


def prepare_module(module: nn.Module, samples: SampleInputs, checked: Eager, config: ModelConfig) -> Prepared:
    """Move a module to its device, precision and memory format: a copy, where its weights change.

    `config` has a precision of its own, or that in which the network runs as it is.
    """
    own = config.precision == checked.arithmetic.config.precision
    arithmetic = checked.arithmetic
    layout = layout_of(config, checked.layout.device, own and arithmetic.as_declared, own and arithmetic.widened)
    if changes_weights(module, layout):
        module = call(copy.deepcopy, module)
    reads = checked.reading.wrapped(module, samples.model_inputs)
    return Prepared(prepare(reads, config, layout), samples, checked.reference.outputs, layout, config)
