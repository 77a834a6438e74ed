"""What a GPU's price alone says: held against the full comparison, with every rate that a GPU might sustain."""

import datetime
import random

import pytest

from configs.prices import Price
from pitstop.compare.capacity import Capacity, Probe
from pitstop.compare.comparison import Side
from pitstop.compare.cost import RATES, Fleet, cheaper, stretches
from pitstop.compare.measured import Measured
from pitstop.compare.price_only import PriceOnly, Unmeasured, must_sustain


def price(usd_per_hour: float) -> Price:
    return Price(
        instance="i", region="r", accelerator=None, vcpus=1, usd_per_hour=usd_per_hour, source="list",
        date=datetime.date(2026, 11, 1),
    )  # fmt: skip


def price_only(gpu_usd: float, cpu_usd: float, cpu_rps: float, gpu_per: int = 1, cpu_per: int = 1) -> PriceOnly:
    probe = Probe(cpu_rps, True, 8, 41, 0, "", "confirm")
    measured = Measured("m-cpu", "http://h", "cpu", 50, Capacity(cpu_rps, probe, (probe,)))
    return PriceOnly(Unmeasured("m", price(gpu_usd), gpu_per, "no GPU"), Side(measured, price(cpu_usd), cpu_per), 50)


def drawn(seed: int) -> PriceOnly:
    draw = random.Random(seed)
    return price_only(
        draw.uniform(0.2, 4), draw.uniform(0.1, 1), draw.uniform(5, 300), draw.choice((1, 2)), draw.choice((1, 4))
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_gpu_that_sustains_what_it_must_costs_less_and_one_that_sustains_less_does_not(seed: int) -> None:
    found = drawn(seed)
    cpu = found.cpu.fleet
    assert cpu is not None
    for rate in RATES:
        least = must_sustain(rate, found.gpu, cpu)
        usd, per_machine = found.gpu.price.usd_per_hour, found.gpu.per_machine
        if least is None:
            assert cheaper(rate, Fleet(1e9, usd, per_machine), cpu) == "cpu"
            continue
        assert cheaper(rate, Fleet(least * 1.001, usd, per_machine), cpu) == "gpu"
        assert cheaper(rate, Fleet(least * 0.999, usd, per_machine), cpu) == "cpu"


@pytest.mark.parametrize("seed", range(20))
def test_up_to_the_traffic_it_names_no_gpu_costs_less_and_beyond_a_fast_one_does(seed: int) -> None:
    found = drawn(seed)
    cpu, edge = found.cpu.fleet, found.cpu_cheaper_to_rps
    assert cpu is not None
    fastest = Fleet(1e9, found.gpu.price.usd_per_hour, found.gpu.per_machine)
    if edge:
        assert cheaper(edge * 0.999, fastest, cpu) == "cpu"
    assert cheaper(edge * 1.001 + 1e-6, fastest, cpu) == "gpu"


@pytest.mark.parametrize("seed", range(20))
def test_for_much_traffic_the_even_rate_decides(seed: int) -> None:
    found = drawn(seed)
    cpu = found.cpu.fleet
    assert cpu is not None
    for factor, winner in ((1.05, "gpu"), (0.95, "cpu")):
        gpu = Fleet(found.even_rps * factor, found.gpu.price.usd_per_hour, found.gpu.per_machine)
        assert stretches(gpu, cpu, 1e5, 1e6)[-1].winner == winner


def test_a_gpu_machine_that_costs_less_than_a_cpu_machine_may_win_at_any_traffic() -> None:
    found = price_only(0.1, 0.2, 50)
    assert found.cpu_cheaper_to_rps == 0
    assert found.verdict.startswith("For much traffic a GPU replica must sustain more than 25 a second")
