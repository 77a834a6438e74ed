"""Starts `serve run` as a user does, on free ports, and ends it so that nothing stays behind.

Every process of a run inherits a mark in its environment, by which those left over are found afterwards.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[1]
READY = "pitstop is ready"
SHORT, LONG, PROXY = "short", "long", "proxy"
PATHS = {
    SHORT: "HAProxy, answered ahead of Serve's wrapper",
    LONG: "HAProxy, through Serve's wrapper",
    PROXY: "Ray's own proxy",
}
_CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
Edit = Callable[[dict[str, Any]], None]


@dataclass
class Serving:
    """A running `serve run`."""

    port: int
    grpc_port: int
    process: subprocess.Popen[str]
    folder: Path
    mark: str
    environment: dict[str, str]
    config: Path
    lines: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def model(self, name: str) -> str:
        return f"{self.url}/v2/models/{name}"

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def wait_for(self, text: str, timeout_s: float) -> None:
        """Wait until a line has this text; raise with the whole log where the process ends or time runs out."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while not any(text in line for line in self.lines):
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self.changed.wait(1)):
                    raise AssertionError(f"{text!r} was not printed; the log:\n{self.log}")
                self.changed.wait(min(left, 1))


@contextmanager
def serve_run(
    config: Path, path: str = SHORT, edit: Edit | None = None, until: str = READY, cwd: Path = PROJECT
) -> Iterator[Serving]:
    """Serve a config over one of the three paths, from `cwd`; `edit` may change the YAML's content first."""
    with tempfile.TemporaryDirectory(prefix="pit-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        serving = _start(_written(config, path, edit, folder), folder, cwd)
        try:
            reader = threading.Thread(target=_read, args=(serving,), daemon=True)
            reader.start()
            serving.wait_for(until, timeout_s=300)
            yield serving
        finally:
            _end(serving)


def left_over(mark: str) -> list[str]:
    """Return the command lines of running processes that carry the mark."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process.name != str(os.getpid()):
            try:
                if mark.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return [line for line in found if line]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def deploy(serving: Serving, edit: Edit) -> None:
    """Change the running config as `serve deploy` does."""
    raw = yaml.safe_load(serving.config.read_text())
    edit(raw)
    serving.config.write_text(yaml.safe_dump(raw, sort_keys=False))
    command = [str(Path(sys.executable).with_name("serve")), "deploy", str(serving.config)]
    address = dashboard(serving)
    subprocess.run([*command, "--address", address], check=True, cwd=PROJECT, env=serving.environment, timeout=60)


def dashboard(serving: Serving) -> str:
    """Return the address that `serve deploy` and the REST API of Serve answer at."""
    line = next(line for line in serving.lines if "View the dashboard at" in line)
    return "http://127.0.0.1:" + "".join(c for c in line.rsplit("127.0.0.1:")[1].split()[0] if c.isdigit())


def _written(config: Path, path: str, edit: Edit | None, folder: Path) -> Path:
    raw = yaml.safe_load(config.read_text())
    raw["http_options"]["port"] = free_port()
    if "grpc_options" in raw:
        raw["grpc_options"]["port"] = free_port()
    if edit is not None:
        edit(raw)
    ports = _own_ports(folder)
    for owner in [raw["controller_options"], *raw["applications"]]:
        variables = dict(owner.setdefault("runtime_env", {}).get("env_vars", {}))
        if path == PROXY:
            variables = {}
        elif path == LONG:
            variables.pop(_CALLBACK, None)
        owner["runtime_env"]["env_vars"] = {**variables, **({} if path == PROXY else ports)}
    for app in raw["applications"]:
        if app["import_path"] == "deployments.app:root" and "grpc_port" in app.get("args", {}):
            app["args"]["grpc_port"] = free_port()
    written = folder / "serve_config.yaml"
    written.write_text(yaml.safe_dump(raw, sort_keys=False))
    return written


def _own_ports(folder: Path) -> dict[str, str]:
    """Return what keeps two clusters on one machine apart. Serve looks for replicas' ports in ranges."""
    first = free_port() // 10 * 10
    return {
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(free_port()),
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


def _start(config: Path, folder: Path, cwd: Path) -> Serving:
    mark = f"PITSTOP_TEST={uuid.uuid4().hex}"
    name, _, value = mark.partition("=")
    environment = {
        **os.environ,
        name: value,
        "RAY_TMPDIR": str(folder),
        "PITSTOP_CACHE": os.environ.get("PITSTOP_CACHE", str(folder / "cache")),
        "PYTHONUNBUFFERED": "1",
        "RAY_AUTH_MODE": "disabled",
    }
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("serve")), "run", str(config)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    raw = yaml.safe_load(config.read_text())
    roots = [app for app in raw["applications"] if app["import_path"] == "deployments.app:root"]
    grpc_port = roots[0].get("args", {}).get("grpc_port", 0) if roots else 0
    return Serving(raw["http_options"]["port"], grpc_port, process, folder, mark, environment, config)


def _read(serving: Serving) -> None:
    assert serving.process.stdout is not None
    for line in serving.process.stdout:
        with serving.changed:
            serving.lines.append(line)
            serving.changed.notify_all()
    with serving.changed:
        serving.changed.notify_all()


def _end(serving: Serving) -> None:
    """End it as a service manager does, and insist that every process goes."""
    serving.process.send_signal(signal.SIGTERM)
    serving.process.wait(timeout=60)
    deadline = time.monotonic() + 30
    while left := left_over(serving.mark):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.1)
