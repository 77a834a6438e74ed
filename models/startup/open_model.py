"""Opens a model: one call from a config to a model that may serve, or a ModelError."""

import torch

from configs.schema import ModelConfig

from ..user_code import call_at_start
from .opened_model import OpenedModel
from .prepare import pick_device
from .start import Start

__all__ = ["OpenedModel", "open_model"]


def open_model(
    config: ModelConfig,
    device: str,
    fallback: str | None = None,
    module: torch.nn.Module | None = None,
    *,
    kept: bool = False,
    minutes: bool = False,
) -> OpenedModel:
    """Make a model ready to serve.

    Args:
        config: the model.
        device: `cuda` or `cpu`, as the builder chose.
        fallback: why `auto` did not take a GPU, or None.
        module: the module, if it is already loaded; it is changed in place.
        kept: whether to go by what an earlier start of the same model found here, and to keep this one's outcome.
        minutes: whether compiling may take so long, as in a build; else what takes long is used if it was built.

    Raises:
        ModelError: it cannot be loaded, deviates from eager, or still makes one of the five mistakes.
    """
    advice = "correct it there: a start runs the network on rows that it draws, and changes its mode, device and dtype"
    start = Start(config, pick_device(device), fallback, kept, minutes)
    return call_at_start("the network", advice, start.run, module)
