"""`pitstop init`. What it does is imported when it is called, so that --help is quick."""

from typing import Any

import typer

from ..init.options import InitOptions, with_options


@with_options
def init(**given: Any) -> None:
    """Write the config, a client and a test for a network: it runs once, and that tells what it takes and gives.

    Nothing is written unless the config starts. Exits with 2 if something is missing, and says what.

    Example: [bold]pitstop init mine/net.py:Net --weights net.pth --example cat.jpg[/bold]
    """
    from ..init.main import init as run

    raise typer.Exit(run(InitOptions(**given)))
