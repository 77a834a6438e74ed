"""`pitstop compare`: is a GPU cheaper than the CPUs that replace it, at the same p99, and for which traffic."""

import datetime
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from configs.prices import SHIPPED, Price, Prices, load_prices
from configs.problems import ConfigError

from ..load.bodies import Format, requests
from ..load.errors import LoadError
from ..load.target import Target, find
from ..measure import results
from ..report.terminal import plain_console
from .comparison import Comparison, Side
from .measured import Measured, from_file, measure
from .price_only import PriceOnly, Unmeasured
from .reports import write
from .same import check_same
from .table import show
from .view import view

DONE, UNUSABLE, STOPPED = 0, 2, 130


@dataclass(frozen=True, slots=True)
class Machine:
    """What the user says of the machine under a model: its instance in the price file, or its price."""

    instance: str | None = None
    usd_per_hour: float | None = None
    per_machine: int = 1


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What the user asked for. Models are URLs, or names at `url`."""

    gpu_model: str
    cpu_model: str
    slo_ms: float = 50.0
    gpu: Machine = field(default_factory=Machine)
    cpu: Machine = field(default_factory=Machine)
    url: str = "http://127.0.0.1:8000"
    elsewhere: Path | None = None
    price_only: bool = False
    prices: Path = SHIPPED
    region: str | None = None
    prices_source: str | None = None
    prices_date: str | None = None
    seconds: float = 5.0
    kind: Format = "binary"
    path: Path | None = None
    rows: int = 1
    length: int | None = None
    written: Path | None = None
    report: Path | None = None


def compare(options: CompareOptions, console: Console | None = None) -> int:
    """Measure both models, show what they cost, and return the exit status."""
    console = console or plain_console()
    errors = plain_console(stderr=True)
    try:
        found = _compare(options)
        if options.written != results.STDOUT:
            show(view(found), console)
        write(found, options.written, options.report, console)
    except (LoadError, ConfigError) as error:
        errors.print(str(error), style="red", markup=False, soft_wrap=True)
        return UNUSABLE
    except KeyboardInterrupt:
        errors.print("stopped by Ctrl-C before both models were measured: nothing to compare", style="yellow")
        return STOPPED
    return DONE


def _compare(options: CompareOptions) -> Comparison | PriceOnly:
    _check(options)
    # All that can be wrong is found before the first minute is spent.
    gpu_price, cpu_price = _price(options, "gpu", options.gpu), _price(options, "cpu", options.cpu)
    gpu: Unmeasured | Measured | Target
    served: Target | None = None
    if options.price_only:
        served = _if_served(options)
        gpu = Unmeasured(_name(options.gpu_model), gpu_price, options.gpu.per_machine, _why_not(served))
    else:
        gpu = _gpu_target(options) if options.elsewhere is None else from_file(options.elsewhere, options.slo_ms)
    cpu = find(_url(options, options.cpu_model))
    other = served if isinstance(gpu, Unmeasured) else gpu
    if other is not None:
        check_same(other, cpu)
    if str(cpu.properties.get("device", "cpu")) != "cpu":
        raise LoadError(f"{cpu.model!r} runs on {cpu.properties['device']}, not on a CPU", "name a model of device cpu")
    if isinstance(gpu, Target):
        gpu = _measure(options, gpu)
    cpu_side = Side(_measure(options, cpu), cpu_price, options.cpu.per_machine)
    if isinstance(gpu, Unmeasured):
        return PriceOnly(gpu, cpu_side, options.slo_ms)
    return Comparison(Side(gpu, gpu_price, options.gpu.per_machine), cpu_side, options.slo_ms)


def _check(options: CompareOptions) -> None:
    given = {
        "--slo-ms": options.slo_ms,
        "--seconds": options.seconds,
        "--rows": options.rows,
        "--length": 1 if options.length is None else options.length,
    }
    given |= {"--gpu-per-machine": options.gpu.per_machine, "--cpu-per-machine": options.cpu.per_machine}
    for name, value in given.items():
        if value <= 0:
            raise LoadError(f"{name} is {value:g}", "it must be above 0")
    if options.price_only and options.elsewhere is not None:
        raise LoadError("--gpu-price-only and --as-measured-elsewhere exclude each other", "leave out one of them")
    if options.written is not None and not options.written.resolve().parent.is_dir():
        raise LoadError(f"{options.written}: there is no such folder", "make it first, or name another file")


def _price(options: CompareOptions, side: str, machine: Machine) -> Price:
    if machine.usd_per_hour is not None:
        return _own_price(side, machine.instance or f"your {side.upper()} machine", machine.usd_per_hour)
    prices: Prices = load_prices(options.prices, options.prices_source, _day(options.prices_date))
    if machine.instance is None:
        names = ", ".join(sorted({each.instance for each in prices.prices})[:12])
        raise LoadError(
            f"nobody said what the {side.upper()} machine costs",
            f"add --{side}-instance, one of {names}, or --{side}-usd-per-hour",
        )
    return prices.find(machine.instance, options.region)


def _day(text: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text) if text else None
    except ValueError as error:
        raise LoadError(f"--prices-date {text!r} is not a day", "write it like 2026-11-25") from error


def _own_price(side: str, instance: str, usd_per_hour: float) -> Price:
    flag = f"--{side}-usd-per-hour"
    if usd_per_hour <= 0:
        raise LoadError(f"{flag} is {usd_per_hour:g}", "say what an hour costs you")
    today = datetime.datetime.now(datetime.UTC).date()
    # The number of CPUs plays no part in the cost.
    return Price(
        instance=instance, region="yours", accelerator=None, vcpus=1, usd_per_hour=usd_per_hour, source=flag, date=today
    )


def _gpu_target(options: CompareOptions) -> Target:
    """Find the GPU model, and refuse one that runs on a CPU: its costs would be a CPU's under a GPU's name."""
    target = find(_url(options, options.gpu_model))
    device = str(target.properties.get("device", ""))
    if device.startswith("cpu"):
        why = target.properties.get("fallback") or f"its metadata says device {device}"
        raise LoadError(
            f"{target.model!r} is not on a GPU: {why}",
            "serve it where a GPU is, add --as-measured-elsewhere with the JSON of a comparison made there, "
            "or --gpu-price-only to measure the CPU alone",
        )
    return target


def _if_served(options: CompareOptions) -> Target | None:
    """Find the GPU model where a server has it, on whatever device."""
    try:
        return find(_url(options, options.gpu_model))
    except LoadError:
        return None


def _why_not(served: Target | None) -> str:
    """Return why the GPU model is not measured: what its server says, where one serves it."""
    if served is None:
        return "it is not served here"
    return str(served.properties.get("fallback") or "--gpu-price-only")


def _name(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2]


def _url(options: CompareOptions, model: str) -> str:
    return model if "://" in model else f"{options.url.rstrip('/')}/v2/models/{model}"


def _measure(options: CompareOptions, target: Target) -> Measured:
    found = requests(target, options.path, options.rows, options.length)
    errors = plain_console(stderr=True)
    with errors.status(f"{target.model}: starting") as line:
        return measure(target, found, options.kind, options.slo_ms, options.seconds, line.update, errors.print)
