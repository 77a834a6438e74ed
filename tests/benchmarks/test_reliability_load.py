"""The load against a server of a few lines: what is wrong, failed and slow is told apart, and recovery is seen."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.reliability import case
from benchmarks.reliability.case import disturbed
from benchmarks.reliability.load import Load, loaded
from benchmarks.reliability.model import expected
from benchmarks.reliability.questions import Questions
from benchmarks.reliability.server_under_test import until
from pitstop.load.outcome import PROXY, WRONG
from pitstop.load.sender_http import Address
from pitstop.load.target import Target

# Status, headers, and what is added to the right answer, by what the server has been told to be.
WELL, OFF, BUSY, DEAD = "well", "off", "busy", "dead"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    mode = WELL


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        x = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["x"]
        status, headers = {BUSY: (503, {"Retry-After": "1"}), DEAD: (500, {"Content-Type": "text/plain"})}.get(
            self.server.mode, (200, {})
        )
        body = json.dumps({"y": expected(1, x) + (self.server.mode == OFF), "version": 1.0}).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # Its name in the standard library.
        """Say nothing."""


@contextmanager
def serving() -> Iterator[tuple[Server, Callable[..., Load]]]:
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = int(server.server_address[1])
        target = Target(f"http://127.0.0.1:{port}/line", "line", "", Address("127.0.0.1", port), ())
        yield server, lambda **more: Load(Questions(target, "plain"), 100.0, **more)
        server.shutdown()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of a few lines is either well or not; nobody need look at it for seconds."""
    monkeypatch.setattr(case, "_QUIET_S", 0.5)


@pytest.mark.parametrize("mode, kind", [(OFF, WRONG), (BUSY, "HTTP 503"), (DEAD, PROXY)])
def test_each_way_to_go_wrong_is_counted_as_what_it_is(mode: str, kind: str) -> None:
    with serving() as (server, make), loaded(make()) as load:
        assert until(lambda: len(load.record.latency_s) >= 20, 60)
        assert not load.errors
        server.mode = mode
        assert until(lambda: load.errors[kind] >= 20, 60)
    assert set(load.errors) == {kind}
    assert load.wrong == (load.errors[WRONG] if mode == OFF else 0)
    assert load.failed == (0 if mode == OFF else load.errors[kind])
    assert load.sender.refusals.named_a_time == (load.errors[kind] if mode == BUSY else 0)
    assert load.sent == len(load.record.latency_s) + sum(load.errors.values())


def test_a_client_that_retries_sees_nothing_of_a_server_that_is_back_soon() -> None:
    with serving() as (server, make), loaded(make(retries=9)) as load:
        server.mode = DEAD
        assert until(lambda: load.record.retried > 0, 60)
        server.mode = WELL
        assert until(lambda: len(load.record.latency_s) >= 20, 60)
    assert not load.errors


def test_recovery_is_from_the_fault_until_the_last_request_it_cost() -> None:
    with serving() as (server, make):
        load = make()

        def fault() -> None:
            server.mode = DEAD
            assert until(lambda: load.failed >= 10, 60)
            server.mode = WELL

        found = disturbed(load, fault, lambda: True, seconds=0.5)
    assert found["failed"] >= 10
    assert found["wrong"] == 0
    assert found["recovered_s"] is not None
    assert found["recovered_s"] >= found["replicas_back_s"]


def test_what_is_not_well_again_is_not_called_recovered() -> None:
    with serving() as (server, make):
        found = disturbed(make(), lambda: setattr(server, "mode", OFF), lambda: False, seconds=0.5, most_s=0.5)
    assert found["recovered_s"] is None
    assert found["wrong"] > 0
