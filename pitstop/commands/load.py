"""The options of `pitstop load`. What it does is imported when it is called, so that --help is quick."""

from typing import Annotated, Literal

import typer

from .. import options

Format = Literal["binary", "json", "grpc"]


def load(
    url: Annotated[str, typer.Argument(metavar="URL", help="The model: http://HOST:PORT/v2/models/NAME")],
    rate: Annotated[float | None, options.rate("an open loop with Poisson arrivals")] = None,
    connections: Annotated[int, typer.Option("--connections", "-c", help="Closed loop: number of connections.")] = 8,
    seconds: Annotated[float, options.seconds("without the warm-up")] = 10,
    warmup: Annotated[float, typer.Option(help="Seconds of load before the measurement.")] = 1,
    format_: Annotated[Format, typer.Option("--format", help="Format of the requests.")] = "binary",
    requests: options.Requests = None,
    rows: options.Rows = 1,
    length: options.Length = None,
    timeout: Annotated[float, options.timeout("for an answer")] = 30,
    retries: Annotated[int, typer.Option(help="Retries after a connection error, or a 503 with Retry-After.")] = 0,
    most: Annotated[int, typer.Option(help="Open loop: most connections at once.")] = 512,
    grpc_port: Annotated[int, typer.Option(help="The server's gRPC port.")] = 8001,
    seed: Annotated[int, typer.Option(help="Random seed of the arrival times.")] = 0,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter of every request, such as seed=7.")
    ] = None,
    json_: options.Json = None,
) -> None:
    """Put load on a model: percentiles with confidence intervals, errors by kind, and the client's own limits.

    Latency counts from when a request was due, so a server that stalls cannot hide it. Without --rate, closed loop.
    Exits with 2 if nothing can be measured. Ctrl-C shows what was measured so far.

    Example: [bold]pitstop load http://127.0.0.1:8000/v2/models/digits --rate 500 --seconds 30[/bold]
    """
    from ..load.main import LoadOptions
    from ..load.main import load as run
    from ..load.plan import Plan

    plan = Plan(rate, connections, most, seconds, warmup, timeout, retries, seed)
    given = tuple(parameter or ())
    raise typer.Exit(run(LoadOptions(url, plan, format_, requests, rows, length, grpc_port, given, json_)))
