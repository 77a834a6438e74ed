"""Starts `serve run` or `pitstop run` as a user does, on free ports, and ends it so that nothing stays behind.

Every process of a run inherits a mark in its environment, by which those left over are found afterwards.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pitstop import isolated_server, processes
from pitstop.ports import Ports, free_port
from pitstop.project import PROJECT

__all__ = [
    "LONG",
    "PATHS",
    "PROJECT",
    "PROXY",
    "READY",
    "SHORT",
    "Serving",
    "dashboard",
    "deploy",
    "free_port",
    "pitstop_run",
    "serve_run",
]

READY = "pitstop is ready"
_RAY_TOOK_TOO_LONG = "The current node timed out during startup"
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
    """A running `serve run` or `pitstop run`."""

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
    with Ports() as ports, ExitStack() as ends:
        for last in (False, False, True):
            name = ends.enter_context(tempfile.TemporaryDirectory(prefix="pit-", ignore_cleanup_errors=True))
            serving = _start(_written(config, path, edit, Path(name), ports), Path(name), cwd)
            ends.callback(_end, serving)
            threading.Thread(target=_read, args=(serving,), daemon=True).start()
            try:
                serving.wait_for(until, timeout_s=300)
                break
            except AssertionError:
                # Ray gives its own node 30 s and no setting for it; a machine short of cores may take longer.
                if last or _RAY_TOOK_TOO_LONG not in serving.log:
                    raise
                processes.end(serving.process, serving.mark)
        yield serving


@contextmanager
def pitstop_run(config: Path, edit: Edit | None = None, *arguments: str) -> Iterator[Serving]:
    """Run `pitstop run` on a config. It is not waited for; whatever it leaves behind is an error."""
    with Ports() as ports, tempfile.TemporaryDirectory(prefix="pit-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        serving = _start(_written(config, SHORT, edit, folder, ports), folder, PROJECT, arguments)
        threading.Thread(target=_read, args=(serving,), daemon=True).start()
        try:
            yield serving
        finally:
            _end(serving)


def left_over(mark: str) -> list[str]:
    """Return the command lines of running processes that carry the mark; for clusters not made by `serve_run`."""
    return list(processes.of(None, mark).values())


def wait_until(holds: Callable[[], object], otherwise: str = "it never came to hold", within_s: float = 180) -> None:
    """Wait for a condition that another process brings about."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


def deploy(serving: Serving, edit: Edit) -> None:
    """Change the running config as `serve deploy` does."""
    raw = yaml.safe_load(serving.config.read_text())
    edit(raw)
    serving.config.write_text(yaml.safe_dump(raw, sort_keys=False))
    command = [isolated_server.command("serve"), "deploy", str(serving.config), "--address", dashboard(serving)]
    subprocess.run(command, check=True, cwd=PROJECT, env=serving.environment, timeout=60)


def dashboard(serving: Serving) -> str:
    """Return the address that `serve deploy` and the REST API of Serve answer at."""
    line = next(line for line in serving.lines if "View the dashboard at" in line)
    return "http://127.0.0.1:" + "".join(c for c in line.rsplit("127.0.0.1:")[1].split()[0] if c.isdigit())


def _written(config: Path, path: str, edit: Edit | None, folder: Path, ports: Ports) -> Path:
    raw = yaml.safe_load(config.read_text())
    raw["http_options"]["port"] = ports.one()
    if "grpc_options" in raw:
        raw["grpc_options"]["port"] = ports.one()
    if edit is not None:
        edit(raw)
    own = ports.of_serve(folder)
    for owner in [raw["controller_options"], *raw["applications"]]:
        variables = dict(owner.setdefault("runtime_env", {}).get("env_vars", {}))
        if path == PROXY:
            variables = {}
        elif path == LONG:
            variables.pop(_CALLBACK, None)
        owner["runtime_env"]["env_vars"] = {**variables, **({} if path == PROXY else own)}
    for app in raw["applications"]:
        if app["import_path"] == "deployments.app:root" and "grpc_port" in app.get("args", {}):
            app["args"]["grpc_port"] = ports.one()
    written = folder / "serve_config.yaml"
    written.write_text(yaml.safe_dump(raw, sort_keys=False))
    return written


def _start(config: Path, folder: Path, cwd: Path, run: Sequence[str] | None = None) -> Serving:
    """Start `serve run`, or `pitstop run` with these arguments."""
    mark = processes.new_mark()
    environment = {
        **isolated_server.environment(folder, mark),
        "PITSTOP_CACHE": os.environ.get("PITSTOP_CACHE", str(folder / "cache")),
    }
    if run is None:
        process = isolated_server.serve_run(config, environment, subprocess.PIPE, cwd)
    else:
        argv = [sys.executable, "-m", "pitstop", "run", str(config), *run]
        process = isolated_server.spawn(argv, {**environment, "TMPDIR": str(folder)}, subprocess.PIPE, cwd)
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
    left = processes.end(serving.process, serving.mark)
    assert not left, f"left behind: {left}"
