"""What a replica pushes once a second: counters from 0 on, gauges that tell the truth or nothing."""

import asyncio
import math
from types import SimpleNamespace
from typing import Any

import pytest
from ray.serve import metrics

from configs.schema import ModelConfig, SourceConfig
from deployments.batching.batch_result import BatchResult
from deployments.canary.canary import Canary
from deployments.core.errors import KINDS
from deployments.metrics.info import info_of, network_of
from deployments.metrics.model_metrics import ModelMetrics
from deployments.metrics.prometheus import INFO
from deployments.metrics.readings import Readings

Values = dict[tuple[str, tuple[str, ...]], float]
BASE = {
    "name": "m",
    "source": {"exported_program": "s3://user:secret@bucket/m.pt2?sig=1"},
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
}
PROPERTIES = {"device": "cuda", "backend": "trace", "precision": "bf16"}


@pytest.fixture
def values(monkeypatch: pytest.MonkeyPatch) -> Values:
    """What was exported, by name and labels: the sum of a counter, the last value of a gauge."""
    found: Values = {}

    def record(self: Any, value: float, tags: dict[str, str] | None = None) -> None:
        key = self.info["name"], tuple((tags or {}).values())
        found[key] = value + (found.get(key, 0) if isinstance(self, metrics.Counter) else 0)

    monkeypatch.setattr("ray.util.metrics.Metric._record", record)
    return found


def pushed(counts: ModelMetrics, readings: Readings) -> None:
    async def once() -> None:
        task = counts.watch(lambda: readings, dict.fromkeys(INFO, "-"))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(once())


def test_every_counter_and_every_kind_of_error_is_0_before_the_first_request(values: Values) -> None:
    ModelMetrics({})
    assert {kind for (name, kinds), _ in values.items() if name == "pitstop_errors" for kind in kinds} == set(KINDS)
    assert set(values.values()) == {0}
    for name in ("requests", "rows", "forwards", "padding_rows", "unwarmed_shapes", "health_probes", "out_of_memory"):
        assert (f"pitstop_{name}", ()) in values


def test_a_gauge_of_what_was_not_measured_has_no_value_and_the_others_have_theirs_at_once(values: Values) -> None:
    pushed(ModelMetrics({(1, ()): 2.0, (2, ()): 3.0}), Readings(5, 1024, healthy=1, p99_target_ms=20))
    gauges = {name: value for (name, _), value in values.items()}
    assert gauges["pitstop_queue_rows"] == 5
    assert gauges["pitstop_queue_limit_rows"] == 1024
    assert gauges["pitstop_healthy"] == 1
    assert gauges["pitstop_p99_target_ms"] == 20
    assert gauges["pitstop_warmed_shapes"] == 2
    assert values["pitstop_info", ("-",) * len(INFO)] == 1
    for name in ("efficiency", "device_idle_share", "queue_target_ms"):
        assert math.isnan(gauges[f"pitstop_{name}"])


def test_what_ran_and_what_failed_is_counted_once_however_often_it_is_pushed(values: Values) -> None:
    counts = ModelMetrics({(4, ()): 1.0})
    counts.count_forward(BatchResult([], 3, (4, ()), request_s=[0.005, 0.005], busy_s=0.01, forward_s=0.01, ended_s=1))
    counts.count_failure("not_finite")
    for _ in range(2):
        pushed(counts, Readings(0, 1, probes=3, out_of_memory=1, unwarmed=7))
    assert values["pitstop_requests", ()] == 2
    assert values["pitstop_rows", ()] == 3
    assert values["pitstop_forwards", ()] == 1
    assert values["pitstop_padding_rows", ()] == 1
    assert values["pitstop_errors", ("not_finite",)] == 1
    assert values["pitstop_errors", ("timeout",)] == 0
    assert values["pitstop_health_probes", ()] == 3
    assert values["pitstop_out_of_memory", ()] == 1
    assert values["pitstop_unwarmed_shapes", ()] == 7
    assert 0 < values["pitstop_efficiency", ()] <= 1


def test_a_canary_s_outcomes_are_0_before_its_first_request(values: Values) -> None:
    async def opened() -> None:
        async def watch_for_ever(*_: object) -> None: ...

        client: Any = SimpleNamespace(watch_for_ever=watch_for_ever, close=lambda: None)
        Canary(client, 10).close()

    asyncio.run(opened())
    outcomes = {labels: value for (name, labels), value in values.items() if name == "pitstop_canary_requests"}
    assert outcomes == {(each,): 0 for each in ("answered", "away", "full", "lost", "slow")}


def test_the_info_tells_what_runs_and_no_secret_of_the_source() -> None:
    inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
    found = info_of(ModelConfig.model_validate({**BASE, "inputs": inputs}), PROPERTIES)
    assert tuple(found) == INFO
    assert found["source"] == "s3://bucket/m.pt2"
    assert (found["device"], found["shapes"]) == ("cuda", "warmed")


NET = {"factory": "a.b:Net"}


@pytest.mark.parametrize(
    "source, same",
    [
        ({**NET, "weights": "s3://me:key@host/w.pt?sig=2", "kwargs": {"names": {0: "a", 1: "b"}, "n": 3}}, True),
        ({**NET, "weights": "s3://host/w.pt", "kwargs": {"n": 3, "names": {0: "a", 1: "b"}}, "sha256": 64 * "0"}, True),
        ({**NET, "weights": "s3://host/other.pt", "kwargs": {"n": 3, "names": {0: "a", 1: "b"}}}, False),
        ({**NET, "weights": "s3://host/w.pt", "kwargs": {"n": 4}}, False),
        (NET, False),
        ({"pretrained": "a.b:Net", "task": "token-classification"}, False),
    ],
)
def test_the_same_network_is_one_of_the_same_factory_weights_and_arguments(source: dict[str, Any], same: bool) -> None:
    given = {**NET, "weights": "s3://host/w.pt?sig=1", "kwargs": {"n": 3, "names": {0: "a", 1: "b"}}}
    first, second = (network_of(SourceConfig.model_validate(each)) for each in (given, source))
    assert (first == second) is same
    assert first.startswith("a.b:Net ")
    assert second.startswith("a.b:Net")


def test_the_info_tells_where_a_forward_may_have_any_shape() -> None:
    inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, "n"]}]
    dims = {"n": {"sizes": [4, 8], "pad": "none"}}
    config = ModelConfig.model_validate({**BASE, "inputs": inputs, "dims": dims})
    assert info_of(config, PROPERTIES)["shapes"] == "any"
