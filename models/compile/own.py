"""A backend of the user's: `backend: package.module:function`.

The function is called once, with a copy of the prepared module and inputs of the largest batch, and returns what is
called in the module's place. The start checks its answers as any backend's.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..errors import ModelError, first_line
from ..runtime.memory import is_out_of_memory
from ..sources.resolve import resolve
from ..user_code import call, call_at_start
from .build import Compiled, Uncompiled
from .refused import Refused, sentences
from .tracing import wrong_trace


def build(given: Uncompiled) -> Compiled:
    """Return what the function makes of the module.

    Raises:
        ModelError: it raises, returns nothing to call, or returns a trace that would be wrong for other inputs.
    """
    name = given.config.backend
    advice = "it gets the module and a tuple of its inputs, and returns a callable that takes such inputs"
    module, inputs = _copied(given.module), tuple(each.clone() for each in given.probes[0])
    before = _weights(given.module)
    made: Any = call_at_start(f"backend {name}", advice, resolve(name), module, inputs)
    if not callable(made):
        raise ModelError(f"backend {name} returned a {type(made).__name__}\nhelp: {advice}")
    if _weights(given.module) != before:
        raise ModelError(
            f"backend {name} changes the module, of which no copy can be made, so nothing is left to compare it with\n"
            "help: let it copy what it changes, or give the network's class a __deepcopy__"
        )
    if wrong := _wrong_trace(made, given):
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
            if is_out_of_memory(error):  # A smaller batch is tried.
                raise
            sizes = ", ".join(str(list(each.shape)) for each in inputs)
            raise ModelError(
                f"what backend {name} returned fails on inputs of {sizes}: {first_line(error)}\n"
                "help: it is called with every batch size and every open size that is warmed, and answers as the module"
            ) from error

    return forward


def _copied(module: nn.Module) -> nn.Module:
    """Return a copy: the function may work in place, as a quantizer does, and answers are compared with the module's.

    The module itself where it cannot be copied, as one with a lock.
    """
    try:
        return call(copy.deepcopy, module)
    except Exception:
        return module


def _weights(module: nn.Module) -> list[tuple[str, int, int, int, torch.dtype]]:
    """Return what differs once a weight was changed or replaced."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return [(name, id(each), each._version, each.data_ptr(), each.dtype) for name, each in tensors]


def _wrong_trace(made: Any, given: Uncompiled) -> list[Refused]:
    """Return why what torch.jit.trace made would be wrong for other inputs; empty if it is none, or nothing tells."""
    traced = isinstance(made, torch.jit._trace.TopLevelTracedModule)
    if not isinstance(made, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        return []
    # Frozen, a trace is no longer known as one; but what was scripted of a branch has it.
    graph: Any = made.inlined_graph
    if not traced and any(graph.findAllNodes(kind) for kind in ("prim::If", "prim::Loop")):
        return []
    return [each for each in wrong_trace(given.module, given) if traced or each.code == "data_branch"]
