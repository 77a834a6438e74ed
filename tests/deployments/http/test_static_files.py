"""Files of the root application: what a browser gets, and when it gets nothing because it has the file already."""

import asyncio
import zlib
from pathlib import Path
from typing import Any

import pytest

from deployments.core.errors import ServeError
from deployments.http.bodies import Response, Scope
from deployments.http.router import application
from deployments.http.static_files import static_routes

SCRIPT = "let x = 'ü';\n" * 500


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "app.js").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "LICENSE").write_text("Apache-2.0")
    (tmp_path / "secret.py").write_text("token = 1")
    return tmp_path


def get(folder: Path, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[bytes, bytes], bytes]:
    """Return the status, headers and body of an answer of an application that needs a token for all else."""
    routes, sent = static_routes(folder, "/page"), list[Any]()

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    def refuse(error: Exception, _headers: object) -> Response:
        assert isinstance(error, ServeError)
        return Response(b"{}", error.status)

    class NoToken:
        def check(self, given: bytes | None) -> None:
            raise AssertionError(f"a static file asks for a token: {given!r}")

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: Scope = {"type": "http", "method": method, "path": path, "headers": given}
    app = application(lambda scope: (None, routes[scope["path"]]), NoToken(), refuse)  # type: ignore[arg-type]
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_a_file_comes_with_its_type_and_a_policy_that_forbids_every_other_server(folder: Path) -> None:
    status, headers, body = get(folder, "/page/app.js")
    assert (status, body.decode()) == (200, SCRIPT)
    assert headers[b"content-type"] == b"text/javascript; charset=utf-8"
    assert headers[b"content-security-policy"].startswith(b"default-src 'self';")
    assert b"http" not in headers[b"content-security-policy"]
    assert headers[b"x-content-type-options"] == b"nosniff"


def test_the_page_has_the_path_itself_and_files_that_are_not_of_a_page_have_none(folder: Path) -> None:
    assert set(static_routes(folder, "/page")) == {"/page", "/page/app.js"}
    assert set(static_routes(folder, "")) == {"", "/app.js"}


def test_a_browser_that_has_the_file_gets_no_body_and_no_length(folder: Path) -> None:
    etag = get(folder, "/page/app.js")[1][b"etag"].decode()
    for given in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        status, headers, body = get(folder, "/page/app.js", if_none_match=given)
        assert (status, body) == (304, b"")
        assert b"content-length" not in headers
        assert headers[b"etag"].decode() == etag
    (folder / "app.js").write_text("changed")
    assert get(folder, "/page/app.js", if_none_match=etag)[0] == 200


def test_it_is_compressed_for_those_who_read_gzip(folder: Path) -> None:
    _, headers, body = get(folder, "/page/app.js", accept_encoding="gzip")
    assert headers[b"content-encoding"] == b"gzip"
    assert zlib.decompress(body, 31).decode() == SCRIPT


def test_head_has_the_length_alone_and_post_is_refused(folder: Path) -> None:
    _, headers, body = get(folder, "/page/app.js", "HEAD")
    assert (int(headers[b"content-length"]), body) == (len(SCRIPT.encode()), b"")
    assert get(folder, "/page", "POST")[0] == 405


def test_a_folder_that_is_not_there_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        static_routes(tmp_path / "nothing", "/page")
