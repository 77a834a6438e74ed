"""Whose books may be kept: those of a replica whose model and servers share one event loop."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from deployments import ledger


@pytest.mark.parametrize("shared", [True, False])
def test_where_the_model_has_an_event_loop_of_its_own_requests_go_serve_s_way_and_the_log_says_why(
    shared: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ledger, "_installed", [True])
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    one, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        found = ledger.of_grpc_server(server_of(replica(one, one if shared else other)))
    finally:
        one.close()
        other.close()
    assert (found is not None) is shared
    assert ("RAY_SERVE_THROUGHPUT_OPTIMIZED is off" in caplog.text) is not shared


def replica(servers: Any, model: Any) -> Any:
    manager = SimpleNamespace(
        inc_num_ongoing_requests=None, dec_num_ongoing_requests=None, _cached_request_counter={}, _cached_latencies={}
    )
    return SimpleNamespace(
        _metrics_manager=manager,
        _route_prefix="/",
        _event_loop=servers,
        _user_callable_wrapper=SimpleNamespace(event_loop=model),
        _direct_ingress_grpc_server=None,
    )


def server_of(found: Any) -> Any:
    class Factory:
        __self__ = found

    return SimpleNamespace(service_handler_factory=Factory())
