"""The options of `pitstop add`, which are those of `pitstop init`, and the config that gets the model."""

from pathlib import Path
from typing import Annotated

import typer

from .. import options
from .init import EXAMPLE, INPUT, NAME, NORMALIZE, SOURCE, TASK, TOKENIZER, WEIGHTS


def add(
    source: Annotated[str, SOURCE],
    config: options.Config,
    weights: Annotated[str | None, WEIGHTS] = None,
    example: Annotated[list[str] | None, EXAMPLE] = None,
    name: Annotated[str | None, NAME] = None,
    out: Annotated[Path | None, options.out("DIR", "the folder of its client and test")] = None,
    arg: options.Arg = None,
    input_: Annotated[list[str] | None, INPUT] = None,
    tokenizer: Annotated[str | None, TOKENIZER] = None,
    task: Annotated[str | None, TASK] = None,
    normalize: Annotated[str | None, NORMALIZE] = None,
    force: options.Force = False,
) -> None:
    """Put one more model into a config file, as [bold]pitstop init[/bold] finds it; all else in the file stays.

    Nothing is written unless the model starts. Exits with 2 if something is missing, and says what.

    Example: [bold]pitstop add mine/net.py:Net serve_config.yaml --weights net.pth[/bold]
    """
    from ..init.main import init as run
    from ..init.options import InitOptions

    given = tuple(tuple(each or ()) for each in (example, arg, input_))
    asked = (source, weights, given[0], name, out, given[1], given[2], tokenizer, task, normalize, force, config)
    raise typer.Exit(run(InitOptions(*asked)))
