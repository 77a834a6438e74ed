"""Requests of the short path, counted for Serve: what is counted, and in which replicas."""

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from deployments import serve_accounting, serve_request_counter
from deployments.http.server_protocol import ServerProtocol
from deployments.http.short_path import ShortPath
from deployments.ray_compat.names import say_once
from tests.deployments.ray_compat import stand_ins


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(serve_request_counter, "_enabled", [True])
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    say_once.cache_clear()
    yield
    say_once.cache_clear()


@pytest.mark.parametrize("shared", [True, False])
def test_where_the_model_has_an_event_loop_of_its_own_requests_go_serve_s_way_and_the_log_says_why(
    shared: bool, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        replica = stand_ins.replica(servers=one, model=one if shared else other)
        found = serve_request_counter.of_grpc_server(stand_ins.grpc_server(replica))
    finally:
        one.close()
        other.close()
    assert (found is not None) is shared
    assert ("RAY_SERVE_THROUGHPUT_OPTIMIZED is off" in caplog.text) is not shared


def test_a_request_is_ongoing_from_its_begin_to_its_end_and_counted_once() -> None:
    replica = stand_ins.replica()
    counter = serve_request_counter.of_grpc_server(stand_ins.grpc_server(replica))
    assert counter is not None
    manager = replica._metrics_manager
    began = counter.begin()
    assert (manager._num_ongoing_requests, dict(manager._cached_request_counter)) == (1, {})
    counter.end(began)
    assert (manager._num_ongoing_requests, dict(manager._cached_request_counter)) == (0, {"/v2/models/m": 1})
    [[route, [latency_ms]]] = manager._cached_latencies.items()
    assert (route, 0 <= latency_ms < 1000 * (time.perf_counter() - began)) == ("/v2/models/m", True)


def test_a_replica_s_http_server_gets_the_short_path_and_every_other_is_left_alone() -> None:
    async def found(app: Any, replica: Any) -> Any:
        serve_accounting._Finder(app)
        for _ in range(3):
            await asyncio.sleep(0)
        return replica._direct_ingress_http_server.config.http_protocol_class

    replica = stand_ins.replica()
    protocol = asyncio.run(found(stand_ins.app(replica), replica))
    assert issubclass(protocol, ShortPath)
    assert issubclass(protocol, ServerProtocol)
    other = stand_ins.replica()
    assert asyncio.run(found(stand_ins.app(object()), other)) is None
