"""The short path's connection as a state machine, without a socket and without a loop."""

import itertools

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import Tunables
from deployments.core.errors import TooLarge, Unauthorized
from deployments.http.bodies import HEAVY_BYTES, Response
from deployments.http.connection import Connection, Received
from deployments.http.request_head_cache import Endpoint, RequestHeadCache
from tests.deployments.fake_service import FakeService, identity

BODIES = (b"{}", b"", b"x" * 300)


class Closed:
    """An authenticator that lets nobody in."""

    def refusal(self, _: bytes | None) -> Unauthorized:
        return Unauthorized()


def connection(service: FakeService | None = None) -> Connection:
    return Connection(RequestHeadCache({b"/infer": Endpoint(service or identity("FP32"), "1")}))


def post(body: bytes, *lines: str) -> bytes:
    head = ["POST /infer HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def answered(machine: Connection, pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    """Answer every request with its own number as soon as it is whole; return the bodies and all that was sent."""
    bodies: list[bytes] = []
    sent = b""
    for piece in pieces:
        found = machine.receive(piece)
        while isinstance(found, Received):
            bodies.append(found.body)
            sent += machine.reply(Response(b"%d" % len(bodies)))
            found = machine.resume() if machine.has_more else None
        assert found is None
    return bodies, sent


@given(st.lists(st.sampled_from(BODIES), min_size=1, max_size=5), st.lists(st.integers(1, 300), max_size=4))
def test_requests_come_out_in_their_order_however_the_first_body_is_cut(bodies: list[bytes], cuts: list[int]) -> None:
    head = len(post(bodies[0])) - len(bodies[0])
    sent = b"".join(map(post, bodies))
    places = sorted({head, *(head + cut for cut in cuts if cut < len(bodies[0])), head + len(bodies[0]), len(sent)})
    pieces = [sent[start:end] for start, end in itertools.pairwise([0, *places])]
    assert answered(connection(), pieces)[0] == bodies


def test_what_is_sent_ahead_waits_until_the_answer_before_it() -> None:
    bodies, sent = answered(connection(), [post(b"a") + post(b"b"), post(b"c")])
    assert bodies == [b"a", b"b", b"c"]
    places = [sent.index(b"\r\n\r\n%d" % number) for number in (1, 2, 3)]
    assert places == sorted(places)


@pytest.mark.parametrize("raw", [b"GET /infer HTTP/1.1\r\nhost: x\r\n\r\n", b"PO", post(b"", "expect: 100-continue")])
def test_what_is_not_for_it_comes_out_as_it_was(raw: bytes) -> None:
    machine = connection()
    assert machine.receive(raw) is raw
    assert machine.head is None


def test_a_request_has_the_service_and_the_version_of_its_path() -> None:
    found = connection().receive(post(b"{}", "x-request-id: abc"))
    assert isinstance(found, Received)
    assert (found.head.service.name, found.head.version) == ("fake", "1")


def test_the_same_head_is_parsed_once() -> None:
    machine = connection()
    heads = []
    for _ in range(2):
        found = machine.receive(post(b"{}"))
        assert isinstance(found, Received)
        heads.append(found.head)
        machine.reply(Response(b""))
    assert heads[0] is heads[1]


def test_the_body_of_a_refused_request_is_read_past_and_not_kept() -> None:
    service = identity("FP32")
    service.authenticator = Closed()  # type: ignore[assignment]
    machine, whole = connection(service), post(b"secret")
    assert machine.receive(whole[:-3]) is None
    found = machine.receive(whole[-3:] + post(b"next"))
    assert isinstance(found, Received)
    assert isinstance(found.refusal, Unauthorized)
    assert found.body == b""
    assert machine.has_more


def test_a_body_over_the_limit_is_refused_at_its_head_and_the_answer_is_the_last() -> None:
    service = identity("FP32")
    service.tunables = Tunables(max_body_mib=1 / 1024)
    machine = connection(service)
    found = machine.receive(post(bytes(2000))[:-1000])
    assert isinstance(found, Received)
    assert isinstance(found.refusal, TooLarge)
    assert machine.missing == 1000
    assert b"connection: close\r\n" in machine.reply(Response(b"", 413))


def test_it_says_when_so_much_waits_that_no_more_should_be_read() -> None:
    machine = connection()
    machine.receive(post(b"{}"))
    machine.receive(bytes(HEAVY_BYTES))
    assert not machine.is_full
    machine.receive(b"x")
    assert machine.is_full


def test_an_answer_has_the_headers_of_the_server_and_of_the_reply_and_the_request_s_id() -> None:
    machine = connection()
    machine.receive(post(b"{}", "x-request-id: abc"))
    reply = Response(orjson.dumps({}), 200, headers=((b"x-own", b"1"),))
    assert machine.reply(reply, [(b"server", b"uvicorn")]) == (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
        b"server: uvicorn\r\nx-own: 1\r\nx-request-id: abc\r\n\r\n{}"
    )
