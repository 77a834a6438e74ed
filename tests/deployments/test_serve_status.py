"""When a model is ready: when its requests are answered, whatever Serve calls its application meanwhile."""

import asyncio
import threading
from typing import Any

import pytest

from deployments import serve_status
from deployments.applications import App, application, not_ready
from deployments.serve_details import fill
from deployments.serve_status import ServeStatus

ONE, TWO = ["RUNNING"], ["RUNNING", "STARTING"]


def details(status: str, *deployments: list[str], least: int | None = None, target: int = 1) -> dict[str, Any]:
    scaling = None if least is None else {"min_replicas": least}
    found = {
        f"d{number}": {
            "replicas": [{"state": state} for state in states],
            "deployment_config": {"autoscaling_config": scaling},
            "target_num_replicas": target,
        }
        for number, states in enumerate(deployments)
    }
    return {"status": status, "message": "", "deployments": found}


@pytest.mark.parametrize(
    "status, replicas",
    [
        ("RUNNING", [ONE]),
        ("DEPLOYING", [TWO]),  # A rollout.
        ("DEPLOY_FAILED", [ONE]),  # A rollout that was refused.
        ("UNHEALTHY", [TWO]),  # One of two is replaced.
        ("RUNNING", [["PENDING_MIGRATION"]]),  # Its node is going.
        ("DEPLOYING", [["UPDATING"]]),  # A new user_config: a request waits for moments, and none is lost.
        ("DEPLOYING", [["RECOVERING"]]),  # The controller was restarted.
    ],
)
def test_a_model_with_a_replica_that_answers_is_ready_whatever_serve_says(
    status: str, replicas: list[list[str]]
) -> None:
    app = application("m", details(status, *replicas))
    assert (app.ready, app.failed) == (True, False)


@pytest.mark.parametrize(
    "status, replicas, state",
    [
        ("DEPLOYING", [["STARTING"]], "LOADING"),
        ("DEPLOYING", [], "LOADING"),
        ("RUNNING", [[]], "LOADING"),
        ("RUNNING", [["STOPPING"]], "LOADING"),
        ("DEPLOYING", [ONE, ["STARTING"]], "LOADING"),  # Ingress replicas without their device.
        ("DEPLOY_FAILED", [[]], "UNAVAILABLE"),
        ("UNHEALTHY", [["STARTING"]], "UNAVAILABLE"),
        ("DELETING", [["STOPPING"]], "UNLOADING"),
    ],
)
def test_a_model_without_one_is_not(status: str, replicas: list[list[str]], state: str) -> None:
    app = application("m", details(status, *replicas))
    assert (app.state, app.held) == (state, False)


@pytest.mark.parametrize(
    "status, replicas, target, ready, held",
    [
        ("RUNNING", [], 0, True, True),
        ("RUNNING", ["STARTING"], 1, True, True),
        ("DEPLOYING", ["STARTING"], 1, False, True),
        ("DEPLOY_FAILED", [], 1, False, False),
    ],
)
def test_what_waits_for_a_model_at_zero_is_answered_unless_it_failed(
    status: str, replicas: list[str], target: int, ready: bool, held: bool
) -> None:
    app = application("m", details(status, replicas, least=0, target=target))
    assert (app.ready, app.held) == (ready, held)


@pytest.mark.parametrize("status", ["DEPLOYING", "DEPLOY_FAILED"])
@pytest.mark.parametrize(
    "replicas, least, ready",
    [
        ({("m", "Model"): 1, ("m", "Ingress"): 1}, 1, True),
        ({("m", "Model"): 1, ("m", "Ingress"): 0}, 1, False),
        ({("m", "Model"): 0}, 1, False),
        ({("m", "Model"): 0}, 0, True),  # Scaled to zero: a request starts it.
        ({("other", "Model"): 1}, 1, False),  # The first time that it is built.
    ],
)
def test_a_change_that_is_being_built_or_whose_build_failed_leaves_ready_what_answers(
    status: str, replicas: dict[tuple[str, str], int], least: int, ready: bool
) -> None:
    """Serve lists no deployments of such an application."""
    config = {"deployments": [{"name": "Model", "autoscaling_config": {"min_replicas": least}}]}
    found = {"m": {**details(status), "deployed_app_config": config}}
    fill(found, replicas)
    assert application("m", found["m"]).ready == (ready and (least > 0 or status == "DEPLOYING"))


