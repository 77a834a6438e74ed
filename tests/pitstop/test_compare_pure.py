"""Capacity search and cost: arithmetic that knows no clock and no network."""

import random
from collections.abc import Callable

import pytest

from pitstop.compare.capacity import Kind, Probe, Run, search
from pitstop.compare.cost import Fleet, Stretch, cheaper, replicas, stretches, usd_per_hour, usd_per_million, verdict
from pitstop.report.numbers import rate


def server(capacity_rps: float, flaw: Callable[[], bool] = lambda: False, limit: str = "") -> Run:
    """A server that meets the target up to a rate; `flaw` fails a probe whatever its rate."""

    def run(rate_rps: float, seed: int, kind: Kind) -> Probe:
        assert seed >= 0
        return Probe(rate_rps, rate_rps <= capacity_rps and not flaw(), 5, 20, 0, limit, kind)

    return run


@pytest.mark.parametrize("capacity", [0.2, 3, 40, 777, 12_345])
@pytest.mark.parametrize("share", [0.001, 0.4, 1, 20])
def test_the_search_ends_within_a_tenth_below_the_capacity(capacity: float, share: float) -> None:
    found = search(server(capacity), capacity * share)
    assert capacity / 1.11 <= found.rate_rps <= capacity
    assert found.best is not None
    assert (found.best.rate_rps, found.best.kind) == (found.rate_rps, "confirm")


def test_a_server_that_never_meets_the_target_has_no_capacity() -> None:
    found = search(server(0.01), 10)
    assert (found.rate_rps, found.best) == (0, None)
    assert found.probes


def test_one_bad_probe_in_ten_moves_the_capacity_little() -> None:
    rng = random.Random(1)
    found = [search(server(100, lambda: rng.random() < 0.1), 10).rate_rps for _ in range(200)]
    assert sum(each >= 80 for each in found) / len(found) > 0.9
    assert max(found) <= 100


def test_probes_of_one_rate_have_different_arrivals() -> None:
    seeds: list[int] = []

    def run(rate_rps: float, seed: int, kind: Kind) -> Probe:
        seeds.append(seed)
        return Probe(rate_rps, rate_rps < 50, 5, 20, 0, "", kind)

    search(run, 10)
    assert len(set(seeds)) == len(seeds)


def test_a_capacity_that_the_client_may_have_limited_says_so() -> None:
    assert search(server(100, limit="sent late"), 10).at_least == "sent late"
    assert search(server(100), 10).at_least == ""


def test_a_rate_that_was_missed_met_and_missed_again_says_that_the_machine_was_not_quiet() -> None:
    outcomes = {10: [True], 20: [False, True, False], 40: [False, False]}

    def run(rate_rps: float, _: int, kind: Kind) -> Probe:
        passed = outcomes[round(rate_rps)].pop(0) if outcomes.get(round(rate_rps)) else rate_rps <= 19
        return Probe(rate_rps, passed, 5, 20, 0, "", kind)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pitstop.compare.capacity._CLOSE", 2.0)
        found = search(run, 10)
    assert found.unsteady_rps == (20.0,)
    assert search(server(100), 10).unsteady_rps == ()


@pytest.mark.parametrize(
    "rate_rps, capacity, count", [(0.1, 100, 1), (100, 100, 1), (100.1, 100, 2), (300, 100, 3), (0.3, 0.1, 3)]
)
def test_replicas_are_traffic_over_capacity_rounded_up(rate_rps: float, capacity: float, count: int) -> None:
    assert replicas(rate_rps, Fleet(capacity, 1.0)) == count


def test_idle_time_is_paid_for() -> None:
    fleet = Fleet(100, 0.36)
    assert usd_per_million(100, fleet) == pytest.approx(1.0)
    assert usd_per_million(1, fleet) == pytest.approx(100.0)
    assert usd_per_million(101, fleet) == pytest.approx(2 * 100 / 101)


def test_replicas_that_share_a_machine_share_its_price() -> None:
    assert [usd_per_hour(each, Fleet(10, 1.0, per_machine=4)) for each in (1, 40, 41)] == [1, 1, 2]


def test_below_the_crossover_the_cpu_is_cheaper_and_above_it_the_gpu() -> None:
    gpu, cpu = Fleet(700, 0.8), Fleet(22, 0.357)
    found = stretches(gpu, cpu)
    assert [(each.low, each.high, each.winner) for each in found] == [(0.1, 44, "cpu"), (44, 10_000, "gpu")]
    assert verdict(found) == "Below 44 a second the CPU costs less, above it the GPU."


def test_near_break_even_the_winner_changes_with_every_machine() -> None:
    found = stretches(Fleet(90, 0.8), Fleet(30, 0.357))
    assert [(each.low, each.winner) for each in found] == [(0.1, "cpu"), (60, "gpu"), (90, "cpu"), (120, "gpu")]
    assert verdict(found).startswith("Below 60 a second the CPU costs less, above 120 the GPU;")


def test_for_a_tiny_model_the_answer_is_cpu() -> None:
    found = stretches(Fleet(3000, 0.8), Fleet(2500, 0.357))
    assert found == [Stretch(0.1, 10_000, "cpu")]
    assert verdict(found) == "The CPU costs less at every traffic up to 10,000 a second."


def test_a_gpu_that_is_cheaper_by_the_hour_wins_everywhere_and_a_tie_goes_to_the_cpu() -> None:
    assert "GPU costs less at every traffic" in verdict(stretches(Fleet(100, 0.1), Fleet(100, 0.2)))
    assert cheaper(1, Fleet(100, 0.2), Fleet(100, 0.2)) == "cpu"


def test_every_stretch_names_who_is_cheaper_within_it() -> None:
    rng = random.Random(0)
    for _ in range(50):
        gpu, cpu = Fleet(rng.uniform(50, 3000), rng.uniform(0.3, 4)), Fleet(rng.uniform(5, 300), rng.uniform(0.1, 1))
        found = stretches(gpu, cpu)
        assert (found[0].low, found[-1].high) == (0.1, 10_000)
        for each in found:
            for place in (0.01, 0.5, 0.99):
                assert cheaper(each.low + place * (each.high - each.low), gpu, cpu) == each.winner


def test_rates_are_written_with_three_digits() -> None:
    assert [rate(each) for each in (0.1, 43.987, 1234.5, 10_000)] == ["0.1", "44", "1,230", "10,000"]
