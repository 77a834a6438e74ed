"""Fills in what a config leaves out of its signature, before anything else reads it.

A pretrained directory tells all of it, an example or an exported program the inputs. Outputs that nobody tells are
found when the network runs.
"""

from typing import TYPE_CHECKING

from pydantic import ValidationError

from configs.schema import ModelConfig
from configs.tensors import TensorConfig

from ..errors import ModelError
from ..signature import listed
from . import inputs_from_example

if TYPE_CHECKING:
    from torch import nn


def completed(config: ModelConfig, module: "nn.Module | None" = None) -> ModelConfig:
    """Return a config with its inputs; the same one where it has them.

    Args:
        config: the model.
        module: its network, if it is loaded already; else an exported program without an example is loaded for this.

    Raises:
        ModelError: nothing says what is missing, or it contradicts what is written.
    """
    if config.source.pretrained is not None:
        from ..sources.pretrained.completion import completed as of_directory

        return of_directory(config)
    if config.inputs:
        return config
    if config.example is not None:
        return _with(config, inputs_from_example.inputs_of(config), "example")
    from ..sources import source
    from . import inputs_from_program

    loaded = source.load(config.source) if module is None else module
    return _with(config, inputs_from_program.inputs_of(loaded, config), "the program")


def _with(config: ModelConfig, inputs: tuple[TensorConfig, ...], where: str) -> ModelConfig:
    written = config.model_dump(exclude_unset=True)
    try:
        return ModelConfig.model_validate({**written, "inputs": [each.model_dump() for each in inputs]})
    except ValidationError as error:
        said = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ").partition("\nhelp: ")[0]
        raise ModelError(
            f"inputs: by {where} they are {listed(inputs)}: {said}\nhelp: list inputs in the config"
        ) from error
