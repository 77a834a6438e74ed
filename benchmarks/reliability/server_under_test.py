"""A server to do harm to: asked what runs, changed meanwhile, started again, ended without a trace."""

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from pitstop import isolated_server, processes
from pitstop.load.sender_http import Address
from pitstop.load.target import Target
from pitstop.project import PROJECT

from . import service
from .questions import Form
from .service import Config, ServiceOptions

PITSTOP, RAY_SERVE = "pitstop", "Ray Serve"
_PATHS = {PITSTOP: "/v2/models/", RAY_SERVE: "/"}
_LOOK_S = 0.1


class ServerError(Exception):
    """The server did not come up, or did not do what it was told; says why."""


@dataclass(frozen=True, slots=True)
class ReplicaProcess:
    """A replica that serves."""

    pid: int
    node: str


@dataclass
class ServerUnderTest:
    """One running server. `folder` holds its weights, its log, and the files that make its model misbehave."""

    server: str
    options: ServiceOptions
    port: int
    folder: Path
    mark: str
    config: Path
    env: dict[str, str]
    process: "subprocess.Popen[str] | None" = None
    log_from: int = 0
    grpc_port: int = 0

    @property
    def form(self) -> Form:
        return "json" if self.server == PITSTOP else "plain"

    def target(self, name: str = service.NAME) -> Target:
        """Return a model as the load tool knows it; nobody is asked, for it may be down."""
        url = f"http://127.0.0.1:{self.port}{_PATHS[self.server]}{name}"
        return Target(url, name, "", Address("127.0.0.1", self.port), ())

    def trouble(self, kind: str) -> Path:
        """Have the model misbehave: see model.SlowLine."""
        path = self.folder / "trouble" / kind
        path.touch()
        return path

    def deploy(self, edit: Callable[[Config], None]) -> None:
        """Change the config and hand it in, as `serve deploy` does."""
        raw = yaml.safe_load(self.config.read_text())
        edit(raw)
        self.config.write_text(yaml.safe_dump(raw, sort_keys=False))
        told = [isolated_server.command("serve"), "deploy", str(self.config), "--address", self.dashboard]
        done = subprocess.run(told, cwd=PROJECT, env=self.env, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise ServerError(f"serve deploy: {done.stderr.strip().splitlines()[-1:]}")

    def replicas(self, name: str = service.NAME) -> list[ReplicaProcess]:
        """Return the replicas that serve a model, as Serve's controller knows them; none where it does not answer."""
        return [
            ReplicaProcess(int(each["pid"]), str(each["node_id"]))
            for deployment in self._app(name).get("deployments", {}).values()
            for each in deployment.get("replicas", ())
            if each["state"] == "RUNNING"
        ]

    def pids(self, name: str = service.NAME) -> set[int]:
        """Return the processes of the replicas that serve a model."""
        return {each.pid for each in self.replicas(name)}

    def state(self, name: str = service.NAME) -> str:
        """Return Serve's word for a model's application: RUNNING, DEPLOYING, DEPLOY_FAILED and so on."""
        return str(self._app(name).get("status", ""))

    def _app(self, name: str) -> dict[str, Any]:
        try:
            found = requests.get(f"{self.dashboard}/api/serve/applications/", timeout=10).json()
        except (requests.RequestException, ValueError, ServerError):
            return {}
        return dict(found.get("applications", {}).get(name, {}))

    @property
    def pid(self) -> int:
        """The process that was started."""
        if self.process is None:
            raise ServerError("it was not started")
        return self.process.pid

    def all_pids(self) -> dict[int, str]:
        """Return all of its processes, with their command lines."""
        return processes.of(self.pid, self.mark)

    def end(self) -> None:
        """End it, and all that it has started."""
        for path in (self.folder / "trouble").iterdir():
            path.unlink(missing_ok=True)
        if self.process is not None:
            processes.end(self.process, self.mark)

    @property
    def dashboard(self) -> str:
        found = re.search(r"View the dashboard at\D*127\.0\.0\.1:(\d+)", self.log)
        if found is None:
            raise ServerError("Ray names no dashboard")
        return f"http://127.0.0.1:{found[1]}"

    @property
    def log(self) -> str:
        """What it printed since its last start, without the colours."""
        text = (self.folder / "log").read_bytes()[self.log_from :].decode(errors="replace")
        return isolated_server.plain(text)

    def answers(self, name: str = service.NAME) -> bool:
        """Whether one request is answered."""
        target = self.target(name)
        one: Any = [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}]
        path, body = ("/infer", {"inputs": one}) if self.server == PITSTOP else ("", {"x": 1.0})
        try:
            return requests.post(target.url + path, json=body, timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def memory_mib(self) -> float:
        """Return the resident memory of all of its processes; what they share is counted in each."""
        return processes.memory_mib(self.all_pids())


def again(tested: ServerUnderTest) -> None:
    """Start `serve run`, the first time or once more."""
    inside = _full_disk(tested.folder / "cache") if tested.options.full_disk else ()
    with (tested.folder / "log").open("a") as out:
        tested.log_from = out.tell()
        tested.process = isolated_server.serve_run(tested.config, tested.env, out, inside=inside)


def _full_disk(folder: Path) -> tuple[str, ...]:
    """Return the command that gives what it runs a file system of its own at `folder`, with no byte left on it."""
    folder.mkdir(exist_ok=True)
    script = 'mount -t tmpfs -o size=16k tmpfs "$0" && ! head -c 1M /dev/zero > "$0/full" && exec "$@"'
    return ("unshare", "--map-root-user", "--mount", "sh", "-c", script, str(folder))


def until(holds: Callable[[], bool], within_s: float, every_s: float = _LOOK_S) -> bool:
    """Ask until it holds; tell whether it came to."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True
