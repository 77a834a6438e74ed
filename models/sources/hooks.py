"""The hooks that a config names: factories, called once, of the functions that requests call. No torch here.

A function with a second parameter gets the request's `parameters` too; its signature is looked at once, here.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from configs.schema import ModelConfig

from ..errors import ModelError
from ..signature import Rows
from ..user_code import call, call_at_start, without_loop
from .resolve import resolve

_METHODS = ("preprocess", "postprocess")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Hook:
    """A function of the user's, for one request's arrays; `takes_parameters` if it has a second parameter.

    `if_too_long` tells a client what to do about a row that is longer than the model takes.
    """

    function: Callable[..., Any]
    takes_parameters: bool
    if_too_long: str = "shorten it"

    def __call__(self, rows: Rows, parameters: Mapping[str, Any] | None = None) -> Any:
        # Some arrays are views of a body or of a batch; ingress replicas get theirs read-only from the network.
        for array in rows.values():
            array.flags.writeable = False
        # A copy: what one hook changes must not reach the next.
        given = (rows, dict(parameters or {})) if self.takes_parameters else (rows,)
        return without_loop(self.function, *given)


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of every route, as made for one process."""

    preprocess: Hook | None
    postprocess: Hook | None


def hooks_of(config: ModelConfig) -> Hooks:
    """Make the hooks that a config names.

    Raises:
        ModelError: one is not found, cannot be made, or is no function, or the inputs or outputs need one that a
            handler does not have.
    """
    if config.source.pretrained is not None:
        from .pretrained.hooks import hooks_of as of_directory

        return of_directory(config)
    hooks = make_hooks(config.preprocess, config.postprocess, config.handler)
    if config.handler is not None:
        try:
            if hooks.preprocess is None:
                config.check_own_inputs()
            (config.check_own_outputs if hooks.postprocess is None else config.check_hook_outputs)()
        except ValueError as error:
            has = " and ".join(each for each in _METHODS if getattr(hooks, each) is not None)
            advice = "correct the config, or give the class the method that is missing"
            raise ModelError(f"handler {config.handler} has {has}, and {error}\nhelp: {advice}") from error
    return hooks


def make_hooks(preprocess: str | None, postprocess: str | None, handler: str | None) -> Hooks:
    """Make the hooks of these paths; a handler stands for the other two."""
    if handler is None:
        return Hooks(make_hook("preprocess", preprocess), make_hook("postprocess", postprocess))
    advice = "it is built once at the start, with no arguments, and has a method preprocess, postprocess or both"
    built: object = call_at_start(f"handler {handler}", advice, resolve(handler))
    methods = [call_at_start(f"handler {handler}", advice, getattr, built, each, None) for each in _METHODS]
    for name, method in zip(_METHODS, methods, strict=True):
        if method is not None and not callable(method):
            raise ModelError(f"handler {handler}: its {name} is a {type(method).__name__}\nhelp: make it a method")
    if all(each is None for each in methods):
        raise ModelError(f"handler {handler} returned a {type(built).__name__} without them\nhelp: {advice}")
    return Hooks(*(None if method is None else hook_of(method) for method in methods))


@dataclass(frozen=True, slots=True)
class DecodeHook:
    """A `predict.decode` of the user's; `takes_all` if it has a second parameter, and so reads bodies of any type."""

    function: Callable[..., Any]
    takes_all: bool

    def __call__(self, body: bytes, content_type: str) -> Any:
        given = (body, content_type) if self.takes_all else (body,)
        return without_loop(self.function, *given)


def decode_hook_of(function: Callable[..., Any]) -> DecodeHook:
    """Return a function that reads a body, and perhaps its content type, as a hook; or a hook as it is."""
    return function if isinstance(function, DecodeHook) else DecodeHook(function, _takes(function, "content_type"))


def hook_of(function: Callable[..., Any]) -> Hook:
    """Return a function as a hook, or a hook as it is."""
    return function if isinstance(function, Hook) else Hook(function, _takes(function, "parameters"))


def make_hook(key: str, path: str | None) -> Hook | None:
    """Return what the factory at `path`, named under this key of a config, makes; None where there is none."""
    if path is None:
        return None
    advice = "it is called once at the start, with no arguments, and returns the function that each request calls"
    made: object = call_at_start(f"{key} {path}", advice, resolve(path))
    if not callable(made):
        raise ModelError(f"{key} {path} returned a {type(made).__name__}\nhelp: {advice}")
    return hook_of(made)


def _takes(function: Callable[..., Any], name: str) -> bool:
    """Whether there is a second parameter that has no default, or has this name.

    One with another name and a default is the author's own, as in `def run(rows, words=words)`.
    """
    try:
        found = [each for each in call(inspect.signature, function).parameters.values() if each.kind in _POSITIONAL]
    except Exception:  # Written in C, or it has a signature of its own that raises.
        return False
    return len(found) > 1 and (found[1].default is inspect.Parameter.empty or found[1].name == name)
