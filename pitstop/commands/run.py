"""The options of `pitstop run`. What it does is imported when it is called, so that --help is quick."""

from typing import Annotated

import typer

from ..completion import CONFIG
from ..options import Config


def run(
    config: Config = CONFIG,
    reload: Annotated[
        bool, typer.Option("--reload", help="Deploy again what changes in CONFIG, or in the models' Python files.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show Ray's log, which otherwise only goes to a file.")
    ] = False,
) -> None:
    """Check a config and its ports, and serve it until Ctrl-C.

    Shows a line for each model that is ready, the error of each that is not, and a request for each to try.
    Ctrl-C or SIGTERM: no new requests, those in progress are answered, then all processes end. Again: end at once.
    Exits with 0 once such a signal has ended it, 1 if nothing can be served, a port is taken or the server ends by
    itself, 2 if the file cannot be read, and 128 plus its number after a second signal.

    Example: [bold]pitstop run serve_config.yaml --reload[/bold]
    """
    from ..run.main import serve

    raise typer.Exit(serve(config, reload, verbose))
