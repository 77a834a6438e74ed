"""What clients rarely send, over each path and to the root application: it is answered at once, and never with 5xx."""

import gzip
import http.client
import socket
from collections.abc import Iterable, Iterator

import orjson
import pytest
import requests

from tests.serving import Serving

pytestmark = pytest.mark.ray

MIB = 1024 * 1024
LARGE = bytes(32 * MIB)
BODY = orjson.dumps({"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}]})
# Of the models and of the root application, answered by Serve's way and by the short path.
REQUESTS = [
    ("POST", "/v2/models/slow/infer", 200),
    ("POST", "/v2/models/slow/predict", 400),
    ("GET", "/v2/models/slow", 200),
    ("GET", "/v2/models/slow/ready", 200),
    ("GET", "/v2/models/slow/nothing", 404),
    ("GET", "/v2", 200),
    ("GET", "/v2/health/live", 200),
    ("POST", "/v2/repository/index", 200),
    ("POST", "/nothing", 404),
    ("GET", "/v2/models/nothing", 404),
]
UPGRADES = [
    "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__",
]
# Serve decodes these, or may be told to; the last ones are read by us, or by nobody.
HEADERS = ["x-request-id", "traceparent", "tracestate", "x-request-timeout-s", "x-request-disconnect-disabled"]
HEADERS += ["serve_multiplexed_model_id", "x-session-id", "accept-encoding", "user-agent"]


def status(serving: Serving, method: str, path: str, more: bytes = b"", version: bytes = b"1.1") -> int:
    """Send a request whose head has these lines too, and return what is answered."""
    body = BODY if method == "POST" else b""
    head = b"%b %b HTTP/%b\r\nhost: x\r\ncontent-length: %d\r\n" % (method.encode(), path.encode(), version, len(body))
    with socket.create_connection(("127.0.0.1", serving.port), timeout=30) as sock:
        sock.sendall(head + (more + b"\r\n" if more else b"") + b"\r\n" + body)
        answer = http.client.HTTPResponse(sock, method=method)
        answer.begin()
        answer.read()
        return answer.status


@pytest.mark.parametrize("upgrade", UPGRADES, ids=["websocket", "h2c"])
def test_an_upgrade_is_answered_as_without_it(serving: Serving, upgrade: str) -> None:
    found = [(method, path, status(serving, method, path, upgrade.encode())) for method, path, _ in REQUESTS]
    assert found == REQUESTS


@pytest.mark.parametrize(
    "value", [b"\xe9", b"\xff\xfe", "é".encode(), b"x" * 5000], ids=["latin-1", "odd", "utf-8", "long"]
)
def test_a_header_is_harmless_whatever_its_bytes(serving: Serving, value: bytes) -> None:
    for name in HEADERS:
        found = [
            (method, path, status(serving, method, path, b"%b: %b" % (name.encode(), value)))
            for method, path, _ in REQUESTS
        ]
        assert found == REQUESTS, name


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused_or_answered_in_either_version(serving: Serving, method: str) -> None:
    for _, path, _ in REQUESTS:
        for version in (b"1.1", b"1.0"):
            assert status(serving, method, path, b"", version) in (200, 404, 405)


def pieces() -> Iterator[bytes]:
    for _ in range(32):
        yield bytes(MIB)


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize(
    "method, path, expected",
    [
        ("POST", "/v2/models/tight/infer", 413),
        ("POST", "/v2/models/tight/predict", 413),
        ("POST", "/v2/models/tight/nothing", 404),
        ("PUT", "/v2/models/tight/infer", 405),
        ("POST", "/v2/models/nothing/infer", 404),
        ("PUT", "/v2", 405),
    ],
)
def test_an_answer_before_the_body_was_read_reaches_the_client(
    serving: Serving, method: str, path: str, expected: int, chunked: bool
) -> None:
    body: bytes | Iterable[bytes] = pieces() if chunked else LARGE
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=30)
    connection.request(method, path, body, {"connection": "close"} if method == "PUT" else {}, encode_chunked=chunked)
    answer = connection.getresponse()
    assert answer.status == expected
    assert "error" in orjson.loads(answer.read())
    assert status(serving, "POST", "/v2/models/slow/infer") == 200


def test_a_client_that_asks_before_it_sends_is_told_too(serving: Serving) -> None:
    with socket.create_connection(("127.0.0.1", serving.port), timeout=30) as sock:
        head = b"POST /v2/models/tight/infer HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % len(LARGE)
        sock.sendall(head + b"expect: 100-continue\r\n\r\n")
        # Serve's wrapper reads, and so says "100 Continue", before the model is asked.
        found = sock.recv(1000)
        if found.startswith(b"HTTP/1.1 100 "):
            sock.sendall(LARGE)
            found = found.partition(b"\r\n\r\n")[2] or sock.recv(1000)
        assert found.startswith(b"HTTP/1.1 413 ")


def test_metadata_is_never_compressed(serving: Serving) -> None:
    for path in ("/v2/models/digits", "/v2/models/digits/config", "/v2/models/digits/stats", "/v2/repository/index"):
        answer = requests.get(serving.url + path, headers={"accept-encoding": "gzip, deflate"}, timeout=30)
        assert (answer.status_code, answer.headers.get("content-encoding")) == (200, None)


def test_gzip_of_two_members_is_read(serving: Serving) -> None:
    body = gzip.compress(BODY[:20]) + gzip.compress(BODY[20:])
    url = f"{serving.model('slow')}/infer"
    assert requests.post(url, body, headers={"content-encoding": "gzip"}, timeout=30).json()["outputs"][0]["data"] == [
        2
    ]


@pytest.mark.parametrize("path", ["/v2/models/slow%2Finfer", "/v2/models/sl%6Fw/infer", "/v2%2Fmodels%2Fslow%2Finfer"])
def test_a_percent_encoded_path_is_found_or_not_there(serving: Serving, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=30)
    connection.request("POST", path, BODY)
    found = connection.getresponse()
    says = found.read()
    # Ray's own proxy finds models by the decoded path, HAProxy by the path as it is sent.
    assert found.status in (200, 404), says
    assert b"try again" not in says


def test_a_long_head_is_refused_or_answered(serving: Serving) -> None:
    # HAProxy refuses 16 KiB or 101 headers, Ray's own proxy, with our protocol, some hundred KiB.
    for more in (b"x-long: " + b"x" * 100_000, b"\r\n".join(b"x-%d: y" % n for n in range(5000))):
        assert status(serving, "GET", "/v2", more) in (200, 400)
