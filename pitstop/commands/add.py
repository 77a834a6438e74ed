"""`pitstop add`: the options of `pitstop init`, and the config that gets the model."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import options
from ..init.options import InitOptions, with_options


@with_options
def add(
    *,
    config: options.Config,
    to: Annotated[Path | None, options.out("DIR", "the folder of its client and test, by default a new one")] = None,
    **given: Any,
) -> None:
    """Put one more model into a config file, as [bold]pitstop init[/bold] finds it; all else in the file stays.

    Nothing is written unless the model starts. Exits with 2 if something is missing, and says what.

    Example: [bold]pitstop add mine/net.py:Net serve_config.yaml --weights net.pth[/bold]
    """
    from ..init.main import init as run

    raise typer.Exit(run(InitOptions(**given, to=to, config=config)))
