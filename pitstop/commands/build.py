"""The options of `pitstop build`. What it does is imported when it is called, so that --help is quick."""

from pathlib import Path
from typing import Annotated

import typer


def build(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A Serve config file.")] = Path("serve_config.yaml"),
    model: Annotated[str | None, typer.Option(help="Only this model of the file.")] = None,
    dest: Annotated[
        str | None,
        typer.Option(metavar="DIR|URL", help="The store; by default the config's, else PITSTOP_STORE, else the cache."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Most seconds without a sign of progress.")] = 1800,
) -> None:
    """Compile every candidate of each model for this machine, compare and time them, and keep what is found.

    With backend: auto a start never compiles for minutes: it takes what was built for its kind of machine.
    Exits with 0 if every model was built, 1 if one was not, 2 if the file cannot be read or has no such model.

    Example: [bold]pitstop build serve_config.yaml --dest s3://models/store[/bold]
    """
    from ..build.main import BuildOptions, build_models

    raise typer.Exit(build_models(BuildOptions(config, model, dest, timeout)))
