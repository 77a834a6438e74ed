"""The `plan` command's arguments and help; imported with the command line, so it imports nothing heavy itself."""

from pathlib import Path
from typing import Annotated

import typer

from .. import options


def plan(
    config: options.Config,
    rate: Annotated[float, options.rate("those to plan for")],
    slo_ms: options.SloMs,
    model: options.Model = None,
    rows: options.Rows = 1,
    length: Annotated[int | None, options.length("by default the middle one that is warmed")] = None,
    price_gpu: Annotated[float | None, typer.Option(help="Price of one GPU, in USD an hour.")] = None,
    price_cpu: Annotated[float | None, typer.Option(help="Price of one CPU core, in USD an hour.")] = None,
    profile: Annotated[
        list[str] | None, typer.Option(metavar="FILE|URL", help="Read forward times, do not measure them.")
    ] = None,
    save_profile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the forward times to this file.")
    ] = None,
    budget_s: Annotated[float, options.budget_s("on timing forwards, for each device")] = 10,
    low_rate: Annotated[float | None, typer.Option(help="Rate of a quiet hour; by default a fifth of --rate.")] = None,
    peak_rate: Annotated[
        float | None, typer.Option(help="Rate of the busiest minute; by default twice --rate.")
    ] = None,
    autoscale: Annotated[
        bool, typer.Option("--autoscale", help="Plan autoscaling bounds, not a fixed number.")
    ] = False,
    write: options.Write = False,
    verify: Annotated[bool, typer.Option("--verify", help="Serve the plan on this machine and measure it.")] = False,
    url: Annotated[str | None, options.url("verify there, and start none")] = None,
    seconds: Annotated[float, options.seconds("at each rate that is verified")] = 15,
) -> None:
    """Choose batch size, wait and replicas that meet a latency target at the least cost.

    Times the model's forward here, then simulates the batcher; --verify holds the prediction against real load.
    Exits with 0 if there is a plan, 1 if no setting meets the target, 2 if nothing can be planned.

    Example: [bold]pitstop plan serve_config.yaml --model digits-cpu --rate 500 --slo-ms 50 --verify[/bold]
    """
    from ..plan.choose import LatencyTarget
    from ..plan.main import PlanOptions
    from ..plan.main import plan as run

    asked = PlanOptions(
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
    raise typer.Exit(run(asked))
