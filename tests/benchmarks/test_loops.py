"""The loops against a real socket: a thread that answers as a server of a few lines would."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from benchmarks.loops import closed, opened
from benchmarks.server import NotMeasuredError
from benchmarks.summary import ended
from benchmarks.verify import answers
from deployments.http_client.request import post
from pitstop.load.outcome import CLOSED
from pitstop.load.sender_http import Address
from pitstop.measure.arrivals import poisson

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
        yield Address(*listener.getsockname())


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


REQUESTS = [post("/", "x", (), str(index).encode()) for index in range(10)]


@pytest.mark.parametrize("connections", [1, 4, 30])
def test_a_closed_loop_counts_every_answer(connections: int) -> None:
    with serving(echo) as address:
        record = closed(address, REQUESTS, connections, seconds=30, most_sent=100)
    assert len(record.latency_s) == 100
    assert not record.failures
    assert min(record.latency_s) > 0
    assert (np.diff(ended(record)) > -1e-9).all()


def test_a_closed_loop_sends_no_more_than_it_is_asked_to() -> None:
    with serving(echo) as address:
        assert len(closed(address, REQUESTS, connections=8, seconds=30, most_sent=3).latency_s) == 3


def test_a_closed_loop_ends_when_its_time_is_over() -> None:
    with serving(echo) as address:
        record = closed(address, REQUESTS, connections=4, seconds=0.05)
    assert record.latency_s


def test_a_closed_loop_goes_on_until_it_has_the_answers_it_needs() -> None:
    with serving(echo) as address:
        record = closed(address, REQUESTS, connections=4, seconds=0, least_answers=200)
    assert 200 <= len(record.latency_s) <= 204


def test_an_open_loop_answers_every_arrival() -> None:
    with serving(echo) as address:
        record = opened(address, REQUESTS, rate_rps=2000, seconds=0.05, seed=0, connections=4)
    assert len(record.latency_s) == len(record.late_s) == len(list(poisson(2000, 0.05)))
    assert min(record.late_s) >= 0


def test_an_open_loop_counts_latency_from_the_time_a_request_was_due() -> None:
    # All due at once over one connection: each waits for those before it, and the waiting counts.
    with serving(echo) as address:
        record = opened(address, REQUESTS, rate_rps=1e9, seconds=50e-9, seed=0, connections=1)
    assert len(record.latency_s) > 20
    assert list(record.latency_s) == sorted(record.latency_s)
    # They are due within 50 ns of the start.
    assert list(record.latency_s) == pytest.approx(list(ended(record)), abs=5e-8)


@pytest.mark.parametrize("reply, error", [(refuse, "HTTP 503"), (hang_up, CLOSED)])
def test_what_fails_is_counted_by_kind_and_has_no_latency(reply: Reply, error: str) -> None:
    with serving(reply) as address:
        record = closed(address, REQUESTS, connections=2, seconds=30, most_sent=50)
    assert Counter(kind for _, kind in record.failures) == {error: 5}
    assert len(record.latency_s) == 45


def test_nothing_is_sent_on_a_connection_that_the_server_said_it_closes() -> None:
    with serving(say_close) as address:
        record = closed(address, REQUESTS, connections=2, seconds=30, most_sent=500)
    assert not record.failures
    assert len(record.latency_s) == 500


def test_a_large_body_is_sent_whole() -> None:
    body = bytes(range(256)) * 40_000
    with serving(echo) as address:
        found = answers(address, [post("/", "x", (), body), post("/", "x", (), b"small")])
    assert [each.body for each in found] == [body, b"small"]


def test_answers_are_kept_with_their_requests() -> None:
    with serving(echo) as address:
        found = answers(address, REQUESTS * 4)
    assert [each.body for each in found] == [b"%d" % (index % 10) for index in range(40)]


def test_a_request_without_an_answer_is_no_measurement() -> None:
    with serving(hang_up) as address, pytest.raises(NotMeasuredError, match="input 1: ConnectionError"):
        answers(address, REQUESTS)
