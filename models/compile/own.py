"""A backend of the user's: `backend: package.module:function`.

The function is called once, with a copy of the prepared module and inputs of the largest batch, and returns what is
called in the module's place. The start checks its answers as any backend's.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch

from ..errors import ModelError, first_line
from ..sources.resolve import resolve
from ..user_code import call, call_at_start
from .build import Compiled, Uncompiled
from .refused import sentences
from .tracing import wrong_trace


def build(given: Uncompiled) -> Compiled:
    """Return what the function makes of the module.

    Raises:
        ModelError: it raises, returns nothing to call, or returns a trace that would be wrong for other inputs.
    """
    name = given.config.backend
    advice = "it gets the module and a tuple of its inputs, and returns a callable that takes such inputs"
    # It may work in place, as a quantizer does, and its answers are compared with the module's own.
    module, inputs = call(copy.deepcopy, given.module), tuple(each.clone() for each in given.probes[0])
    made: Any = call_at_start(f"backend {name}", advice, resolve(name), module, inputs)
    if not callable(made):
        raise ModelError(f"backend {name} returned a {type(made).__name__}\nhelp: {advice}")
    if isinstance(made, torch.jit._trace.TopLevelTracedModule) and (wrong := wrong_trace(given.module, given)):
        raise ModelError(
            f"backend {name} returned a trace: {sentences(wrong)}\n"
            "help: let it return what keeps the branch (the module, or torch.jit.script of it), or use backend: auto"
        )
    return Compiled(_named(name, made), name)


def _named(name: str, made: Callable[..., Any]) -> Callable[..., Any]:
    """Return a forward whose errors name the backend: the network may be healthy."""

    def forward(*inputs: torch.Tensor) -> Any:
        try:
            return made(*inputs)
        except Exception as error:
            sizes = ", ".join(str(list(each.shape)) for each in inputs)
            raise ModelError(
                f"what backend {name} returned fails on inputs of {sizes}: {first_line(error)}\n"
                "help: it is called with every batch size and every open size that is warmed, and answers as the module"
            ) from error

    return forward
