"""The options of `pitstop init`. What it does is imported when it is called, so that --help is quick."""

from pathlib import Path
from typing import Annotated

import typer

from .. import options

SOURCE = typer.Argument(
    metavar="SOURCE", help="FILE.py:NETWORK, MODULE:NETWORK, model.pt2, TorchScript, model.mar, or a pretrained folder."
)
WEIGHTS = typer.Option(metavar="FILE", help="A state_dict or safetensors for the network.")
EXAMPLE = typer.Option(metavar="FILE", help="A real input: .npy, .npz, .pt, .json, .txt or a picture; may be repeated.")
NAME = options.name("the model's, by default from SOURCE")
INPUT = options.input_("NAME:DATATYPE:SHAPE", "only where it cannot be found out")
TOKENIZER = typer.Option(metavar="DIR", help="The folder of a tokenizer.json: texts are requests then.")
TASK = typer.Option(help="What a pretrained folder does, where it does not say.")
NORMALIZE = typer.Option(metavar="imagenet|MEAN/STD", help="What training did to pixels of 0..1.")


def init(
    source: Annotated[str, SOURCE],
    weights: Annotated[str | None, WEIGHTS] = None,
    example: Annotated[list[str] | None, EXAMPLE] = None,
    name: Annotated[str | None, NAME] = None,
    out: Annotated[Path | None, options.out("DIR|FILE", "by default a new folder")] = None,
    arg: options.Arg = None,
    input_: Annotated[list[str] | None, INPUT] = None,
    tokenizer: Annotated[str | None, TOKENIZER] = None,
    task: Annotated[str | None, TASK] = None,
    normalize: Annotated[str | None, NORMALIZE] = None,
    force: options.Force = False,
) -> None:
    """Write the config, a client and a test for a network: it runs once, and that tells what it takes and gives.

    Nothing is written unless the config starts. Exits with 2 if something is missing, and says what.

    Example: [bold]pitstop init mine/net.py:Net --weights net.pth --example cat.jpg[/bold]
    """
    from ..init.main import init as run
    from ..init.options import InitOptions

    given = tuple(tuple(each or ()) for each in (example, arg, input_))
    raise typer.Exit(
        run(InitOptions(source, weights, given[0], name, out, given[1], given[2], tokenizer, task, normalize, force))
    )
