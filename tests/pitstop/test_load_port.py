"""What `pitstop load` says of a port where something listens that gives no HTTP answer."""

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import grpc
import pytest

from pitstop.load.main import UNUSABLE, LoadOptions, load


@contextmanager
def grpc_server() -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None)


@contextmanager
def accepting(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen, and do this with every connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@contextmanager
def https(folder: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    with plain_http(context) as port:
        yield port


@contextmanager
def plain_http(context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def _certificate(folder: Path) -> Path:
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = folder / "server.pem"
    file.write_bytes(key.private_bytes(*form) + builder.sign(key, hashes.SHA256()).public_bytes(form[0]))
    return file


def told(url: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert load(LoadOptions(url)) == UNUSABLE
    return capsys.readouterr().err


def test_where_grpc_listens_the_command_that_works_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with grpc_server() as port:
        said = told(f"http://127.0.0.1:{port}/v2/models/m", capsys)
    assert f"something listens at 127.0.0.1:{port}, but it speaks gRPC, not HTTP" in said
    assert f"pitstop load http://127.0.0.1:8000/v2/models/m --format grpc --grpc-port {port}" in said


def test_where_https_listens_the_url_that_works_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with https(tmp_path) as port:
        said = told(f"http://127.0.0.1:{port}/v2/models/m", capsys)
        assert f"help: write https://127.0.0.1:{port}/v2/models/m" in said
        said = told(f"https://127.0.0.1:{port}/v2/models/m", capsys)
    assert "its certificate is not accepted" in said
    assert "nothing listens" not in said


def test_where_plain_http_listens_https_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    with plain_http() as port:
        said = told(f"https://127.0.0.1:{port}/v2/models/m", capsys)
    assert "speaks HTTP without TLS" in said
    assert f"help: write http://127.0.0.1:{port}/v2/models/m" in said


@pytest.mark.parametrize("answer", [lambda _: None, lambda each: each.sendall(b"220 mail ready\r\n")])
def test_a_port_that_closes_at_once_or_speaks_otherwise_is_not_called_empty(
    answer: Callable[[socket.socket], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with accepting(answer) as port:
        said = told(f"http://127.0.0.1:{port}/v2/models/m", capsys)
    assert "closes the connection without an HTTP answer" in said
    assert "nothing listens" not in said
