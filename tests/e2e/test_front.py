"""What stands between clients and replicas: who answers while no replica does, and that HAProxy comes back."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
import yaml

from configs.document import application
from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from pitstop import processes
from tests.e2e.clients import BODY, TENSOR, load
from tests.e2e.conftest import model
from tests.serving import PROJECT, SHORT, Serving, deploy, serve_run, wait_until

pytestmark = pytest.mark.ray
# As long as a client may wait for what is to be answered at once: shorter than any start here.
AT_ONCE_S = 10
AS_ANOTHER_USER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except PermissionError:
    sys.exit(13)
"""


@pytest.fixture(scope="module")
def serving(cache: object) -> Iterator[Serving]:  # noqa: ARG001
    def edit(raw: dict[str, Any]) -> None:
        raw["applications"] = [application(raw, "root"), model("two", ms=1)]

    with serve_run(PROJECT / "serve_config.yaml", SHORT, edit) as found:
        yield found


def haproxies(serving: Serving) -> dict[int, str]:
    return {pid: line for pid, line in processes.of(None, serving.mark).items() if "haproxy" in line and " -f " in line}


def folder(serving: Serving) -> Path:
    line = next(iter(haproxies(serving).values()))
    return Path(line.partition(" -f ")[2].split()[0]).parent


def status(url: str) -> int:
    """Return the status of an answer; 0 where there is none."""
    try:
        return requests.get(url, timeout=AT_ONCE_S).status_code
    except requests.RequestException:
        return 0


def put(serving: Serving, *others: dict[str, Any]) -> None:
    """Have these models beside the one that is always there."""

    def edit(raw: dict[str, Any]) -> None:
        raw["applications"] = raw["applications"][:2]
        variables = raw["applications"][1]["runtime_env"]["env_vars"]
        raw["applications"] += [{**each, "runtime_env": {"env_vars": variables}} for each in others]

    deploy(serving, edit)


def state(serving: Serving, name: str) -> str:
    found = requests.get(f"{serving.url}/v2/repository/index", timeout=AT_ONCE_S).json()
    return next((str(each["state"]) for each in found if each["name"] == name), "")


def no_other(serving: Serving) -> bool:
    return bool(requests.get(f"{serving.url}/v2/models", timeout=AT_ONCE_S).json()["models"] == ["two"])


def grpc_answers(port: int, name: str, in_one_hop: bool) -> tuple[bool, grpc.StatusCode]:
    """Return what ModelReady says, and how ModelInfer ends."""
    metadata = (("application", name),) if in_one_hop else ()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        ready = stub.ModelReady(pb.ModelReadyRequest(name=name), metadata=metadata, timeout=AT_ONCE_S).ready
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(
                pb.ModelInferRequest(model_name=name, inputs=[TENSOR]), metadata=metadata, timeout=AT_ONCE_S
            )
    return bool(ready), caught.value.code()


def test_a_model_that_loads_is_refused_at_once_and_the_server_says_what_it_waits_for(
    serving: Serving, tmp_path: Path
) -> None:
    opened = tmp_path / "opened"
    late = model("late", source={"factory": "tests.services.gate:Gate", "kwargs": {"opened": str(opened)}})
    put(serving, late)
    # Before HAProxy knows the route, the root application answers for the model; both must say the same.
    wait_until(lambda: status(f"{serving.model('late')}/ready") == 503)
    wait_until(lambda: "/v2/models/late" in requests.get(f"{serving.url}/-/routes", timeout=AT_ONCE_S).json())
    url = serving.model("late")
    ready = requests.get(f"{url}/ready", timeout=AT_ONCE_S)
    assert (ready.status_code, ready.json(), ready.headers["retry-after"]) == (
        503,
        {"name": "late", "ready": False},
        "1",
    )
    for answer in (requests.get(url, timeout=AT_ONCE_S), requests.post(f"{url}/infer", json=BODY, timeout=AT_ONCE_S)):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json() == {"error": "model 'late' is loading, not ready: try again in 1 s"}
    in_one_hop = yaml.safe_load(serving.config.read_text())["grpc_options"]["port"]
    for port, metadata in ((serving.grpc_port, False), (in_one_hop, True)):
        assert grpc_answers(port, "late", metadata) == (False, grpc.StatusCode.UNAVAILABLE)
    server = requests.get(f"{serving.url}/v2/health/ready", timeout=AT_ONCE_S)
    assert (server.status_code, server.json()["waiting_for"]) == (503, ["late"])
    assert no_other(serving)

    opened.touch()
    wait_until(lambda: status(f"{url}/ready") == 200)
    assert requests.post(f"{url}/infer", json=BODY, timeout=AT_ONCE_S).json()["outputs"][0]["data"] == [6.0]
    put(serving)
    wait_until(lambda: state(serving, "late") == "")


