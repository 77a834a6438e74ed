"""Serve's own proxy: a request of a model without replicas is answered at once, unless it is to wait for one."""

import asyncio
import sys
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from deployments.applications import App
from deployments.proxy_answers import _grpc, _http, answering, install
from deployments.ray_compat import proxies

LOADING = App("m", "1", "LOADING", False, "")
SCALED = App("m", "1", "READY", False, "", held=True)
HELD = App("m", "1", "LOADING", False, "", held=True)
FAILED = App("m", "1", "UNAVAILABLE", True, "", status="DEPLOY_FAILED")


class Known:
    """What Serve says that it runs; an exception where it does not answer."""

    def __init__(self, *apps: App, error: Exception | None = None) -> None:
        self._apps, self._error = list(apps), error
        self.asked = 0

    async def apps(self) -> list[App]:
        self.asked += 1
        if self._error:
            raise self._error
        return self._apps


def handle(replicas: set[str]) -> Any:
    router = SimpleNamespace(_asyncio_router=SimpleNamespace(_request_router=SimpleNamespace(_replica_id_set=replicas)))
    return SimpleNamespace(deployment_id=SimpleNamespace(app_name="m"), _router=router)


async def passed_on(_self: Any, **_: Any) -> AsyncIterator[Any]:
    yield "from the replica"


class Request:
    """A POST whose body comes in parts."""

    request_type, method, method_name = "http", "POST", "ModelInfer"

    def __init__(self, path: str = "/v2/models/m/infer", parts: int = 3) -> None:
        self.path = path
        self.parts = parts

    async def receive(self) -> dict[str, Any]:
        self.parts -= 1
        return {"type": "http.request", "body": b"x", "more_body": self.parts > 0}


def sent(known: Known, replicas: set[str], request: Request, write: Any = _http) -> list[Any]:
    async def collect() -> list[Any]:
        send = answering(passed_on, known, write)  # type: ignore[arg-type]
        return [each async for each in send(None, handle=handle(replicas), proxy_request=request, request_id="1")]

    return asyncio.run(collect())


@pytest.mark.parametrize("known", [Known(SCALED), Known(HELD), Known(), Known(error=ConnectionError())])
def test_what_may_be_at_zero_is_held_and_so_is_what_nobody_knows(known: Known) -> None:
    assert sent(known, set(), Request()) == ["from the replica"]


def test_where_there_is_a_replica_the_controller_is_not_even_asked() -> None:
    known = Known(LOADING)
    assert sent(known, {"replica"}, Request()) == ["from the replica"]
    assert known.asked == 0


@pytest.mark.parametrize(
    "app, retry_after, sentence", [(LOADING, b"1", "model 'm' is loading"), (FAILED, None, "model 'm' failed")]
)
def test_a_model_that_loads_or_failed_is_503_in_json_once_the_body_was_read(
    app: App, retry_after: bytes | None, sentence: str
) -> None:
    request = Request()
    start, body, status = sent(Known(app), set(), request)
    headers = dict(start["headers"])
    assert (start["status"], headers[b"content-type"], headers.get(b"retry-after")) == (
        503,
        b"application/json",
        retry_after,
    )
    assert sentence in orjson.loads(body["body"])["error"]
    assert (status.code, status.is_error) == (503, True)
    assert request.parts == 0


def test_its_probe_says_that_it_is_not_ready() -> None:
    _, body, _ = sent(Known(LOADING), set(), Request("/v2/models/m/ready", 1))
    assert orjson.loads(body["body"]) == {"name": "m", "ready": False}


def test_over_grpc_it_is_unavailable_and_its_probe_says_that_it_is_not_ready() -> None:
    import grpc

    (status,) = sent(Known(LOADING), set(), Request(), _grpc)
    assert (status.code, status.message) == (
        grpc.StatusCode.UNAVAILABLE,
        "model 'm' is loading, not ready: try again in 1 s",
    )
    probe = Request()
    probe.method_name = "ModelReady"
    ready, status = sent(Known(LOADING), set(), probe, _grpc)
    assert (ready, status.code) == (b"", grpc.StatusCode.OK)


def test_it_answers_in_the_place_of_serve_s_functions_once(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = SimpleNamespace()
    for name in ("HTTPProxy", "gRPCProxy"):
        setattr(proxy, name, type(name, (), {"send_request_to_replica": passed_on}))
    monkeypatch.setitem(sys.modules, "ray.serve._private.proxy", proxy)
    monkeypatch.setattr(proxies, "usable", lambda _: True)
    install()
    replaced = proxy.HTTPProxy.send_request_to_replica
    assert passed_on not in (replaced, proxy.gRPCProxy.send_request_to_replica)
    install()
    assert proxy.HTTPProxy.send_request_to_replica is replaced
