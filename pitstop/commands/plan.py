"""The `plan` command's arguments and help; imported with the command line, so it imports nothing heavy itself."""

from pathlib import Path
from typing import Annotated

import typer


def plan(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A Serve config file.")],
    rate: Annotated[float, typer.Option(help="Requests a second to plan for.")],
    slo_ms: Annotated[float, typer.Option(help="Latency target: p99, in milliseconds.")],
    model: Annotated[str | None, typer.Option(help="Which model of the file.")] = None,
    rows: Annotated[int, typer.Option(help="Rows in a request.")] = 1,
    length: Annotated[
        int | None, typer.Option(help="Open size to plan for; by default the middle one that is warmed.")
    ] = None,
    price_gpu: Annotated[float | None, typer.Option(help="Price of one GPU, in USD an hour.")] = None,
    price_cpu: Annotated[float | None, typer.Option(help="Price of one CPU core, in USD an hour.")] = None,
    profile: Annotated[
        list[str] | None, typer.Option(metavar="FILE|URL", help="Read forward times, do not measure them.")
    ] = None,
    save_profile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the forward times to this file.")
    ] = None,
    budget_s: Annotated[float, typer.Option(help="Seconds for timing forwards, on each device.")] = 10,
    low_rate: Annotated[float | None, typer.Option(help="Rate of a quiet hour; by default a fifth of --rate.")] = None,
    peak_rate: Annotated[
        float | None, typer.Option(help="Rate of the busiest minute; by default twice --rate.")
    ] = None,
    autoscale: Annotated[
        bool, typer.Option("--autoscale", help="Plan autoscaling bounds, not a fixed number.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Change the file; comments are kept.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Serve the plan on this machine and measure it.")] = False,
    url: Annotated[str | None, typer.Option(help="Verify on this server instead.")] = None,
    seconds: Annotated[float, typer.Option("--seconds", "-s", help="Seconds of load at each verified rate.")] = 15,
) -> None:
    """Choose batch size, wait and replicas that meet a latency target at the least cost.

    Times the model's forward here, then simulates the batcher; --verify holds the prediction against real load.
    Exits with 0 if there is a plan, 1 if no setting meets the target, 2 if nothing can be planned.

    Example: [bold]pitstop plan serve_config.yaml --model digits-cpu --rate 500 --slo-ms 50 --verify[/bold]
    """
    from ..plan.choose import LatencyTarget
    from ..plan.main import PlanOptions
    from ..plan.main import plan as run

    options = PlanOptions(
        path=config,
        name=model,
        target=LatencyTarget(rate, slo_ms, rows),
        price_gpu=price_gpu,
        price_cpu=price_cpu,
        profiles=tuple(profile or ()),
        length=length,
        budget_s=budget_s,
        low_rps=low_rate,
        peak_rps=peak_rate,
        autoscale=autoscale,
        write=write,
        verify=verify,
        url=url,
        seconds=seconds,
        save_profile=save_profile,
    )
    raise typer.Exit(run(options))
