"""The process that `pitstop run` asks: what it tells of applications, and which commands it takes. Without Ray."""

import json
import queue
from typing import Any

import pytest

from deployments import serve_process
from deployments.applications import App
from pitstop.run.states import states

STARTS = App("m", "1", "LOADING", False, "", status="DEPLOYING")
READY = App("m", "1", "READY", False, "", status="RUNNING")


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def __call__(self, kind: str, content: Any) -> None:
        self.events.append((kind, json.loads(json.dumps(content))))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the watch with these answers of Serve; after the last one it is asked to stop."""
    monkeypatch.setattr(serve_process, "_LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(serve_process, "_SETTLED_S", 0.001)
    monkeypatch.setattr(serve_process, "_deploy", lambda config, tell: tell("deployed", config))

    def watch(*answers: list[App] | Exception, commands: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
        told, asked, left = Told(), queue.SimpleQueue[str](), list(answers)
        for command in commands:
            asked.put(command)

        def applications() -> list[App]:
            found = left.pop(0)
            if not left:
                asked.put("stop")
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(serve_process, "_applications", applications)
        serve_process._watch(asked, told)
        return told.events

    return watch


def test_states_are_told_when_they_change(watched: Any) -> None:
    events = watched([STARTS], [STARTS], [READY], [READY])
    assert [(kind, content[0]["ready"]) for kind, content in events] == [("apps", False), ("apps", True)]


def test_pitstop_reads_what_is_told(watched: Any) -> None:
    [(_, content)] = watched([READY])
    [state] = states(content).values()
    assert (state.name, state.ready, state.settled, state.failed) == ("m", True, True, False)


def test_a_controller_that_is_away_is_asked_again(watched: Any) -> None:
    assert len(watched(RuntimeError("away"), [READY])) == 1


def test_a_config_is_deployed_on_command(watched: Any) -> None:
    events = watched([READY], commands=("deploy a config.yaml",))
    assert events[0] == ("deployed", "a config.yaml")


def test_a_config_that_serve_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("no such field")

    monkeypatch.setattr("ray.serve.scripts.cli", refuse)
    told = Told()
    assert not serve_process._deploy("config.yaml", told)
    assert told.events == [("refused", "no such field")]


@pytest.mark.parametrize("port, asked", [(8001, ["refuse_grpc"]), (None, [])])
def test_before_a_stop_the_grpc_proxies_take_no_more_calls(
    port: int | None, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    class Handle:
        def broadcast(self, method: str) -> "Handle":
            calls.append(method)
            return self

        def results(self, timeout_s: float) -> None:
            raise TimeoutError(f"none within {timeout_s} s")

    roots = {"import_path": "deployments.app:root", "args": {"grpc_port": port}}
    details = {"root": {"deployed_app_config": roots}, "m": {"deployed_app_config": {"import_path": "a:b"}}, "n": {}}
    monkeypatch.setattr(serve_process, "serve_details", lambda: {"applications": details})
    monkeypatch.setattr("ray.serve.get_deployment_handle", lambda *_: Handle())
    serve_process._refuse_grpc()
    assert calls == asked