def test_a_model_that_failed_is_refused_in_json_with_the_reason_where_to_look(serving: Serving) -> None:
    put(serving, model("broken", source={"factory": "tests.services.slow:Slow", "kwargs": {"no": 1}}))
    wait_until(lambda: state(serving, "broken") == "UNAVAILABLE")
    answer = requests.post(f"{serving.model('broken')}/infer", json=BODY, timeout=AT_ONCE_S)
    assert answer.status_code == 503
    assert answer.json() == {"error": "model 'broken' failed and is not served: see the server's log"}
    assert status(f"{serving.url}/v2/health/ready") == 503
    put(serving)
    wait_until(lambda: state(serving, "broken") == "")


def test_a_rollout_that_is_refused_leaves_a_server_that_is_ready_and_a_model_that_answers(serving: Serving) -> None:
    def refused(raw: dict[str, Any]) -> None:
        app = application(raw, "two")
        app["args"]["source"] = {"factory": "tests.services.slow:Slow", "kwargs": {"no": 1}}
        app["deployments"][0]["max_surge_percent"] = 100

    def as_it_was(raw: dict[str, Any]) -> None:
        application(raw, "two")["args"]["source"] = {"factory": "tests.services.slow:Slow", "kwargs": {"ms": 1}}

    seen: set[tuple[int, int, str]] = set()

    def serve_says() -> str:
        found = requests.get(f"{serving.url}/v2/repository/index", timeout=AT_ONCE_S).json()
        seen.add(
            (status(f"{serving.url}/v2/health/ready"), status(f"{serving.model('two')}/ready"), state(serving, "two"))
        )
        return next(str(each["reason"]) for each in found if each["name"] == "two")

    with load(serving, "two", clients=2) as found:
        deploy(serving, refused)
        found.until(lambda: "DEPLOY_FAILED" in serving_status(serving, "two") and bool(serve_says()))
        found.wait_for(20)
        deploy(serving, as_it_was)
        found.until(lambda: serve_says() == "" and "RUNNING" in serving_status(serving, "two"))
    assert seen == {(200, 200, "READY")}


def serving_status(serving: Serving, name: str) -> str:
    from tests.serving import dashboard

    found = requests.get(f"{dashboard(serving)}/api/serve/applications/", timeout=AT_ONCE_S).json()["applications"]
    return str(found[name]["status"])


def test_haproxy_s_socket_and_files_are_closed_to_other_users_also_after_a_reload(serving: Serving) -> None:
    sockets = [folder(serving) / "admin.sock"]
    assert {path.stat().st_mode & 0o077 for path in [folder(serving), *sockets]} == {0}
    for path in sockets:
        socket.socket(socket.AF_UNIX).connect(str(path))
        if os.getuid() == 0:
            child = subprocess.run([sys.executable, "-c", AS_ANOTHER_USER, str(path)], check=False)
            assert child.returncode == 13


def test_haproxy_that_is_killed_is_back_with_its_routes_and_nobody_is_told_that_there_is_no_such_path(
    serving: Serving,
) -> None:
    seen: set[int] = set()
    before = set(haproxies(serving))
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        seen.add(status(f"{serving.model('two')}/ready"))
        return bool(set(haproxies(serving)) - before) and 200 in seen

    wait_until(back)
    assert seen <= {0, 200, 503}
    assert requests.post(f"{serving.model('two')}/infer", json=BODY, timeout=AT_ONCE_S).ok
    assert folder(serving).stat().st_mode & 0o077 == 0


def test_a_haproxy_whose_manager_is_killed_goes_too_and_another_pair_takes_over(serving: Serving) -> None:
    # A Ray worker renames itself, and the name takes the place of its environment with the mark.
    everything = processes.of(serving.process.pid, serving.mark)
    [manager] = [pid for pid, line in everything.items() if "SupervisedHAProxy" in line]
    before = set(haproxies(serving))
    seen: set[int] = set()
    os.kill(manager, signal.SIGKILL)

    def back() -> bool:
        seen.add(status(f"{serving.model('two')}/ready"))
        return bool(set(haproxies(serving)) - before) and status(f"{serving.model('two')}/ready") == 200

    wait_until(back)
    assert not before & set(haproxies(serving))
    assert seen <= {0, 200, 503}


def test_what_is_under_way_is_answered_when_serve_run_is_interrupted_as_the_image_asks_for(
    cache: object,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    slowly, begun = tmp_path / "slowly", tmp_path / "begun"

    def edit(raw: dict[str, Any]) -> None:
        source = {"factory": "tests.services.gate:Begun", "kwargs": {"slowly": str(slowly), "begun": str(begun)}}
        raw["applications"] = [application(raw, "root"), model("slow", source=source)]

    answers: list[Any] = []
    with sigint_not_ignored(), serve_run(PROJECT / "serve_config.yaml", SHORT, edit) as serving:

        def ask() -> None:
            try:
                answers.append(requests.post(f"{serving.model('slow')}/infer", json=BODY, timeout=60).status_code)
            except requests.RequestException as error:
                answers.append(repr(error))

        slowly.touch()
        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(begun.exists)
        serving.process.send_signal(signal.SIGINT)
        asking.join()
        serving.process.wait(timeout=120)
    assert answers == [200]


@contextmanager
def sigint_not_ignored() -> Iterator[None]:
    """What a script starts in the background ignores SIGINT, and so would all that the tests start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
