"""Fills in the inputs that a config leaves out, from its example or its program, before anything else reads them."""

from pydantic import ValidationError
from torch import nn

from configs.schema import ModelConfig
from configs.tensors import TensorConfig

from ..errors import ModelError
from ..sources import source
from . import example_inputs, program_inputs


def completed(config: ModelConfig, module: nn.Module | None = None) -> ModelConfig:
    """Return a config with its inputs; the same one where it has them. Outputs are found when the network runs.

    Args:
        config: the model.
        module: its network, if it is loaded already; else an exported program without an example is loaded for this.

    Raises:
        ModelError: neither example nor program says what the inputs are, or they contradict the config.
    """
    if config.inputs:
        return config
    if config.example is not None:
        return _with(config, example_inputs.inputs_of(config), "example")
    loaded = source.load(config.source) if module is None else module
    return _with(config, program_inputs.inputs_of(loaded, config), "the program")


def _with(config: ModelConfig, inputs: tuple[TensorConfig, ...], where: str) -> ModelConfig:
    shown = ", ".join(f"{each.name} {each.datatype} {list(each.shape)}" for each in inputs)
    written = config.model_dump(exclude_unset=True)
    try:
        return ModelConfig.model_validate({**written, "inputs": [each.model_dump() for each in inputs]})
    except ValidationError as error:
        said = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ").partition("\nhelp: ")[0]
        raise ModelError(f"inputs: by {where} they are {shown}: {said}\nhelp: list inputs in the config") from error
