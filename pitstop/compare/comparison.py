"""Both models measured and priced: all that the table, the plot, the page and the JSON are made from."""

from dataclasses import asdict, dataclass
from typing import Any

from configs.prices import Price

from ..report.numbers import rate
from . import cost
from .cost import Fleet, Stretch
from .measured import Measured


@dataclass(frozen=True, slots=True)
class Side:
    """One model on its machine. `fleet` is None where it sustains nothing within the target."""

    measured: Measured
    price: Price
    per_machine: int

    @property
    def fleet(self) -> Fleet | None:
        rate_rps = self.measured.capacity.rate_rps
        return Fleet(rate_rps, self.price.usd_per_hour, self.per_machine) if rate_rps else None

    @property
    def caution(self) -> str:
        """The sentence that a headline begins with where the client, not the server, was the limit."""
        capacity = self.measured.capacity
        if not capacity.at_least:
            return ""
        so = "what the server sustains was not seen. "
        if capacity.rate_rps:
            so = f"it sustains at least {rate(capacity.rate_rps)} a second, and costs at most what is said here. "
        return f"The client was the limit for {self.measured.model}: {so}"


@dataclass(frozen=True, slots=True)
class Comparison:
    gpu: Side
    cpu: Side
    slo_ms: float

    @property
    def stretches(self) -> list[Stretch]:
        """Who costs less for which traffic; empty where a side sustains nothing."""
        gpu, cpu = self.gpu.fleet, self.cpu.fleet
        return cost.stretches(gpu, cpu) if gpu and cpu else []

    @property
    def verdict(self) -> str:
        gpu, cpu = self.gpu.fleet, self.cpu.fleet
        caution = self.gpu.caution + self.cpu.caution
        if gpu and cpu:
            return caution + cost.verdict(self.stretches)
        lost = [name for name, fleet in (("GPU", gpu), ("CPU", cpu)) if fleet is None]
        return f"{caution}The {' and the '.join(lost)} cannot keep p99 within {self.slo_ms:g} ms at any rate."

    def as_json(self) -> dict[str, Any]:
        sides = {"gpu": self.gpu, "cpu": self.cpu}
        return {
            "slo_ms": self.slo_ms,
            "verdict": self.verdict,
            **{
                name: {
                    **side.measured.as_json(),
                    "price": side.price.model_dump(mode="json"),
                    "per_machine": side.per_machine,
                }
                for name, side in sides.items()
            },
            "stretches": [asdict(each) for each in self.stretches],
            "costs": [self._row(rate_rps) for rate_rps in cost.RATES] if self.stretches else [],
        }

    def _row(self, rate_rps: float) -> dict[str, Any]:
        gpu, cpu = self.gpu.fleet, self.cpu.fleet
        assert gpu is not None
        assert cpu is not None
        return {
            "rate_rps": rate_rps,
            "gpu_replicas": cost.replicas(rate_rps, gpu),
            "gpu_usd_per_million": cost.usd_per_million(rate_rps, gpu),
            "cpu_replicas": cost.replicas(rate_rps, cpu),
            "cpu_usd_per_million": cost.usd_per_million(rate_rps, cpu),
            "cheaper": cost.cheaper(rate_rps, gpu, cpu),
        }
