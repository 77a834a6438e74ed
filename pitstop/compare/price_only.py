"""The CPU measured, the GPU known by its price alone: what it would have to sustain to cost less. Pure.

Nothing is assumed of the GPU. Two things follow from its price: at little traffic one machine of it costs more than the
CPUs whatever it sustains, and at much traffic its replicas must sustain a certain rate, which is named.
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from configs.prices import Price

from ..report.numbers import rate
from . import cost
from .comparison import Side
from .cost import Fleet

NOT_MEASURED = "not measured"
_HAIR = 1e-9


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A GPU model that nobody ran on a GPU; `why` says what stood in the way."""

    model: str
    price: Price
    per_machine: int
    why: str

    def alone_usd_per_million(self, rate_rps: float) -> float:
        """Return what a million answers cost if one machine carried all the traffic: less it cannot be."""
        return self.price.usd_per_hour * 1e6 / (3600 * rate_rps)


@dataclass(frozen=True, slots=True)
class PriceOnly:
    """What can be said of a GPU by its price and the CPU's measurement."""

    gpu: Unmeasured
    cpu: Side
    slo_ms: float

    @property
    def cpu_cheaper_to_rps(self) -> float:
        """Up to this traffic the CPUs cost no more than one GPU machine, whatever it sustains."""
        cpu = self.cpu.fleet
        if cpu is None:
            return 0.0
        machines = floor(self.gpu.price.usd_per_hour / cpu.usd_per_hour + _HAIR)
        return machines * cpu.per_machine * cpu.capacity_rps

    @property
    def even_rps(self) -> float:
        """A GPU replica that sustains more costs less than the CPUs, where both kinds of machine are full."""
        cpu = self.cpu.fleet
        if cpu is None:
            return 0.0
        answers_per_usd = cpu.capacity_rps * cpu.per_machine / cpu.usd_per_hour
        return answers_per_usd * self.gpu.price.usd_per_hour / self.gpu.per_machine

    @property
    def verdict(self) -> str:
        """Say what is certain, and what a measurement would have to show."""
        if self.cpu.fleet is None:
            lost = f"The CPU cannot keep p99 within {self.slo_ms:g} ms at any rate; the GPU is {NOT_MEASURED}."
            return self.cpu.caution + lost
        sure, even = self.cpu_cheaper_to_rps, rate(self.even_rps)
        certain = f"Up to {rate(sure)} a second the CPU costs less, whatever the GPU sustains. " if sure else ""
        wanted = f"For much traffic a GPU replica must sustain more than {even} a second within {self.slo_ms:g} ms"
        return f"{self.cpu.caution}{certain}{wanted} to cost less: {NOT_MEASURED}."

    def as_json(self) -> dict[str, Any]:
        """Return all figures; those of the GPU are its price, and `measured` is false."""
        prices = {"price": self.gpu.price.model_dump(mode="json"), "per_machine": self.gpu.per_machine}
        cpu = {"price": self.cpu.price.model_dump(mode="json"), "per_machine": self.cpu.per_machine}
        fleet = self.cpu.fleet
        return {
            "slo_ms": self.slo_ms,
            "verdict": self.verdict,
            "gpu": {"model": self.gpu.model, "measured": False, "why": self.gpu.why, **prices},
            "cpu": {**self.cpu.measured.as_json(), **cpu},
            "cpu_cheaper_to_rps": self.cpu_cheaper_to_rps,
            "gpu_must_sustain_rps": self.even_rps,
            "costs": [self._row(rate_rps, fleet) for rate_rps in cost.RATES] if fleet else [],
        }

    def _row(self, rate_rps: float, cpu: Fleet) -> dict[str, Any]:
        return {
            "rate_rps": rate_rps,
            "cpu_replicas": cost.replicas(rate_rps, cpu),
            "cpu_usd_per_million": cost.usd_per_million(rate_rps, cpu),
            "gpu_usd_per_million_at_least": self.gpu.alone_usd_per_million(rate_rps),
            "gpu_must_sustain_rps": must_sustain(rate_rps, self.gpu, cpu),
        }


def must_sustain(rate_rps: float, gpu: Unmeasured, cpu: Fleet) -> float | None:
    """Return what a GPU replica must sustain so that its fleet costs less than the CPUs; None where none is enough."""
    machines = ceil(cost.usd_per_hour(rate_rps, cpu) / gpu.price.usd_per_hour - _HAIR) - 1
    return rate_rps / (machines * gpu.per_machine) if machines > 0 else None
