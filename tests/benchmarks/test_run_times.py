"""The record of how soon `pitstop run` ends, and the load that tells refused requests from lost ones."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from benchmarks.run_times import TARGETS_S, write
from benchmarks.steady_load import Outcomes
from pitstop.measure import results
from pitstop.ports import free_port


class Handler(BaseHTTPRequestHandler):
    """Answers /good, says 503 to /busy, and closes without an answer on anything else."""

    def do_POST(self) -> None:  # http.server's name.
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path in ("/good", "/busy"):
            self.send_response(200 if self.path == "/good" else 503)
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_refused_requests_are_told_from_lost_ones(url: str) -> None:
    found = Outcomes()
    for path in ("good", "busy", "closed"):
        found.ask(f"{url}/{path}", {})
    found.ask(f"http://127.0.0.1:{free_port()}", {})
    assert (found.good, found.refused, len(found.lost)) == (1, 1, 2)


def test_a_load_goes_on_until_it_is_stopped(url: str) -> None:
    found = Outcomes()
    clients = threading.Thread(target=found.put_load, args=(partial(found.ask, f"{url}/good", {}), 200))
    clients.start()
    found.stop.wait(0.2)
    found.stop.set()
    clients.join()
    assert found.good > 0
    assert found.lost == []


def test_the_table_has_a_row_for_each_time_with_its_target(tmp_path: Path) -> None:
    rows = [{"what": what, "target_s": target, "s": [1.0, 3.0]} for what, target in TARGETS_S.items()]
    rows[-1] |= {"answered": 100, "refused": 5, "lost": []}
    text = write(tmp_path, results.head(["python", "-m", "benchmarks.run_times"]), rows)
    assert all(f"| {what} | 2.0 | 3.0 | {target:g} |" in text for what, target in TARGETS_S.items())
    assert "100 were answered, 5 refused after the signal, and 0 accepted and lost" in text
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".md"]