def test_what_serve_lists_is_left_as_it_is_and_what_it_deletes_is_not_ready() -> None:
    found = {"m": details("DEPLOYING", ["STARTING"]), "n": details("DELETING")}
    fill(found, {("m", "d0"): 1, ("n", "d0"): 1})
    assert [application(name, found[name]).ready for name in found] == [False, False]


def test_the_start_is_over_only_once_serve_is_done() -> None:
    assert not application("m", details("DEPLOYING", TWO)).settled
    assert application("m", details("DEPLOYING", TWO)).reason == "a change is being rolled out"
    assert application("m", details("RUNNING", TWO)).settled


@pytest.mark.parametrize("model, ingress, state", [(ONE, ["STARTING"], "LOADING"), (ONE, TWO, "READY")])
def test_replicas_that_ray_has_no_room_for_are_the_reason(model: list[str], ingress: list[str], state: str) -> None:
    found = details("DEPLOYING", model, ingress)
    found["deployments"]["d1"]["message"] = (
        "Deployment 'd1' in application 'm' has 2 replicas that have taken more than 30s to be scheduled. This may be "
        "due to waiting for the cluster to auto-scale or for a runtime environment to be installed. Resources required "
        'for each replica: {"CPU": 1.0}, total resources available: {"CPU": 0.9}. Use `ray status` for more details.'
    )
    app = application("m", found)
    told = 'Ray has no room for 2 d1 replicas: each reserves {"CPU": 1.0}, free is {"CPU": 0.9}'
    assert (app.state, app.no_room, app.reason) == (state, True, told)
    assert app.message == f"{told}\nhelp: lower num_cpus, num_replicas or ingress_replicas, or add a node"
    busy = found["deployments"]["d1"]["message"].replace('{"CPU": 0.9}', "{}")
    found["deployments"]["d1"]["message"] = busy
    assert application("m", found).reason == told.replace('free is {"CPU": 0.9}', "nothing is free")
    found["status"] = "UNHEALTHY"
    assert not application("m", found).no_room


def test_replicas_whose_processes_start_slowly_are_not_without_room() -> None:
    found = details("DEPLOYING", ["STARTING"])
    found["deployments"]["d0"]["message"] = said = (
        "Deployment 'd0' in application 'm' has 1 replicas that have taken more than 30s to be scheduled. Resources "
        'required for each replica: {"CPU": 0.2}, total resources available: {"CPU": 0.4}.'
    )
    app = application("m", found)
    assert (app.state, app.no_room, app.message) == ("LOADING", False, said)
    # Serve tells what is free on all nodes together, which may fit on none.
    assert application("m", found, nodes=2).no_room


def test_a_client_is_told_to_come_again_unless_the_model_failed() -> None:
    loading = not_ready(App("m", "1", "LOADING", False, ""))
    assert (loading.status, dict(loading.headers)) == (503, {b"retry-after": b"1"})
    replaced = not_ready(application("m", details("UNHEALTHY", ["STARTING"])))
    assert (dict(replaced.headers), "try again" in replaced.message) == ({b"retry-after": b"1"}, True)
    failed = not_ready(application("m", details("DEPLOY_FAILED", [])))
    assert (failed.status, failed.headers, "try again" in failed.message) == (503, (), False)


ANSWER = {"http_options": {"port": 1}, "nodes": 1, "applications": {"m": details("RUNNING", ONE)}}


def test_what_was_known_is_told_while_the_controller_is_away_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    answers: list[Any] = [ANSWER]

    def ask() -> dict[str, Any]:
        if not answers:
            raise ConnectionError
        return dict(answers.pop())

    monkeypatch.setattr(serve_status, "serve_details", ask)
    monkeypatch.setattr("deployments.serve_status.time.monotonic", lambda: now)

    async def told() -> None:
        nonlocal now
        found = ServeStatus("")
        assert [app.name for app in await found.apps()] == ["m"]
        now += 20
        assert [app.name for app in await found.apps()] == ["m"]
        now += 20
        with pytest.raises(ConnectionError):
            await found.apps()

    asyncio.run(told())


def test_a_controller_that_hangs_is_asked_once_and_keeps_nobody_waiting_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over, calls = threading.Event(), []

    def hang() -> dict[str, Any]:
        calls.append(1)
        over.wait()
        return ANSWER

    monkeypatch.setattr(serve_status, "serve_details", hang)
    monkeypatch.setattr(serve_status, "_PATIENCE_S", 0.01)

    async def told() -> None:
        found = ServeStatus("")
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await found.apps()
        call = found._call
        over.set()
        assert call is not None
        await call
        assert [app.name for app in await found.apps()] == ["m"]

    asyncio.run(told())
    assert calls == [1]
