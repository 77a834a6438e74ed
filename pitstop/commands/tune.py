"""The `tune` command's arguments and help; imported with the command line, so it imports nothing heavy itself."""

from typing import Annotated, Literal

import typer

from .. import options

Goal = Literal["latency", "throughput", "cost"]


def tune(
    config: options.Config,
    model: options.Model = None,
    goal: Annotated[
        Goal, typer.Option(help="Time of one row; rows a second; rows a second of each core.")
    ] = "throughput",
    quick: options.Quick = False,
    budget_s: Annotated[float, options.budget_s("after them no new trial begins")] = 300,
    write: options.Write = False,
) -> None:
    """Search the backend, precision, memory format, threads and batch size that run a model best on this machine.

    Each is tried in a process of its own; what does not answer as eager does is out. Ctrl-C shows what was found.
    Exits with 2 if nothing can be tried.

    Example: [bold]pitstop tune serve_config.yaml --model digits-cpu --goal latency --quick --write[/bold]
    """
    from ..tune.main import TuneOptions
    from ..tune.main import tune as run

    raise typer.Exit(run(TuneOptions(config, model, goal, quick, budget_s, write)))
