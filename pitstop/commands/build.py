"""The options of `pitstop build`. What it does is imported when it is called, so that --help is quick."""

from typing import Annotated

import typer

from .. import options
from ..completion import CONFIG


def build(
    config: options.Config = CONFIG,
    model: options.Model = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="DIR|URL", help="The store; by default the config's, else PITSTOP_STORE, else the cache."),
    ] = None,
    timeout: Annotated[float, options.timeout("for a sign of progress", 1)] = 1800,
) -> None:
    """Compile every candidate of each model for this machine, compare and time them, and keep what is found.

    With backend: auto a start never compiles for minutes: it takes what was built for its kind of machine.
    Exits with 0 if every model was built, 1 if one was not, 2 if the file cannot be read or has no such model.

    Example: [bold]pitstop build serve_config.yaml --store s3://models/store[/bold]
    """
    from ..build.main import BuildOptions, build_models

    raise typer.Exit(build_models(BuildOptions(config, model, store, timeout)))
