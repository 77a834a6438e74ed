"""Fills in what a config leaves out of its signature, before anything else reads it.

A pretrained directory tells all of it, an example or an exported program the inputs. Outputs that nobody tells are
found when the network runs.
"""

from typing import TYPE_CHECKING

from pydantic import ValidationError

from configs.parse import first_rule_broken
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
        said = first_rule_broken(error)
        raise ModelError(
            f"inputs: by {where} they are {listed(inputs)}: {said}\nhelp: {_advice(config, inputs)}"
        ) from error


def _advice(config: ModelConfig, inputs: tuple[TensorConfig, ...]) -> str:
    if not config.may_preprocess and any(each.datatype == "BYTES" for each in inputs):
        return (
            "name arrays as example, in a .npy, .npz or .json, a picture, or what a callable returns; or write "
            "preprocess, which makes arrays of bytes"
        )
    written = ", ".join(
        f"{{name: {each.name}, datatype: {each.datatype}, shape: [{', '.join(map(str, ('batch', *each.shape[1:])))}]}}"
        for each in inputs
    )
    line = f"inputs: [{written}]"
    if not config.dims:
        return f"list them in the config: {line}"
    names = " and ".join(config.dims)
    several = "" if len(config.dims) > 1 else f"name a second request as example, in which {names} is another size; or "
    return f"{several}list them with {names} in place of the sizes that are open: {line}"
