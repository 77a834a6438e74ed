"""The `pitstop` command: every file in commands/ is one, by the function of the same name."""

from importlib import import_module
from importlib.metadata import version
from pkgutil import iter_modules
from typing import Annotated

import typer

from . import commands
from .project import find_packages

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
for found in iter_modules(commands.__path__):
    app.command()(getattr(import_module(f"{commands.__name__}.{found.name}"), found.name))


def main() -> None:
    """Entry point of the console script."""
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"pitstop {version('pitstop')}")
        raise typer.Exit


@app.callback()
def pitstop(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """PyTorch models on Ray Serve, from one YAML."""
    find_packages()
