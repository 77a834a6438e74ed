"""A comparison in words and cells: what the terminal and the page show alike, whether or not the GPU was measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..report.numbers import rate
from .comparison import Comparison, Side
from .formatting import HEADS, PRICE_HEADS, limits, price_row, priced, row, sustains
from .price_only import NOT_MEASURED, PriceOnly

CAVEAT = "The figures hold where each model ran alone, on the machine whose price is given."
GPU_CAVEAT = f"The GPU is {NOT_MEASURED}: of it only the price of one machine is known, not the rate that it sustains."


@dataclass(frozen=True, slots=True)
class Part:
    """One side: `title` and `where` make its heading."""

    title: str
    where: str
    found: str
    price: str
    runs: int


@dataclass(frozen=True, slots=True)
class View:
    """`cheaper` says of each row of the table which side costs less, as far as that is certain."""

    names: str
    verdict: str
    parts: tuple[Part, ...]
    limits: tuple[str, ...]
    heads: tuple[str, ...]
    rows: tuple[Sequence[str], ...]
    cheaper: tuple[str, ...]
    caveat: str


def view(found: Comparison | PriceOnly) -> View:
    """Return what is shown of a comparison."""
    costs: list[dict[str, Any]] = found.as_json()["costs"]
    cpu = _part("CPU", found.cpu, found.slo_ms)
    if isinstance(found, PriceOnly):
        gpu, names = _unmeasured(found), f"{found.gpu.model} on a GPU, not measured, {cpu.title} on CPUs"
        rows = tuple(price_row(each) for each in costs)
        sure = tuple("" if each["gpu_must_sustain_rps"] else "cpu" for each in costs)
        told, caveat = limits([found.cpu]), f"{CAVEAT} {GPU_CAVEAT}"
        return View(names, found.verdict, (gpu, cpu), told, PRICE_HEADS, rows, sure, caveat)
    gpu, names = _part("GPU", found.gpu, found.slo_ms), f"{found.gpu.measured.model} on a GPU, {cpu.title} on CPUs"
    rows, sure = tuple(row(each) for each in costs), tuple(str(each["cheaper"]) for each in costs)
    return View(names, found.verdict, (gpu, cpu), limits([found.gpu, found.cpu]), HEADS, rows, sure, CAVEAT)


def _part(name: str, side: Side, slo_ms: float) -> Part:
    device = side.measured.device or "a device that the server does not name"
    runs = len(side.measured.capacity.probes)
    return Part(side.measured.model, f"{name}, on {device}", sustains(side, slo_ms), priced(side.price), runs)


def _unmeasured(found: PriceOnly) -> Part:
    wanted = ""
    if found.cpu.fleet is not None:
        wanted = f"; to cost less at high traffic, a replica must sustain more than {rate(found.even_rps)} a second"
    said = f"{NOT_MEASURED} ({found.gpu.why}){wanted}"
    return Part(found.gpu.model, f"GPU, {NOT_MEASURED}", said, priced(found.gpu.price), 0)
