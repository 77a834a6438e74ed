"""The `pitstop` command: every file in commands/ is one, by the function of the same name."""

from importlib import import_module
from pkgutil import iter_modules

import typer

from . import commands
from .import_path import project_first

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich")
for found in iter_modules(commands.__path__):
    app.command()(getattr(import_module(f"{commands.__name__}.{found.name}"), found.name))


def main() -> None:
    """Entry point of the console script."""
    app()


@app.callback()
def pitstop() -> None:
    """PyTorch models on Ray Serve, from one YAML."""
    project_first()
