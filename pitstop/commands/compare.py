"""The options of `pitstop compare`. What it does is imported when it is called, so that --help is quick."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .. import options
from ..completion import model_names


def compare(
    gpu_model: Annotated[
        str, typer.Argument(metavar="GPU_MODEL", help="A name at --url, or a URL.", autocompletion=model_names)
    ],
    cpu_model: Annotated[
        str, typer.Argument(metavar="CPU_MODEL", help="The same model on CPUs.", autocompletion=model_names)
    ],
    slo_ms: options.SloMs = 50,
    url: Annotated[str, options.url("that of models given by name")] = "http://127.0.0.1:8000",
    gpu_instance: Annotated[str | None, typer.Option(help="The GPU machine, as the price file names it.")] = None,
    cpu_instance: Annotated[str | None, typer.Option(help="The CPU machine, as the price file names it.")] = None,
    gpu_usd_per_hour: Annotated[float | None, typer.Option(help="Your own price of the GPU machine.")] = None,
    cpu_usd_per_hour: Annotated[float | None, typer.Option(help="Your own price of the CPU machine.")] = None,
    gpu_per_machine: Annotated[int, typer.Option(help="Replicas that share a GPU machine.")] = 1,
    cpu_per_machine: Annotated[int, typer.Option(help="Replicas that share a CPU machine.")] = 1,
    as_measured_elsewhere: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read the GPU's results from the JSON of a comparison.")
    ] = None,
    gpu_price_only: Annotated[
        bool, typer.Option("--gpu-price-only", help="Without a GPU: measure the CPU, compute what a GPU must sustain.")
    ] = False,
    prices: Annotated[Path | None, typer.Option(help="Prices as YAML, or SkyPilot's vms.csv.")] = None,
    region: Annotated[str | None, typer.Option(help="Region of the prices.")] = None,
    prices_source: Annotated[str | None, typer.Option(help="Source of a vms.csv.")] = None,
    prices_date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Date of a vms.csv.")] = None,
    seconds: Annotated[float, options.seconds("in each probe; more at low rates")] = 5,
    format_: options.Format = "binary",
    requests: options.Requests = None,
    rows: options.Rows = 1,
    length: options.Length = None,
    json_: options.Json = None,
    report: Annotated[Path | None, options.report("compare.html, .png and .json")] = None,
) -> None:
    """Find out whether a GPU is cheaper than the CPUs that replace it, at the same p99, and for which traffic.

    Searches the highest rate that each model sustains within the target, one after the other, and prices it.
    Serve one replica of each. Exits with 2 if there is nothing to compare, such as a GPU model that runs on a CPU.

    Example: [bold]pitstop compare digits digits-cpu --slo-ms 50 --gpu-instance g6.xlarge
    --cpu-instance c7i.2xlarge[/bold]

    Without a GPU at hand add [bold]--gpu-price-only[/bold]: nothing is assumed of what a GPU would sustain.
    """
    from configs.prices import SHIPPED

    from ..compare.main import CompareOptions, Machine
    from ..compare.main import compare as run

    gpu = Machine(gpu_instance, gpu_usd_per_hour, gpu_per_machine)
    cpu = Machine(cpu_instance, cpu_usd_per_hour, cpu_per_machine)
    asked = CompareOptions(gpu_model, cpu_model, slo_ms, gpu, cpu, url, as_measured_elsewhere, gpu_price_only)
    asked = replace(
        asked, prices=prices or SHIPPED, region=region, prices_source=prices_source, prices_date=prices_date,
        seconds=seconds, kind=format_, path=requests, rows=rows, length=length, written=json_, report=report,
    )  # fmt: skip
    raise typer.Exit(run(asked))
