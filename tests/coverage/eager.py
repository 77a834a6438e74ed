"""What the network itself says: built anew, in eval mode, eager, unpadded, beside nobody."""

import inspect
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

import numpy as np
import torch
from torch import nn

from configs.schema import ModelConfig, OutputConfig
from models.signature import Array
from models.sources.hooks import hooks_of

from .cases import Case


class Eager:
    """The network of a case between its hooks. Called with rows, it answers as the network alone would."""

    def __init__(self, case: Case, config: ModelConfig) -> None:
        source = config.source
        module: nn.Module = resolve_name(case.eager or str(source.factory))(**source.kwargs)
        if source.weights:
            from safetensors.torch import load_file

            module.load_state_dict(load_file(source.weights))
        # Weights of half the size are compared as the numbers that they are.
        halves = any(each.dtype in (torch.bfloat16, torch.float16) for each in module.parameters())
        self._module = (module.float() if halves else module).eval()
        self.of_transformers = any(type(each).__module__.startswith("transformers.") for each in module.modules())
        self._takes = inspect.signature(module.forward).parameters
        self._hooks, self._outputs = hooks_of(config), config.outputs

    def __call__(self, rows: Mapping[str, Array], seed: int | None = None) -> dict[str, Any]:
        """Return every output by name, and what else the network names; arrays [rows, ...], or lists of text."""
        hooks = self._hooks
        given = rows if hooks.preprocess is None else hooks.preprocess(dict(rows))
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in given.items()}
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            if seed is not None:
                torch.manual_seed(seed)
            by_name = tensors.keys() & self._takes.keys()
            result = self._module(**tensors) if by_name else self._module(*tensors.values())
        if hooks.postprocess is None:
            return _read(result, self._outputs)
        read = _read(result, ()) or {"output": result.numpy()}
        found: dict[str, Any] = hooks.postprocess(read)
        return found


def _read(result: Any, outputs: tuple[OutputConfig, ...]) -> dict[str, Any]:
    """Return arrays by name, as someone reads them who knows the network."""
    if isinstance(result, list) and isinstance(result[0], dict):  # A detector's: a dict a row, and here is one.
        return {name: value.numpy()[None] for name, value in result[0].items()}
    if isinstance(result, list):
        result = torch.tensor(result)
    found = dict(result) if isinstance(result, Mapping) else dict(getattr(result, "__dict__", {}))
    if isinstance(result, torch.Tensor):
        found = {each.name: result for each in outputs}
    elif isinstance(result, tuple):
        found = dict(zip((each.name for each in outputs), _flat(result), strict=False))
    found |= {each.name: _at(result, each.path) for each in outputs if each.path}
    return {
        name: value.float().numpy() if value.dtype == torch.bfloat16 else value.numpy()
        for name, value in found.items()
        if isinstance(value, torch.Tensor)
    }


def _flat(value: Any) -> list[torch.Tensor]:
    if isinstance(value, tuple | list):
        return [each for inner in value for each in _flat(inner)]
    return [] if value is None else [value]


def _at(value: Any, path: str) -> Any:
    for word in path.split("."):
        value = value[int(word)] if word.lstrip("-").isdecimal() else value[word]
    return value
