"""Without any one of the private names Serve's own way is taken, and the log says once what is lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import ray
import uvicorn.config
from ray import serve
from ray.serve._private import application_state, default_impl, proxy
from ray.serve._private import controller as ray_controller
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, DeploymentStatusOverview, ServeStatus

from deployments import bind_addresses, serve_status
from deployments.ray_compat import (
    accounting,
    autoscaling,
    builds,
    controller,
    counters,
    handles,
    haproxy,
    proxies,
    servers,
    uvicorn_protocol,
)
from deployments.ray_compat.names import Name, Part
from deployments.ray_compat.table import PARTS
from tests.deployments.ray_compat import stand_ins
from tests.deployments.ray_compat.hidden import change, each_function, each_name, hide

# Their words are the values of enums, and are read as such.
NO_WORD: Any = None
LOADING = DeploymentStatusOverview(NO_WORD, NO_WORD, {}, "it loads")
RUNS = DeploymentStatusOverview(NO_WORD, NO_WORD, {"RUNNING": 2}, "")  # type: ignore[dict-item]
STATUS = ServeStatus(
    applications={
        "loads": ApplicationStatusOverview(ApplicationStatus.DEPLOYING, "", 0.0, {"Model": LOADING}),
        "runs": ApplicationStatusOverview(ApplicationStatus.RUNNING, "", 0.0, {"Model": RUNS}),
    }
)
Fallback = Callable[[pytest.MonkeyPatch], bool]
REPLICA = stand_ins.replica()


def without_accounting(_: pytest.MonkeyPatch) -> bool:
    return accounting.counters(REPLICA) is None


def without_http_server(_: pytest.MonkeyPatch) -> bool:
    return servers.replica_of_app(stand_ins.app(REPLICA)) is None


def without_grpc_server(_: pytest.MonkeyPatch) -> bool:
    return servers.replica_of_grpc(stand_ins.grpc_server(REPLICA)) is None


def without_address(_: pytest.MonkeyPatch) -> bool:
    before = getattr(default_impl, "add_grpc_address", None)
    servers.set_grpc_address(lambda address: address)
    return getattr(default_impl, "add_grpc_address", None) is before


def without_protocol(_: pytest.MonkeyPatch) -> bool:
    found = getattr(uvicorn.config, "HTTP_PROTOCOLS", {})
    before = dict(found)
    uvicorn_protocol.set_protocol("deployments.http.server_protocol:ServerProtocol")
    return not uvicorn_protocol.protocol_usable() and found == before


def without_client(_: pytest.MonkeyPatch) -> bool:
    class Cycle:
        disconnected = True

        async def receive(self) -> None: ...

    return uvicorn_protocol.leaving(Cycle().receive) is None


def without_details(monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(serve, "status", lambda: STATUS)
    monkeypatch.setattr(controller, "running_replicas", dict)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True}])
    known = serve_status.ServeStatus("root")
    loads, runs = asyncio.run(known.apps())
    assert (loads.state, loads.held, loads.message) == ("LOADING", True, "it loads")
    assert (runs.state, runs.version, runs.replicas) == ("READY", "1", 2)
    return known.port == 8000


def without_replicas(_: pytest.MonkeyPatch) -> bool:
    return controller.running_replicas() == {}


def without_addresses(_: pytest.MonkeyPatch) -> bool:
    return asyncio.run(controller.replica_addresses()) == {}


def without_options(_: pytest.MonkeyPatch) -> bool:
    return asyncio.run(bind_addresses.http_host()) == bind_addresses.LOCAL


def without_sending(_: pytest.MonkeyPatch) -> bool:
    def ours(_: proxies.Send) -> proxies.Send:
        raise AssertionError("Serve's function was replaced")

    proxies.replace_sending(ours, ours)
    return True


def without_router(_: pytest.MonkeyPatch) -> bool:
    return not proxies.has_replicas(stand_ins.Handle(frozenset({"a"})))


def without_grpc_choice(_: pytest.MonkeyPatch) -> bool:
    return bool(handles.by_grpc(stand_ins.Handle()).chosen == {})


def without_unchecked(monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(serve, "get_deployment_handle", lambda *names, **flags: (names, flags))
    return bool(handles.handle_to("Model", "m") == (("Model", "m"), {}))


def without_zero(_: pytest.MonkeyPatch) -> bool:
    class Counter:
        def _record(self, value: float, tags: object) -> None:
            raise AssertionError(f"{value} {tags}")

    counters.start_at_zero(Counter())
    return True


def without_manager(_: pytest.MonkeyPatch) -> bool:
    before = getattr(ray_controller, "HAProxyManager", None)
    haproxy.replace_manager()
    return getattr(ray_controller, "HAProxyManager", None) is before


def without_builder(_: pytest.MonkeyPatch) -> bool:
    before = getattr(application_state, "build_serve_application", None)
    builds.share_process()
    return getattr(application_state, "build_serve_application", None) is before


def without_autoscaling(_: pytest.MonkeyPatch) -> bool:
    with pytest.raises(RuntimeError, match=r"benchmarks\.autoscaling. does not run"):
        autoscaling.check()
    return True


FALLBACKS: dict[Part, Fallback] = {
    accounting.PART: without_accounting,
    servers.HTTP: without_http_server,
    servers.GRPC: without_grpc_server,
    servers.ADDRESS: without_address,
    uvicorn_protocol.PROTOCOL: without_protocol,
    uvicorn_protocol.CLIENT: without_client,
    controller.DETAILS: without_details,
    controller.REPLICAS: without_replicas,
    controller.ADDRESSES: without_addresses,
    controller.OPTIONS: without_options,
    proxies.SENDING: without_sending,
    proxies.ROUTER: without_router,
    handles.BY_GRPC: without_grpc_choice,
    handles.UNCHECKED: without_unchecked,
    counters.AT_ZERO: without_zero,
    haproxy.PART: without_manager,
    builds.PART: without_builder,
    autoscaling.PART: without_autoscaling,
}


def test_every_part_has_a_fallback() -> None:
    assert set(FALLBACKS) == set(PARTS)
    assert proxy.__name__ == "ray.serve._private.proxy"  # Only where it is loaded there is something to replace.


@pytest.mark.parametrize("part, name", [*each_name()], ids=str)
def test_where_a_name_is_missing_serve_s_way_is_taken_and_the_log_says_so_once(
    part: Part, name: Name, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hide(name, monkeypatch)
    assert all(FALLBACKS[part](monkeypatch) for _ in range(2))
    assert_said_once(part, f"{name}", caplog)


@pytest.mark.parametrize("part, name", [*each_function()], ids=str)
def test_where_a_function_takes_other_parameters_it_is_not_called_and_the_log_says_so_once(
    part: Part, name: Name, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    change(name, monkeypatch)
    assert all(FALLBACKS[part](monkeypatch) for _ in range(2))
    assert_said_once(part, f"{name} takes other parameters", caplog)


def assert_said_once(part: Part, what: str, caplog: pytest.LogCaptureFixture) -> None:
    if part is autoscaling.PART:  # It says so in an exception.
        return
    [told] = [record.getMessage() for record in caplog.records if part.lost in record.getMessage()]
    assert told.startswith(part.noun)
    assert what in told
