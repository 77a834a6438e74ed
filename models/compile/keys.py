"""The key of what is kept: a digest of all that it depends on, and of nothing else."""

import hashlib
from collections.abc import Mapping
from typing import Any

from torch import fx, nn

from configs.schema import ModelConfig

from ..runtime.output_paths import INNER, ReadOutputs
from .build import Uncompiled
from .identity import canonical, own_code
from .machine import machine
from .provenance import facts

_FORMAT = "7"


class Key(str):
    """A key in hex, with the store of its config and what its provenance tells."""

    store: str | None
    about: Mapping[str, Any]

    def __new__(cls, text: str, store: str | None, about: Mapping[str, Any]) -> "Key":
        made = super().__new__(cls, text)
        made.store, made.about = store, about
        return made


def key_of(given: Uncompiled, backend: str, *more: object, portable: bool = False) -> Key | None:
    """Return the key of what a backend makes of a module; None if the module has no identity: nothing is kept then.

    Args:
        given: what is compiled.
        backend: its name.
        more: whatever else decides what the backend makes: plain values, or dataclasses of such.
        portable: whether it runs on other processors too, as TorchScript does and machine code does not.
    """
    if given.identity is None:
        return None
    layout, config, where = given.layout, given.config, machine(given.layout.device, portable)
    decides = {
        "inputs": list(given.model_inputs),
        "outputs": list(given.outputs),
        "dims": config.open_dims,
        "sizes": layout.sizes,
        "dtype": [layout.dtype, config.precision, layout.as_declared, layout.widened],
        "channels_last": layout.channels_last,
        "whole": layout.whole,
        "random": config.random,
        "around": _around(given.module),
    }
    about = facts(config, layout, given.identity, where)
    return key_from(given.identity, config, where, backend, decides, *more, about=about)


def key_from(
    identity: str | None,
    config: ModelConfig,
    where: Mapping[str, object],
    *parts: object,
    about: Mapping[str, Any] | None = None,
) -> Key | None:
    """Return the key of these parts for a network and a machine; None where the network has no identity."""
    if identity is None:
        return None
    text = canonical([_FORMAT, identity, own_code(), where, *parts])
    return Key(hashlib.sha256(text.encode()).hexdigest(), config.store, about or {})


def _around(module: nn.Module) -> list[str]:
    """Return what was put around the network, which its identity does not know: how inputs and outputs are passed."""
    found = []
    inner: nn.Module | None = module
    while isinstance(inner, fx.GraphModule | ReadOutputs) and INNER in inner._modules:
        found.append(str(inner.code) if isinstance(inner, fx.GraphModule) else f"{inner.names} {inner.reading}")
        inner = inner._modules[INNER]
    return found
