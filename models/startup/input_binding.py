"""Binds the inputs to forward's parameters: by name if the names match, else by order.

A network is called by position, which costs nothing, so the inputs are put into forward's order once, at the start. If
that is impossible, because of a keyword-only parameter or one that is left out, a generated module passes them by
keyword; torch can script, trace and compile it like the network itself.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

import torch
from torch import fx, nn

from ..errors import ModelError
from ..runtime.output_paths import INNER, around, is_word
from ..signature import Tensor
from .sample_inputs import SampleInputs

BY_NAME = "by name"
BY_ORDER = "by order, no input's name is a parameter of forward"
_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Bound:
    """A module that takes its inputs by position, as in `model_inputs`; `how` says how that order was found."""

    module: nn.Module
    model_inputs: tuple[Tensor, ...]
    how: str


def bind(module: nn.Module, samples: SampleInputs) -> tuple[Bound, SampleInputs]:
    """Return the module that takes in its order what is drawn, and the draw in that order."""
    bound = bound_to(module, samples.model_inputs, "preprocess returns" if samples.preprocess else "the config names")
    return bound, samples.in_order(bound.model_inputs)


def bound_to(module: nn.Module, model_inputs: Sequence[Tensor], who: str) -> Bound:
    """Match the inputs with forward's parameters; `who` named the inputs.

    Raises:
        ModelError: only some names are parameters, or a required parameter has no input.
    """
    parameters = parameters_of(module)
    if parameters is None:
        return Bound(module, tuple(model_inputs), "by order, forward names no parameters")
    own = [each for each in parameters if each.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)]
    kinds = {each.kind for each in parameters}
    names, taken = [tensor.name for tensor in model_inputs], {each.name for each in own}
    known = [name for name in names if name in taken]
    spare = [name for name in names if name not in taken]
    takes_any = Parameter.VAR_KEYWORD in kinds and all(is_word(name) for name in spare)
    # Of forward(*args, **kwargs) nothing is known: with several inputs, a wrong name is an error, a wrong order is not.
    unnamed = not own and takes_any and (len(names) > 1 or Parameter.VAR_POSITIONAL not in kinds)
    if known and spare and not takes_any:
        raise ModelError(
            f"inputs: {who} {names}, forward takes {[each.name for each in own]}: "
            f"{', '.join(spare)} {'is none' if len(spare) == 1 else 'are none'} of them\n"
            "help: give all inputs the names of their parameters, or none; without names they are passed by order"
        )
    if known or unnamed:
        return _by_name(module, model_inputs, own, spare, who)
    _refuse_wrong_count(own, Parameter.VAR_POSITIONAL in kinds, names, who)
    return Bound(module, tuple(model_inputs), BY_ORDER)


def _by_name(
    module: nn.Module, model_inputs: Sequence[Tensor], own: Sequence[Parameter], spare: Sequence[str], who: str
) -> Bound:
    given = {tensor.name: tensor for tensor in model_inputs}
    missing = [each.name for each in own if each.default is Parameter.empty and each.name not in given]
    if missing:
        raise ModelError(
            f"inputs: forward needs {', '.join(missing)}, {who} only {list(given)}\n"
            "help: add the input, or give the parameter a default value"
        )
    ordered: list[str] = []
    for each in own:
        if each.kind not in _BY_POSITION or each.name not in given:
            break
        ordered.append(each.name)
    by_keyword = [name for name in given if name not in ordered]
    how = BY_NAME + (f"; {', '.join(spare)} through **kwargs of forward" if spare else "")
    if by_keyword:
        module = _with_keywords(module, ordered, by_keyword)
    return Bound(module, tuple(given[name] for name in [*ordered, *by_keyword]), how)


def _with_keywords(module: nn.Module, by_position: Sequence[str], by_keyword: Sequence[str]) -> nn.Module:
    """Return a module of these arguments, in this order, that passes the latter by keyword."""
    graph = fx.Graph()
    nodes = {name: graph.placeholder(name) for name in [*by_position, *by_keyword]}
    args = tuple(nodes[name] for name in by_position)
    kwargs: dict[str, Any] = {name: nodes[name] for name in by_keyword}
    graph.output(graph.call_module(INNER, args, kwargs))
    return around(module, graph)


def _refuse_wrong_count(own: Sequence[Parameter], open_end: bool, names: Sequence[str], who: str) -> None:
    by_position = [each for each in own if each.kind in _BY_POSITION]
    left_out = [*by_position[len(names) :], *(each for each in own if each.kind not in _BY_POSITION)]
    missing = [each.name for each in left_out if each.default is Parameter.empty]
    if missing:
        raise ModelError(
            f"inputs: forward needs {', '.join(missing)}, {who} only {list(names)}\n"
            "help: add the input, and name the inputs as forward's parameters are"
        )
    if len(names) > len(by_position) and not open_end:
        raise ModelError(
            f"inputs: {who} {list(names)}, forward takes {[each.name for each in by_position]}\n"
            "help: list one input for each parameter; if it takes several in one, as a dict, name a module of your own "
            "that takes each and calls it"
        )


def parameters_of(module: nn.Module) -> list[Parameter] | None:
    """Return the parameters of forward in the order of a call; None where it names none."""
    if isinstance(module, torch.jit.ScriptModule):
        return _of_script(module)
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):  # Built in.
        return None
    only = _only_keywords(module)
    # An exported program takes exactly those parameters by keyword that it was exported with by keyword.
    parameters = [each.replace(kind=Parameter.KEYWORD_ONLY) if each.name in only else each for each in parameters]
    return sorted(parameters, key=lambda each: each.name in only) if only else parameters


def _of_script(module: torch.jit.ScriptModule) -> list[Parameter]:
    parameters: list[Parameter] = []
    for each in module._c._get_method("forward").schema.arguments[1:]:
        kind = Parameter.KEYWORD_ONLY if each.kwarg_only else Parameter.POSITIONAL_OR_KEYWORD
        default = None if each.has_default_value() else Parameter.empty
        # The compiler's own names ("x.1") are not words.
        parameters.append(Parameter(each.name if is_word(each.name) else f"_{len(parameters)}", kind, default=default))
    return parameters


def _only_keywords(module: nn.Module) -> frozenset[str]:
    spec = getattr(module, "_in_spec", None) if isinstance(module, fx.GraphModule) else None
    if spec is None:
        return frozenset()
    # torch before 2.8 has the specs in an attribute.
    _, keywords = spec.children() if hasattr(spec, "children") else spec.children_specs
    return frozenset(keywords.context)
