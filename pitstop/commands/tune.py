"""The `tune` command's arguments and help; imported with the command line, so it imports nothing heavy itself."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Goal = Literal["latency", "throughput", "cost"]


def tune(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A Serve config file.")],
    model: Annotated[str | None, typer.Option(help="Which model of the file.")] = None,
    goal: Annotated[
        Goal, typer.Option(help="Time of one row; rows a second; rows a second of each core.")
    ] = "throughput",
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what compiles for minutes.")] = False,
    budget_s: Annotated[float, typer.Option(help="Seconds after which no new trial begins.")] = 300,
    write: Annotated[bool, typer.Option("--write", help="Change the file; comments are kept.")] = False,
) -> None:
    """Search the backend, precision, memory format, threads and batch size that run a model best on this machine.

    Each is tried in a process of its own; what does not answer as eager does is out. Ctrl-C shows what was found.
    Exits with 2 if nothing can be tried.

    Example: [bold]pitstop tune serve_config.yaml --model digits-cpu --goal latency --quick --write[/bold]
    """
    from ..tune.main import TuneOptions
    from ..tune.main import tune as run

    raise typer.Exit(run(TuneOptions(config, model, goal, quick, budget_s, write)))
