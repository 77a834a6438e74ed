"""A model with tokens over each way in, without Ray: who is answered, who is told what, and what stays open."""

import asyncio
import pickle
from typing import Any

import grpc
import pytest

from configs.schema import AuthConfig
from deployments.auth.authenticator import Authenticator, open_authenticator
from deployments.core.errors import Forbidden, QueueFull, ServeError, TimedOut, TooLarge, Unauthorized
from deployments.grpc.calls import METHODS
from deployments.protocol.headers import FOR_PAGE
from deployments.stubs import open_inference_pb2 as pb
from tests.deployments import fake_rpc
from tests.deployments.fake_service import FakeService, ask, identity
from tests.deployments.http.test_short_path import BODY, Connection, post, run

ALL, OTHER = "all-" + "1" * 20, "other-" + "2" * 20
Code = grpc.StatusCode


@pytest.fixture
def authenticator(monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    monkeypatch.setenv("TOKENS", f"{ALL}\n{OTHER} other")
    found = open_authenticator(AuthConfig(tokens_env="TOKENS", tokens_file=None), "fake")
    assert found is not None
    return found


@pytest.fixture
def locked(authenticator: Authenticator) -> FakeService:
    service = identity("FP32")
    service.authenticator = authenticator
    return service


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_without_access_there_is_no_guard() -> None:
    assert open_authenticator(None, "fake") is None


@pytest.mark.parametrize("header", [None, b"", b"Bearer", b"Bearer ", b"Basic abc", ALL.encode(), b"Bearer \xff\x00"])
def test_what_is_no_known_token_is_unauthorized(authenticator: Authenticator, header: bytes | None) -> None:
    refused = authenticator.refusal(header)
    assert refused is not None
    assert (refused.status, refused.headers) == (401, ((b"www-authenticate", b"Bearer"),))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(authenticator: Authenticator, scheme: str) -> None:
    assert authenticator.refusal(f"{scheme} {ALL}".encode()) is None


@pytest.mark.parametrize(
    "path", ["", "/config", "/stats", "/history", "/infer", "/predict", "/nothing", "/versions/9/infer"]
)
def test_all_of_a_model_but_its_readiness_is_closed(locked: FakeService, path: str) -> None:
    method = "POST" if path in ("/infer", "/predict") else "GET"
    answer = ask(locked, path, BODY, method=method)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert ask(locked, path, BODY, method=method, headers=bearer(OTHER)).status == 403
    assert ask(locked, path, BODY, method=method, headers=bearer(ALL)).status in (200, 400, 404)


@pytest.mark.parametrize("path", ["/ready", "/versions/1/ready", "/ready/"])
def test_a_probe_needs_no_token(locked: FakeService, path: str) -> None:
    assert ask(locked, path, method="GET").status == 200


def test_refusals_are_counted_and_reach_no_model(locked: FakeService) -> None:
    ask(locked, "/infer", BODY)
    ask(locked, "/infer", BODY, headers=bearer(OTHER))
    assert locked.failures == ["unauthorized", "forbidden"]
    assert locked.seen == []


@pytest.mark.parametrize("given", [{}, bearer(OTHER)])
def test_a_refusal_of_what_a_page_of_the_server_asks_is_counted_by_itself(
    locked: FakeService, given: dict[str, str]
) -> None:
    page = {FOR_PAGE.decode(): "1"}
    assert ask(locked, "/history", method="GET", headers=page | given).status in (401, 403)
    assert locked.failures == ["page_refused"]
    assert ask(locked, "/nothing", method="GET", headers=page | bearer(ALL)).status == 404
    assert locked.failures == ["page_refused", "not_found"]


def test_the_short_path_refuses_reads_past_the_body_and_goes_on(
    locked: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(connection: Connection) -> None:
        assert b"HTTP/1.1 401 Unauthorized" in await connection.send(post())
        whole = post(authorization=f"Bearer {OTHER}")
        assert await connection.send(whole[:-20]) == b""
        sent = await connection.send(whole[-20:] + post(authorization=f"Bearer {ALL}"))
        assert [sent.count(b"HTTP/1.1 403 "), sent.count(b"HTTP/1.1 200 ")] == [1, 1]
        assert sent.index(b" 403 ") < sent.index(b" 200 ")
        assert connection.counter.ongoing == 0

    connection = run(test, locked, monkeypatch)
    assert len(locked.seen) == 1
    assert not connection.socket.closed


class Context(fake_rpc.Context):
    def __init__(self, token: str | None) -> None:
        super().__init__()
        self._metadata = (("request_id", "abc"),) + ((("authorization", f"Bearer {token}"),) if token else ())

    def invocation_metadata(self) -> Any:
        return self._metadata


def call(service: FakeService, method: str, request: bytes, token: str | None) -> tuple[Any, bytes]:
    context = Context(token)
    answer = asyncio.run(METHODS[method](fake_rpc.Owner(service), request, grpc_context=context))
    return context.code, answer.SerializeToString()


@pytest.mark.parametrize("method", ["ServerMetadata", "ModelMetadata", "ModelInfer"])
def test_grpc_refuses_in_its_own_codes(locked: FakeService, method: str) -> None:
    request = pb.ModelMetadataRequest(name="fake").SerializeToString()
    assert call(locked, method, request, None) == (Code.UNAUTHENTICATED, b"")
    assert call(locked, method, request, OTHER) == (Code.PERMISSION_DENIED, b"")
    assert call(locked, method, request, ALL)[0] in (Code.OK, Code.INVALID_ARGUMENT)


@pytest.mark.parametrize("method", ["ServerLive", "ServerReady", "ModelReady"])
def test_a_grpc_probe_needs_no_token(locked: FakeService, method: str) -> None:
    request = pb.ModelReadyRequest(name="fake").SerializeToString() if method == "ModelReady" else b""
    code, answer = call(locked, method, request, None)
    assert (code, answer) == (Code.OK, b"\x08\x01")


def test_a_stream_without_a_token_ends_before_its_first_request(locked: FakeService) -> None:
    context = Context(None)

    async def main() -> None:
        async def requests() -> Any:
            raise AssertionError("it was read")
            yield

        answers = METHODS["ModelStreamInfer"](fake_rpc.Owner(locked), requests(), grpc_context=context)
        with pytest.raises(Exception, match="a token is needed"):
            [each async for each in answers]

    asyncio.run(main())
    assert context.code is Code.UNAUTHENTICATED


@pytest.mark.parametrize("error", [Unauthorized(), Forbidden(), TimedOut(), QueueFull(3), TooLarge(1)])
def test_a_refusal_crosses_processes_as_ray_s_own_proxy_sends_it(error: ServeError) -> None:
    found = pickle.loads(pickle.dumps(error))
    assert (found.kind, found.status, found.message) == (error.kind, error.status, error.message)
