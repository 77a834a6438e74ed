"""Requests are counted only where Serve keeps its counts as we are going to."""

from typing import Any

import pytest

from deployments.ray_compat import accounting
from tests.deployments.ray_compat import stand_ins


def test_a_cache_that_serve_keeps_by_another_key_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    class Manager(stand_ins.ReplicaMetricsManager):  # type: ignore[misc]  # Ray's class has no types.
        def record_request_metrics(self, *, route: str, latency_ms: float, **_: Any) -> None:
            self._cached_request_counter[f"POST {route}"] += 1
            self._cached_latencies[f"POST {route}"].append(latency_ms)

    replica = stand_ins.replica(stand_ins.metrics_manager(Manager))
    assert accounting.counters(replica) is None
    assert_said("by another key", caplog)


def test_a_cache_that_has_become_another_kind_of_dict_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    replica = stand_ins.replica()
    replica._metrics_manager._cached_latencies = {}
    assert accounting.counters(replica) is None
    assert_said("default_factory", caplog)


def test_a_replica_that_lacks_what_its_class_sets_goes_serve_s_way(caplog: pytest.LogCaptureFixture) -> None:
    replica = stand_ins.replica()
    del replica._metrics_manager._cached_latencies  # RAY_SERVE_METRICS_EXPORT_INTERVAL_MS is 0.
    assert accounting.counters(replica) is None
    assert_said("_cached_latencies", caplog)


def assert_said(what: str, caplog: pytest.LogCaptureFixture) -> None:
    [told] = [record.getMessage() for record in caplog.records]
    assert what in told
    assert accounting.PART.lost in told
