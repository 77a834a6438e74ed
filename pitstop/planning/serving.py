"""Starts `serve run` for one model of a config, on free ports, and ends it so that nothing stays behind.

Every process of a run inherits a mark in its environment; those left over are found by it, and no others are touched.
"""

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from configs.rules import ROOT

_PROJECT = Path(__file__).resolve().parents[2]
_START_S = 300
_PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec a process with threads may call little more than the kernel.
_LIBC = ctypes.CDLL(None)
_END_S = 60


class ServingError(Exception):
    """The server did not come up; says why, as far as its log does."""


@contextmanager
def served(raw: dict[str, Any], model: str, tell: Callable[[str], None]) -> Iterator[str]:
    """Serve one model of a config; yields the server's URL.

    Args:
        raw: the config; applications other than the model's and the root are left out.
        model: its name.
        tell: is told what is being waited for.

    Raises:
        ServingError: it was not ready in time, or ended.
    """
    with tempfile.TemporaryDirectory(prefix="pit-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), _free_port()
        config, log = folder / "serve_config.yaml", folder / "serve.log"
        config.write_text(yaml.safe_dump(_alone(raw, model, port, folder), sort_keys=False), encoding="utf-8")
        mark = f"PITSTOP_RUN={uuid.uuid4().hex}"
        with log.open("wb") as out:
            process = _start(config, folder, mark, out)
            try:
                _wait(process, f"http://127.0.0.1:{port}", model, log, tell)
                yield f"http://127.0.0.1:{port}"
            finally:
                _end(process, mark)


def _alone(raw: dict[str, Any], model: str, port: int, folder: Path) -> dict[str, Any]:
    """Return the config with one model, on ports of its own, so that it may run beside another cluster."""
    found = yaml.safe_load(yaml.safe_dump(raw))
    kept = [app for app in found["applications"] if app.get("args", {}).get("name") == model]
    kept += [app for app in found["applications"] if app.get("import_path") == ROOT]
    for app in kept:
        if app.get("import_path") == ROOT:
            app.get("args", {}).pop("grpc_port", None)
    found["applications"] = kept
    found["http_options"] = {**found.get("http_options", {}), "host": "127.0.0.1", "port": port}
    found.pop("grpc_options", None)
    ports = _own_ports(folder)
    for owner in [found.setdefault("controller_options", {}), *kept]:
        environment = owner.setdefault("runtime_env", {})
        environment["env_vars"] = {**environment.get("env_vars", {}), **ports}
    return dict(found)


def _own_ports(folder: Path) -> dict[str, str]:
    # Serve looks for replicas' ports in ranges.
    first = _free_port() // 10 * 10
    return {
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(_free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(_free_port()),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(_free_port()),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(_free_port()),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{folder}/ha/haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": f"{folder}/ha/admin.sock",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": f"{folder}/ha/metrics.sock",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": f"{folder}/ha",
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": f"{folder}/ha/server-state",
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(first),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(first + 500),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(first + 501),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(first + 1000),
        # Thirty seconds by default, for load balancers that are not here.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    }


def _start(config: Path, folder: Path, mark: str, out: Any) -> subprocess.Popen[bytes]:
    name, _, value = mark.partition("=")
    own = {name: value, "RAY_TMPDIR": str(folder), "PYTHONUNBUFFERED": "1", "RAY_AUTH_MODE": "disabled"}
    command = Path(sys.executable).with_name("serve")
    if not command.is_file():
        raise ServingError(f"{command} is not there\nhelp: pip install 'ray[serve]' into this environment")
    # Weights and modules are looked up where the command was given, as `serve run` would.
    here = Path.cwd() if (Path.cwd() / "deployments").is_dir() else _PROJECT
    return subprocess.Popen(
        [str(command), "run", str(config)],
        cwd=here,
        env={**os.environ, **own},
        stdout=out,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # One system call.
    )


def _end_with_parent() -> None:
    """Have the kernel end the server where this process is killed and cannot: a user's Ray must not stay behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait(process: subprocess.Popen[bytes], url: str, model: str, log: Path, tell: Callable[[str], None]) -> None:
    began = time.monotonic()
    while time.monotonic() - began < _START_S:
        # `serve run` goes on without an application that failed; what our root application prints then tells.
        if process.poll() is not None or re.search(rf"pitstop serves .*without .*\b{re.escape(model)}\b", _read(log)):
            raise ServingError(f"{model} did not start: {_last(_read(log))}\nhelp: {_HELP}")
        try:
            if requests.get(f"{url}/v2/models/{model}/ready", timeout=2).status_code == 200:
                return
        except requests.RequestException:
            pass
        tell(f"waiting for the server to be ready, {time.monotonic() - began:.0f} s")
        time.sleep(0.5)
    raise ServingError(f"{model} was not ready after {_START_S} s: {_last(_read(log))}\nhelp: {_HELP}")


_HELP = "run `serve run` on the config by hand to see the whole log"


def _last(text: str) -> str:
    """Return the last error that a log tells of, or its last line."""
    errors = re.findall(r"(?:[\w.]+\.)?(\w*(?:Error|Exception): .+)$", text, re.MULTILINE)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return str((errors or lines or ["it printed nothing"])[-1])[:300]


def _read(log: Path) -> str:
    """Return a log without the colours."""
    return re.sub(r"\x1b\[\d+m", "", log.read_text(encoding="utf-8", errors="replace"))


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    deadline = time.monotonic() + _END_S / 2
    while left := _left_over(mark):
        if time.monotonic() > deadline:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.1)


def _left_over(mark: str) -> list[int]:
    """Return the processes that carry the mark. Without /proc there is no way to know; none then."""
    found = []
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                if mark.encode() in (entry / "environ").read_bytes() and (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
