"""The options of `pitstop init`. What it does is imported when it is called, so that --help is quick."""

from pathlib import Path
from typing import Annotated

import typer

SOURCE = typer.Argument(
    metavar="SOURCE", help="FILE.py:NETWORK, MODULE:NETWORK, model.pt2, TorchScript, model.mar, or a pretrained folder."
)
WEIGHTS = typer.Option(metavar="FILE", help="A state_dict or safetensors for the network.")
EXAMPLE = typer.Option(metavar="FILE", help="A real input: .npy, .npz, .pt, .json, .txt or a picture; may be repeated.")
NAME = typer.Option(help="The model's name in URLs; by default from SOURCE.")
ARG = typer.Option(metavar="NAME=VALUE", help="An argument of the network's class; may be repeated.")
INPUT = typer.Option("--input", metavar="NAME:DATATYPE:SHAPE", help="An input; only where it cannot be found out.")
TOKENIZER = typer.Option(metavar="DIR", help="The folder of a tokenizer.json: texts are requests then.")
TASK = typer.Option(help="What a pretrained folder does, where it does not say.")
NORMALIZE = typer.Option(metavar="imagenet|MEAN/STD", help="What training did to pixels of 0..1.")
FORCE = typer.Option("--force", help="Overwrite existing files.")


def init(
    source: Annotated[str, SOURCE],
    weights: Annotated[str | None, WEIGHTS] = None,
    example: Annotated[list[str] | None, EXAMPLE] = None,
    name: Annotated[str | None, NAME] = None,
    to: Annotated[Path | None, typer.Option(metavar="DIR|FILE", help="Where to; by default a new folder.")] = None,
    arg: Annotated[list[str] | None, ARG] = None,
    input_: Annotated[list[str] | None, INPUT] = None,
    tokenizer: Annotated[str | None, TOKENIZER] = None,
    task: Annotated[str | None, TASK] = None,
    normalize: Annotated[str | None, NORMALIZE] = None,
    force: Annotated[bool, FORCE] = False,
) -> None:
    """Write the config, a client and a test for a network: it runs once, and that tells what it takes and gives.

    Nothing is written unless the config starts. Exits with 2 if something is missing, and says what.

    Example: [bold]pitstop init mine/net.py:Net --weights net.pth --example cat.jpg[/bold]
    """
    from ..init.main import init as run
    from ..init.options import InitOptions

    given = tuple(tuple(each or ()) for each in (example, arg, input_))
    raise typer.Exit(
        run(InitOptions(source, weights, given[0], name, to, given[1], given[2], tokenizer, task, normalize, force))
    )
