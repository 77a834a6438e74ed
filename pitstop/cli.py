"""The `pitstop` command. Each command lives in its own file and is imported when called, so that --help is quick."""

import sys
from pathlib import Path
from typing import Annotated

import typer

PROJECT = Path(__file__).resolve().parents[1]

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich")


def main() -> None:
    """Entry point of the console script."""
    app()


@app.callback()
def pitstop() -> None:
    """PyTorch models on Ray Serve, from one YAML."""
    # Only this package is installed: `configs` lies beside it, a user's network where `serve run` starts.
    for folder in (str(Path.cwd()), str(PROJECT)):
        if folder not in sys.path:
            sys.path.insert(0, folder)


@app.command()
def check(
    configs: Annotated[list[Path] | None, typer.Argument(metavar="CONFIG...", show_default="serve_config.yaml")] = None,
) -> None:
    """Check Serve config files without starting anything.

    Finds misspelt keys, values that cannot be, and files and functions that are not there.
    Exits with 0 where all is well, 1 where a file has errors, 2 where one cannot be read.

    Example: [bold]pitstop check serve_config.yaml configs/*.yaml[/bold]
    """
    from .check import check_files

    raise typer.Exit(check_files(configs or [Path("serve_config.yaml")]))
