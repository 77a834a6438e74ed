"""How the figures of a comparison are written, in the table and on the page alike."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from configs.prices import Price

from ..report.numbers import milliseconds, rate, usd
from .comparison import Side
from .measured import Measured

HEADS = ("arrivals/s", "GPU replicas", "$/million", "CPU replicas", "$/million", "cheaper")
PRICE_HEADS = ("arrivals/s", "CPU replicas", "$/million", "GPU $/million, at least", "a GPU replica must sustain")


def row(found: Mapping[str, Any]) -> list[str]:
    """Return the cells of one rate."""
    return [
        rate(found["rate_rps"]),
        f"{found['gpu_replicas']:,}",
        usd(found["gpu_usd_per_million"]),
        f"{found['cpu_replicas']:,}",
        usd(found["cpu_usd_per_million"]),
        str(found["cheaper"]).upper(),
    ]


def price_row(found: Mapping[str, Any]) -> list[str]:
    """Return the cells of one rate where the GPU has a price only."""
    least = found["gpu_must_sustain_rps"]
    return [
        rate(found["rate_rps"]),
        f"{found['cpu_replicas']:,}",
        usd(found["cpu_usd_per_million"]),
        usd(found["gpu_usd_per_million_at_least"]),
        "CPU costs less" if least is None else f"{rate(least)}/s",
    ]


def sustains(side: Side, slo_ms: float) -> str:
    """Say what a model sustains, and how long its answers take there."""
    capacity, best = side.measured.capacity, side.measured.capacity.best
    if best is None:
        return f"misses p99 {slo_ms:g} ms at every rate tried, down to {capacity.probes[-1].rate_rps:.2g} a second"
    least = " or more" if capacity.at_least else ""
    took = f"p50 {milliseconds(best.p50_ms)}, p99 {milliseconds(best.p99_ms)}"
    return f"{rate(capacity.rate_rps)} a second{least}; there {took}"


def limits(sides: Sequence[Side]) -> tuple[str, ...]:
    """Return what makes a capacity a lower bound only, or a rough one."""
    return tuple(text for side in sides for text in _doubts(side.measured))


def _doubts(measured: Measured) -> Iterator[str]:
    capacity = measured.capacity
    if capacity.at_least:
        yield f"{measured.model}: it may sustain more; {capacity.at_least}"
    if capacity.unsteady_rps:
        rates = ", ".join(f"{rate(each)}/s" for each in capacity.unsteady_rps)
        met = "was met" if len(capacity.unsteady_rps) == 1 else "were each met"
        what = f"{rates} {met} once and missed twice: the machine was not quiet"
        yield f"{measured.model}: {what}; repeat it when it is"


def priced(price: Price) -> str:
    what = f"{price.instance} ({price.accelerator})" if price.accelerator else price.instance
    return f"{what}, {price.region}: {price.usd_per_hour:g} $ an hour; {price.source}, {price.date}"
