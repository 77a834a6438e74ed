import json
import time
from dataclasses import replace
from typing import Any

import pytest
from ray.serve import autoscaling_policy
from ray.serve.config import AutoscalingConfig

from benchmarks.autoscaling.__main__ import one
from benchmarks.autoscaling.cases import OURS, SERVE, PolicySetting, config, models
from benchmarks.autoscaling.choose import as_cheap, as_good, best
from benchmarks.autoscaling.controller import Clock, Controller, Reporter, time_of
from benchmarks.autoscaling.fleet import Fleet
from benchmarks.autoscaling.replica import SimulatedReplica
from benchmarks.autoscaling.traffic import SHAPES, Shape
from benchmarks.cache import PROJECT

TEN = {1: 100.0}
STEADY = Shape("steady", "always the same", 300, lambda _: 1.0)
RESULTS = PROJECT / "benchmarks" / "results" / "autoscaling_simulated_202611.json"


def fixed(replicas: int) -> AutoscalingConfig:
    return AutoscalingConfig(min_replicas=replicas, max_replicas=replicas)


def test_arrivals_follow_their_shape_and_their_seed() -> None:
    step = SHAPES[0]
    at_s = step.arrivals(50, 1)
    assert at_s == step.arrivals(50, 1) != step.arrivals(50, 2)
    assert at_s == sorted(at_s)
    busy = sum(600 <= each < 1800 for each in at_s) / 1200
    assert busy == pytest.approx(50, rel=0.05)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda each: each.name)
def test_every_shape_stays_within_its_peak(shape: Shape) -> None:
    shares = [shape.share(at_s) for at_s in range(int(shape.lasts_s))]
    assert 0 < min(shares) < 0.25
    assert max(shares) == pytest.approx(1, abs=0.01)


def test_a_replica_takes_what_waits_each_time_it_is_free() -> None:
    found: list[float] = []
    replica = SimulatedReplica({1: 100.0, 4: 200.0}, 0, 0)
    for at_s in (0.0, 0.01, 0.02):
        replica.add(at_s)
    replica.advance(1.0, found)
    assert found == pytest.approx([0.1, 0.29, 0.28])
    told = replica.look(1.0)
    assert told["rows_per_s"] == 3
    assert told["forward_ms_4"] == pytest.approx(200)


def test_a_replica_takes_fewer_where_that_is_sooner_for_all_as_the_server_does() -> None:
    found: list[float] = []
    replica = SimulatedReplica({1: 100.0, 2: 190.0, 4: 400.0}, 0, 0)
    for at_s in (0.0, 0.01, 0.02, 0.03):
        replica.add(at_s)
    replica.advance(1.0, found)
    assert found == pytest.approx([0.1, 0.28, 0.27, 0.36])


def test_a_fleet_that_may_not_scale_costs_its_replicas() -> None:
    outcome = Fleet(STEADY.arrivals(5, 1), 300, TEN, fixed(2), 60).run(1000)
    assert outcome.replica_hours == pytest.approx(2 * 300 / 3600)
    assert (outcome.attained, outcome.refused, outcome.changes) == (1, 0, 0)


def test_what_is_too_much_waits_and_then_is_refused() -> None:
    outcome = Fleet(STEADY.arrivals(20, 1), 300, TEN, fixed(1), 60).run(1000)
    assert outcome.refused > 0
    assert outcome.attained < 0.1


def test_the_same_run_gives_the_same_outcome() -> None:
    model, shape = models()[0], replace(SHAPES[0], lasts_s=700)
    chosen = config(model, shape, PolicySetting(OURS, model.target_queue_ms, "of cluster.yaml"))
    at_s = shape.arrivals(40, 1)
    target = model.target_queue_ms
    first, second = (Fleet(at_s, 700, model.forward_ms, chosen, 20, target).run(model.slo_ms) for _ in range(2))
    assert first == second
    assert first.changes > 0


def test_serve_s_own_code_decides_by_its_own_delays() -> None:
    clock = Clock()
    controller = Controller(AutoscalingConfig(max_replicas=9, upscale_delay_s=30, metrics_interval_s=1))
    reporter = Reporter(controller, "1", 0.0)
    changed_s = []
    with time_of(clock):
        for second in range(60):
            clock.now_s = float(second)
            reporter.record(8, {}, clock.now_s)
            if controller.decide([reporter.id]) != 1:
                changed_s.append(second)
    # Eight under way are four times Serve's default of two a replica.
    assert (changed_s[0], controller.target) == (30, 4)


def test_serve_gets_its_clock_back() -> None:
    with time_of(Clock()):
        assert vars(autoscaling_policy)["time"] is not time
    assert vars(autoscaling_policy)["time"] is time


def of(policy: str, hours: float, attained: float) -> dict[str, Any]:
    return {"policy": policy, "replica_hours": hours, "attained": attained}


def test_hindsight_picks_the_cheapest_as_good_the_best_and_the_best_as_cheap() -> None:
    runs = [of(OURS, 5, 0.99), of(SERVE, 9, 0.99), of(SERVE, 8, 0.995), of(SERVE, 12, 1.0), of(SERVE, 4, 0.9)]
    assert as_good(runs) == runs[2]
    assert best(runs) == runs[3]
    assert as_cheap(runs) == runs[4]
    assert as_good(runs[:1]) is None


def test_the_committed_runs_took_no_setting_away_from_serve() -> None:
    record = json.loads(RESULTS.read_text())
    for model in models():
        for shape in SHAPES:
            tried = {
                (each["target"], each["delays"])
                for each in record["runs"]
                if (each["model"], each["shape"], each["policy"]) == (model.name, shape.name, SERVE)
            }
            assert len(tried) == 2 * len(model.targets)


def test_a_committed_run_repeats() -> None:
    record, shape = json.loads(RESULTS.read_text()), next(each for each in SHAPES if each.name == "spike")
    again = one(
        (models()[0].name, shape.name, 60.0, PolicySetting(OURS, models()[0].target_queue_ms, "of cluster.yaml"))
    )
    assert [each for each in record["runs"] if each == again]
