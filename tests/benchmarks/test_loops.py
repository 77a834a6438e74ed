"""The loops against a real socket: a thread that answers as a server of a few lines would."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from benchmarks.client.closed import closed
from benchmarks.client.connection import Address
from benchmarks.client.http import request
from benchmarks.client.open import opened
from benchmarks.verify import answers

Reply = Callable[[bytes], bytes]


def echo(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def refuse(body: bytes) -> bytes:
    return b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n" if body == b"1" else echo(body)


def hang_up(body: bytes) -> bytes:
    return b"" if body == b"1" else echo(body)


def say_close(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)


@contextmanager
def serving(reply: Reply) -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, reply), daemon=True).start()
        yield listener.getsockname()


def _accept(listener: socket.socket, reply: Reply) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection, reply), daemon=True).start()


def _answer(connection: socket.socket, reply: Reply) -> None:
    with connection, connection.makefile("rb") as stream:
        while line := stream.readline():
            length = 0
            while (line := stream.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answer = reply(stream.read(length))
            if not answer:
                return
            connection.sendall(answer)
            if b"Connection: close" in answer:
                stream.readline()
                return


REQUESTS = [request("/", {}, str(index).encode()) for index in range(10)]


@pytest.mark.parametrize("connections", [1, 4, 30])
def test_a_closed_loop_counts_every_answer(connections: int) -> None:
    with serving(echo) as address:
        sample = closed(address, REQUESTS, connections, seconds=30, count=100)
    assert len(sample.latency_s) == 100
    assert not sample.errors
    assert min(sample.latency_s) > 0
    assert list(sample.finished_s) == sorted(sample.finished_s)


def test_a_closed_loop_sends_no_more_than_it_is_asked_to() -> None:
    with serving(echo) as address:
        assert len(closed(address, REQUESTS, connections=8, seconds=30, count=3).latency_s) == 3


def test_a_closed_loop_ends_when_its_time_is_over() -> None:
    with serving(echo) as address:
        sample = closed(address, REQUESTS, connections=4, seconds=0.05)
    assert sample.latency_s


def test_a_closed_loop_goes_on_until_it_has_the_answers_it_needs() -> None:
    with serving(echo) as address:
        sample = closed(address, REQUESTS, connections=4, seconds=0, at_least=200)
    assert 200 <= len(sample.latency_s) <= 204
    assert sample.over_s == sample.finished_s[199]


def test_an_open_loop_answers_every_arrival() -> None:
    with serving(echo) as address:
        sample = opened(address, REQUESTS, [index / 2000 for index in range(100)], connections=4)
    assert len(sample.latency_s) == len(sample.late_s) == 100
    assert min(sample.late_s) >= 0


def test_an_open_loop_counts_latency_from_the_time_a_request_was_due() -> None:
    # All due at once over one connection: each waits for those before it, and the waiting counts.
    with serving(echo) as address:
        sample = opened(address, REQUESTS, [0.0] * 50, connections=1)
    assert list(sample.latency_s) == sorted(sample.latency_s)
    assert list(sample.latency_s) == pytest.approx(list(sample.finished_s))


@pytest.mark.parametrize("reply, error", [(refuse, "status 503"), (hang_up, "ConnectionResetError")])
def test_what_fails_is_counted_by_kind_and_has_no_latency(reply: Reply, error: str) -> None:
    with serving(reply) as address:
        sample = closed(address, REQUESTS, connections=2, seconds=30, count=50)
    assert sample.errors == {error: 5}
    assert len(sample.latency_s) == 45


def test_nothing_is_sent_on_a_connection_that_the_server_said_it_closes() -> None:
    with serving(say_close) as address:
        sample = closed(address, REQUESTS, connections=2, seconds=30, count=20)
    assert not sample.errors
    assert len(sample.latency_s) == 20


def test_a_large_body_is_sent_whole() -> None:
    body = bytes(range(256)) * 40_000
    with serving(echo) as address:
        found = answers(address, [request("/", {}, body), request("/", {}, b"small")])
    assert found[0].endswith(b"\r\n\r\n" + body)
    assert found[1].endswith(b"small")


def test_answers_are_kept_with_their_requests() -> None:
    with serving(echo) as address:
        found = answers(address, REQUESTS * 4)
    assert [found[index].rpartition(b"\n")[2] for index in range(40)] == [b"%d" % (index % 10) for index in range(40)]
