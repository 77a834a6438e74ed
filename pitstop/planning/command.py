"""The `plan` command's arguments and help; imported with the command line, so it imports nothing heavy itself."""

from pathlib import Path
from typing import Annotated

import typer


def plan(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A Serve config file.")],
    rate: Annotated[float, typer.Option(help="Requests a second to plan for.")],
    slo_ms: Annotated[float, typer.Option(help="p99 latency at most.")],
    model: Annotated[str | None, typer.Option(help="Which model of the file.")] = None,
    rows: Annotated[int, typer.Option(help="Rows in a request.")] = 1,
    length: Annotated[int | None, typer.Option(help="Open size to plan for; the middle one warmed.")] = None,
    price_gpu: Annotated[float | None, typer.Option(help="Of one GPU, usd an hour.")] = None,
    price_cpu: Annotated[float | None, typer.Option(help="Of one CPU core, usd an hour.")] = None,
    profile: Annotated[list[str] | None, typer.Option(metavar="FILE|URL", help="Forward times, not measured.")] = None,
    save_profile: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the forward times.")] = None,
    budget_s: Annotated[float, typer.Option(help="Seconds to time forwards, on each device.")] = 10,
    low_rate: Annotated[float | None, typer.Option(help="Of a quiet hour; a fifth of --rate.")] = None,
    peak_rate: Annotated[float | None, typer.Option(help="Of the busiest minute; twice --rate.")] = None,
    autoscale: Annotated[bool, typer.Option("--autoscale", help="Plan bounds, not a fixed number.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Change the file; comments stay.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Serve the plan here, and measure.")] = False,
    url: Annotated[str | None, typer.Option(help="Verify on this server instead.")] = None,
    seconds: Annotated[float, typer.Option("--seconds", "-s", help="Of load, at each rate verified.")] = 15,
) -> None:
    """Choose batch size, wait and replicas that meet a latency target at the least cost.

    Times the model's forward here, then simulates the batcher; --verify holds the prediction against real load.
    Exits with 0 where there is a plan, 1 where no setting meets the target, 2 where nothing can be planned.

    Example: [bold]pitstop plan serve_config.yaml --model digits-cpu --rate 500 --slo-ms 50 --verify[/bold]
    """
    from ..plan import Wish
    from ..plan import plan as run
    from .choose import Target

    wish = Wish(
        path=config,
        name=model,
        target=Target(rate, slo_ms, rows),
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
    raise typer.Exit(run(wish))
