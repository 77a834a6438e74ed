"""The `pitstop` command: every file in commands/ is one, by the function of the same name."""

import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import typer

from . import commands

PROJECT = Path(__file__).resolve().parents[1]

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich")
for found in iter_modules(commands.__path__):
    app.command()(getattr(import_module(f"{commands.__name__}.{found.name}"), found.name))


def main() -> None:
    """Entry point of the console script."""
    app()


@app.callback()
def pitstop() -> None:
    """PyTorch models on Ray Serve, from one YAML."""
    # `configs` and `models` are not installed: they lie beside this package, a user's network where `serve run` starts.
    # Ours come first, since a user's folder may have packages of these names too.
    here, ours = str(Path.cwd()), str(PROJECT)
    sys.path[:] = [ours, *([] if here in sys.path else [here]), *(each for each in sys.path if each != ours)]
