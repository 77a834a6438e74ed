"""The process that `pitstop run` starts, and asks by lines: Ray, Serve and the applications of a config.

    python -m deployments.serve_process EVENTS CONFIG

It deploys as `serve run` does, by that command. On stdin it takes `deploy CONFIG` and `stop`; the end of stdin is a
stop too. It writes what happens as lines of JSON to the file descriptor EVENTS: `ray` once Ray runs, `deployed` or
`refused` for each config, `apps` whenever an application's state has changed. All else that it prints is Ray's log.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import ray
from ray import serve

from configs.lint.applications import ROOT

from . import dashboard
from .applications import App, applications
from .serve_details import serve_details

# While an application is on its way; later, as seldom as a probe.
_LOOK_EVERY_S, _SETTLED_S = 0.25, 1.0
_REFUSE_WITHIN_S = 3.0
Tell = Callable[[str, Any], None]


def main() -> None:
    events, config = sys.argv[1:]
    commands: queue.SimpleQueue[str] = queue.SimpleQueue()
    with os.fdopen(int(events), "w", buffering=1) as pipe:

        def tell(kind: str, content: Any) -> None:
            with suppress(OSError):  # The other side has gone; the requests in progress have not.
                pipe.write(json.dumps({kind: content}) + "\n")

        os.set_inheritable(int(events), False)
        threading.Thread(target=_listen, args=(commands,), daemon=True).start()
        if not _start_ray(tell):
            sys.exit(1)
        # Ray has put a handler of its own in place, which would lose the requests in progress.
        signal.signal(signal.SIGTERM, lambda *_: commands.put("stop"))
        if _deploy(config, tell):
            _watch(commands, tell)
        _refuse_grpc()
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


def _listen(commands: "queue.SimpleQueue[str]") -> None:
    for line in sys.stdin:
        commands.put(line.strip())
    commands.put("stop")


def _start_ray(tell: Tell) -> bool:
    """Connect to the cluster that RAY_ADDRESS or `ray start` names, or start one here; return whether it is up."""
    try:
        context = ray.init(address=os.environ.get("RAY_ADDRESS"), namespace="serve")
    except Exception as error:
        traceback.print_exc()
        tell("refused", f"Ray does not start: {error}")
        return False
    tell("ray", dashboard.line(context.dashboard_url or ""))
    return True


def _deploy(config: str, tell: Tell) -> bool:
    """Whether Serve takes the config; what is wrong with an application shows later, in its state."""
    from ray.serve.scripts import cli  # It imports private names, which another Ray may not have.

    try:
        cli(["run", config, "--non-blocking"], standalone_mode=False)
    except (Exception, SystemExit) as error:
        tell("refused", str(error) or type(error).__name__)
        return False
    tell("deployed", config)
    return True


def _watch(commands: "queue.SimpleQueue[str]", tell: Tell) -> None:
    """Tell of changes, and deploy what is asked for, until a stop is asked for."""
    known: list[dict[str, Any]] = []
    while True:
        try:
            settled = known != [] and all(each["settled"] for each in known)
            command, _, config = commands.get(timeout=_SETTLED_S if settled else _LOOK_EVERY_S).partition(" ")
        except queue.Empty:
            command = ""
        if command == "stop":
            return
        if command == "deploy":
            _deploy(config, tell)
        try:
            found = [described(each) for each in _applications()]
        except Exception:  # The controller is being replaced: ask again.
            continue
        if found != known:
            known = found
            tell("apps", known)


def _refuse_grpc() -> None:
    """Let the gRPC proxies take no more calls: Serve ends HAProxy first, by which they reach the models."""
    with suppress(Exception):  # Where the controller is away, no call reaches a model either.
        for name, each in serve_details()["applications"].items():
            config = each.get("deployed_app_config") or {}
            if config.get("import_path") == ROOT and (config.get("args") or {}).get("grpc_port"):
                proxies = serve.get_deployment_handle("Root", name).broadcast("refuse_grpc")
                proxies.results(timeout_s=_REFUSE_WITHIN_S)


def _applications() -> list[App]:
    details = serve_details()
    return applications(details["applications"], details["nodes"])


def described(app: App) -> dict[str, Any]:
    """Return what pitstop/run/states.py reads of an application."""
    return {**asdict(app), "ready": app.ready, "settled": app.settled}


if __name__ == "__main__":
    main()
