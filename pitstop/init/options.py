"""The options of `pitstop init` and `pitstop add`, each said once: its field, its flag and its help."""

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import options

_CONFIG = "config"


@dataclass(frozen=True, slots=True)
class InitOptions:
    """What the user asked, unread. `config` is the file that `pitstop add` extends; `init` writes one of its own."""

    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="FILE.py:NETWORK, MODULE:NETWORK, model.pt2, TorchScript, model.mar, or a pretrained folder.",
        ),
    ]
    weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="A state_dict or safetensors for the network.")
    ] = None
    example: Annotated[
        list[str],
        typer.Option(metavar="FILE", help="A real input: .npy, .npz, .pt, .json, .txt or a picture; may be repeated."),
    ] = field(default_factory=list)
    name: Annotated[str | None, options.name("the model's, by default from SOURCE")] = None
    to: Annotated[Path | None, options.out("DIR|FILE", "by default a new folder")] = None
    arguments: Annotated[list[str], options.ARG] = field(default_factory=list)
    inputs: Annotated[list[str], options.input_("NAME:DATATYPE:SHAPE", "only where it cannot be found out")] = field(
        default_factory=list
    )
    tokenizer: Annotated[
        str | None, typer.Option(metavar="DIR", help="The folder of a tokenizer.json: texts are requests then.")
    ] = None
    task: Annotated[str | None, typer.Option(help="What a pretrained folder does, where it does not say.")] = None
    normalize: Annotated[
        str | None, typer.Option(metavar="imagenet|MEAN/STD", help="What training did to pixels of 0..1.")
    ] = None
    force: options.Force = False
    config: Path | None = None


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `**given` the fields of InitOptions.

    A parameter of its own replaces the field of that name, and else comes after SOURCE.
    """
    own = {name: each for name, each in signature(command).parameters.items() if each.kind is not Parameter.VAR_KEYWORD}
    source, *others = (_parameter(each) for each in fields(InitOptions) if each.name != _CONFIG)
    others = [own.pop(each.name, each) for each in others]
    found = Signature([source, *own.values(), *others])
    setattr(command, "__signature__", found)  # noqa: B010  # A function has no such field.
    return command


def _parameter(given: "Field[Any]") -> Parameter:
    default = Parameter.empty if given.default is MISSING else given.default
    if given.default_factory is not MISSING:
        default = given.default_factory()
    return Parameter(given.name, Parameter.KEYWORD_ONLY, default=default, annotation=given.type)
