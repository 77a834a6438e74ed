"""The root application without Serve: what it says of paths that are not there, however they are written."""

import asyncio
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from deployments import root
from deployments.console.pages import pages
from deployments.core.errors import NotFound, NotReady
from deployments.http.bodies import Scope
from deployments.root import Root
from deployments.serve_status import ServeStatus

LONG = "m" * 5_000_000


class Few:
    """What runs: `one`, which is not reached at the moment."""

    async def absent(self, name: str) -> NotFound | NotReady:
        return NotReady("try again") if name == "one" else NotFound(f"there is no model {name[:9]} here")


class Bare(Root):
    """Serve awaits Root's own __init__ and __del__."""

    def __init__(self) -> None:
        self._authenticator, self._serve_status = None, Few()  # type: ignore[assignment]
        self._server_name = "pitstop"

    def __del__(self) -> None:  # type: ignore[override]
        pass


def ask(method: str, path: str, raw: bytes | None = None, kind: str = "http", accept: bytes = b"*/*") -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    scope: Scope = {"type": kind, "method": method, "path": path, "raw_path": raw or path.encode()}
    scope["headers"] = [(b"accept", accept)]
    asyncio.run(Bare().build()(scope, receive, send))
    return sent


def test_a_websocket_is_refused() -> None:
    assert ask("GET", "/v2", kind="websocket") == [{"type": "websocket.close", "code": 1000}]


@pytest.mark.parametrize("raw", [b"/v2/models/one%2Finfer", b"/v2/models/%6Fne/infer", b"/v2/models/o%6Ee"])
def test_a_percent_encoded_path_is_not_there_and_the_client_is_told_how_to_write_it(raw: bytes) -> None:
    start, body = ask("POST", "/v2/models/one/infer", raw)
    assert start["status"] == 404
    assert "send '/v2/models/one/infer' as it is written here" in orjson.loads(body["body"])["error"]
    assert b"try again" not in body["body"]


@pytest.mark.parametrize("path", [f"/{LONG}", f"/v2/models/{LONG}/infer"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT"])
def test_a_path_is_repeated_in_short(method: str, path: str) -> None:
    start, body = ask(method, path)
    assert start["status"] == 404
    assert len(body["body"]) < 500


def test_a_browser_gets_the_console_and_every_other_client_json() -> None:
    start, body = ask("GET", "/", accept=b"text/html,application/xhtml+xml,*/*;q=0.8")
    headers = dict(start["headers"])
    assert (start["status"], headers[b"content-type"]) == (200, b"text/html; charset=utf-8")
    assert b"default-src 'self'" in headers[b"content-security-policy"]
    assert b'<script type="module" src="/console/console.js">' in body["body"]
    start, body = ask("GET", "/")
    assert dict(start["headers"])[b"content-type"] == b"application/json"
    assert orjson.loads(body["body"])["paths"]["console"] == "/"


def test_every_file_that_the_console_names_is_there_and_it_names_nothing_elsewhere() -> None:
    files = {path: route for path, route in pages().items() if path}
    folder = Path(root.__file__).parent / "console" / "static"
    for file in folder.iterdir():
        text = file.read_text(encoding="utf-8")
        named = [*re.findall(r"""(?:src|href)="(/console/[^"#]+)""", text)]
        named += [f"/console/{name}" for name in re.findall(r"""from "\./([\w.]+)";""", text)]
        assert set(named) <= files.keys(), file.name
        assert re.findall(r"https?://(?!www\.w3\.org/)", text) == [], file.name
    assert {path.rpartition("/")[2] for path in files} | {"index.html"} == {file.name for file in folder.iterdir()}


def test_head_has_no_body() -> None:
    assert ask("HEAD", "/nothing")[1]["body"] == b""


@pytest.mark.parametrize("reached", [True, False])
def test_a_model_that_is_not_there_is_named_in_short(reached: bool) -> None:
    running = ServeStatus("root")

    async def apps() -> list[Any]:
        if not reached:
            raise OSError
        return []

    running.apps = apps  # type: ignore[method-assign]
    assert len(asyncio.run(running.absent(LONG)).message) < 200
