"""What an open console costs: what it asks, and the table."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks import console_cost
from benchmarks.console_cost import WITH, WITHOUT, looking, lost, render
from benchmarks.server import NotMeasuredError
from benchmarks.summary import Round


def rounds(*rates: float) -> list[Round]:
    return [Round(rate, 1.0, 2.0, 100, 0.5) for rate in rates]


class Server(ThreadingHTTPServer):
    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.paths, self.enough = status, list[str](), threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:  # As http.server has it.
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()
        if len(self.server.paths) >= 4:
            self.server.enough.set()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=[200])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    found = Server(request.param)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def test_it_asks_as_the_page_does(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_cost, "_EVERY_S", 0.01)
    with looking(server.server_port, "mlp"):
        assert server.enough.wait(30)
    assert server.paths[:4] == ["/console/data", "/v2/models/mlp", "/console/data", "/console/data"]


@pytest.mark.parametrize("server", [503], indirect=True)
def test_a_page_without_figures_is_not_measured(server: Server) -> None:
    with pytest.raises(NotMeasuredError, match="were not answered"), looking(server.server_port, "mlp"):
        pass


def test_the_loss_is_the_median_over_the_pairs() -> None:
    assert lost({WITHOUT: rounds(100, 200, 100), WITH: rounds(99, 190, 100)}) == pytest.approx(0.01)


def test_the_table_has_both_and_the_loss(record: dict[str, Any]) -> None:
    told = {**record, "rounds": 2, "connections": 64}
    text = render(told, {WITHOUT: rounds(10_000, 12_000), WITH: rounds(9_900, 11_880)})
    assert "| without a page | 11,000 ± 9 % | 1.00 | 2.00 |" in text
    assert "With a page open the rate is 1.0 % lower" in text
