"""Clients that are slow, half there or gone: the others go on being answered, and nothing is kept of those."""

import http.client
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice

import pytest

from tests.fuzz.conftest import Served
from tests.fuzz.talk import Talk
from tests.serving import PROXY

pytestmark = pytest.mark.ray

BODY = b'{"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1.5]}]}'
PATH = "/v2/models/open/infer"
HEAD = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()
# Nothing, half a head, a head without its body, half a body, a chunk without its end.
HALVES = [
    b"",
    HEAD[:30],
    HEAD,
    HEAD + BODY[:20],
    HEAD.replace(b"content-length: 80", b"transfer-encoding: chunked") + b"5\r\nab",
]
PATIENCE_S = 60


@contextmanager
def half_sent(served: Served, count: int) -> Iterator[list[socket.socket]]:
    """Keep so many connections open on each of which something is missing."""
    with ExitStack() as stack:
        found = []
        for half in islice(cycle(HALVES), count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", served.serving.port), PATIENCE_S))
            sock.sendall(half)
            found.append(sock)
        yield found


def answered(served: Served) -> None:
    """Insist that a stranger's request is answered, on a connection of its own."""
    assert Talk(served.url).send("POST", PATH, {}, BODY) == 200


def test_half_sent_requests_hold_up_nobody_and_are_ended(served: Served) -> None:
    with half_sent(served, 200) as waiting:
        for _ in range(50):
            answered(served)
        if served.path != PROXY:  # Ray's own proxy waits for ever.
            for sock in waiting:
                assert sock.recv(64)[:12] in (b"HTTP/1.1 408", b"HTTP/1.1 400", b"")
    answered(served)


def test_a_body_that_drips_in_is_answered_like_any_other(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.serving.port), PATIENCE_S) as sock:
        for byte in HEAD + BODY:
            sock.sendall(bytes([byte]))
            time.sleep(0.002)
        answered(served)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_clients_that_leave_in_mid_request_leave_nothing_behind(served: Served) -> None:
    for _ in range(50):
        for sent in (HEAD + BODY, HEAD + BODY[:40], HEAD[:50]):
            with socket.create_connection(("127.0.0.1", served.serving.port), PATIENCE_S) as sock:
                sock.sendall(sent)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # A reset, not a farewell.
    # Its queue holds 32 rows: had those above stayed there, these would be 503 for ever.
    talk, deadline = Talk(served.url), time.monotonic() + PATIENCE_S
    while talk.send("POST", PATH, {}, BODY) != 200:
        assert time.monotonic() < deadline, talk.statuses
    for _ in range(20):
        answered(served)


def test_a_request_too_large_is_told_to_who_sends_all_of_it_and_the_next_is_answered(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.serving.port, timeout=PATIENCE_S)
    connection.request("POST", PATH, bytes(3 * 2**20))  # A connection that breaks raises here.
    answer = connection.getresponse()
    assert (answer.status, b"MiB" in answer.read()) == (413, True)
    answered(served)


@pytest.mark.long
def test_ten_thousand_idle_connections_shut_nobody_out(served: Served) -> None:
    if served.path == PROXY:
        pytest.skip("Ray's own proxy keeps an idle connection for ever; docs/security.md says so")
    wanted = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted + 500:
        pytest.skip(f"this machine lets a process have {hard} files; {wanted + 500} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 500), hard))
    with ExitStack() as stack:
        for count in range(wanted):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", served.serving.port))
            if count % 500 == 0:
                answered(served)
        for _ in range(20):
            answered(served)
