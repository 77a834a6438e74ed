"""The options of `pitstop check`. What it does is imported when it is called, so that --help is quick."""

from pathlib import Path
from typing import Annotated

import typer

from .. import options
from ..completion import CONFIG, config_files


def check(
    configs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="CONFIG...", show_default=str(CONFIG), help="Serve config files.", autocompletion=config_files
        ),
    ] = None,
    ports: Annotated[bool, typer.Option("--ports", help="Also check that its ports are free on this machine.")] = False,
    load_: Annotated[
        bool, typer.Option("--load", help="Also open and check each model as a first start does, without Ray.")
    ] = False,
    model: options.Model = None,
    timeout: Annotated[float, options.timeout("with --load, for one model", 1)] = 600,
) -> None:
    """Check Serve config files without starting anything.

    Finds misspelt keys, keys in the wrong place, wrong values, arguments that a factory does not take, and
    files and functions that do not exist.
    Exits with 0 if all is well, 1 if a file has errors, 2 if one cannot be read.

    Example: [bold]pitstop check serve_config.yaml configs/*.yaml[/bold]
    """
    from ..check.main import CheckOptions, check_files

    asked = CheckOptions(ports=ports, load=load_, model=model, timeout_s=timeout)
    raise typer.Exit(check_files(configs or [CONFIG], options=asked))
