"""Models that hang, run out of memory or begin to give NaN: who is told what, and that a good replica comes back.

Each test has a model of its own or leaves it as the next one needs it.
"""

import threading
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from tests.e2e.conftest import model
from tests.e2e.paths.test_service import outputs, tensor, together
from tests.services.faulty import ALL_NAN, FITS, HANG, HANG_LOOP, LITTLE_MEMORY, ONE_NAN
from tests.serving import Serving, wait_until

pytestmark = pytest.mark.ray
# For what Serve does in its own time; on a machine with nothing to spare that may be long.
PATIENCE_S = 180.0


def faulty(name: str, replicas: int = 1, **tunables: Any) -> dict[str, Any]:
    outputs = [
        {"name": "y", "datatype": "FP32", "shape": [-1, 1]},
        {"name": "pid", "datatype": "INT64", "shape": [-1, 1]},
    ]
    source = {"factory": "tests.services.faulty:Faulty", "kwargs": {"ms": 5}}
    app = model(name, {"forward_timeout_s": 5, **tunables}, source=source, outputs=outputs)
    app["deployments"][0] |= {"num_replicas": replicas, "health_check_period_s": 1}
    return app


def faulty_behind(name: str) -> dict[str, Any]:
    """As faulty, with an ingress replica in front, which HANG_LOOP stops."""
    app = faulty(name)
    app["args"] |= {"ingress_replicas": 1, "preprocess": "tests.services.faulty:hanging"}
    ingress = {"name": "Ingress", "ray_actor_options": {"num_cpus": 0.01}, "max_ongoing_requests": 1024}
    app["deployments"].append({**ingress, "user_config": {"forward_timeout_s": 5}, "health_check_period_s": 1})
    return app


def models() -> list[dict[str, Any]]:
    return [faulty("device", replicas=2), faulty_behind("behind"), faulty("small", check_finite=True)]


@dataclass
class Answer:
    """Status 0 means that there was no answer at all."""

    status: int
    values: list[float]
    pid: int
    error: str
    retry_after: str | None


def ask(serving: Serving, name: str, *rows: float) -> Answer:
    try:
        found = requests.post(f"{serving.model(name)}/infer", json=tensor(*rows), timeout=60)
    except requests.RequestException as error:
        return Answer(0, [], 0, repr(error), None)
    if not found.ok:
        return Answer(found.status_code, [], 0, found.text, found.headers.get("retry-after"))
    y, pid = found.json()["outputs"]
    return Answer(200, y["data"], pid["data"][0], "", None)


def health(serving: Serving, name: str) -> dict[str, Any]:
    stats = requests.get(f"{serving.model(name)}/stats", timeout=60).json()["model_stats"][0]
    found: dict[str, Any] = stats["pitstop"]["health"]
    return found


def test_a_replica_that_hangs_is_replaced_its_waiting_requests_are_told_and_the_other_goes_on(serving: Serving) -> None:
    before: set[int] = set()
    wait_until(lambda: before.add(ask(serving, "device", 1).pid) or len(before) == 2)  # type: ignore[func-returns-value]

    hung: dict[str, Answer] = {}
    threads = [
        threading.Thread(target=lambda name=name, value=value: hung.setdefault(name, ask(serving, name, value)))
        for name, value in (("device", HANG), ("behind", HANG_LOOP))
    ]
    for thread in threads:
        thread.start()
    meanwhile: list[tuple[int, Any, Any]] = []
    while threads[0].is_alive():
        # Several at once, so that not all of them can be with the replica that hangs.
        meanwhile += together(serving, "device", [tensor(3)] * 8)
    for thread in threads:
        thread.join()

    assert (hung["device"].status, hung["device"].retry_after) == (503, "1"), hung
    assert "this replica is unhealthy: try again in 1 s" in hung["device"].error
    # Where the loop itself hangs nobody can be told anything; the connection ends with the process.
    assert hung["behind"].status not in (200, 408), hung
    assert any(outputs(answer) == [6] for answer in meanwhile if answer[0] == 200), meanwhile

    alive: list[int] = []

    def replaced() -> bool:
        alive.append(ask(serving, "device", 1).pid)
        return bool(set(alive) - before - {0})

    wait_until(replaced)
    wait_until(lambda: ask(serving, "behind", 1).values == [2])
    serving.wait_for("device: a forward has not come back for", PATIENCE_S)
    serving.wait_for("behind: the event loop has not had a turn for", PATIENCE_S)


def test_out_of_memory_halves_batches_and_everybody_is_answered(serving: Serving) -> None:
    pid = ask(serving, "small", 1).pid
    assert ask(serving, "small", LITTLE_MEMORY).status == 200
    answers = [ask(serving, "small", *range(20))]
    answers += [ask(serving, "small", *range(20))]
    assert [answer.values for answer in answers] == [[2.0 * n for n in range(20)]] * 2
    found = health(serving, "small")
    # 32, 16 and 8 were tried once; the second request found the batches small already.
    assert (found["out_of_memory"], found["rows_that_fit"]) == (3, FITS)
    serving.wait_for(f"help: write max_batch_size: {FITS} into user_config", PATIENCE_S)
    assert all(answer[0] == 200 for answer in together(serving, "small", [tensor(n) for n in range(40)]))
    assert health(serving, "small")["out_of_memory"] == 3
    assert ask(serving, "small", 1).pid == pid


def test_a_request_that_gives_nan_is_refused_and_the_replica_lives(serving: Serving) -> None:
    pid = ask(serving, "small", 1).pid
    found = together(serving, "small", [tensor(1), tensor(5, ONE_NAN), tensor(3)])
    assert [answer[0] for answer in found] == [200, 500, 200]
    assert found[1][1]["error"].startswith("the model gave NaN or infinity for this input")
    for _ in range(10):
        assert ask(serving, "small", ONE_NAN).status == 500
    assert ask(serving, "small", 1).pid == pid
    assert health(serving, "small")["not_finite"] == 11


def test_a_model_that_begins_to_give_nan_never_answers_with_it_and_is_replaced(serving: Serving) -> None:
    pid = ask(serving, "small", 1).pid
    assert ask(serving, "small", ALL_NAN).status == 500
    seen: list[Answer] = []

    def replaced() -> bool:
        seen.append(ask(serving, "small", 4))
        return seen[-1].status == 200

    wait_until(replaced)
    assert seen[-1].values == [8]
    assert seen[-1].pid != pid
    assert {answer.status for answer in seen[:-1]} <= {0, 404, 500, 503}, seen
    serving.wait_for("small: the known-good row failed 3 times in a row", PATIENCE_S)


@pytest.mark.long
def test_an_ingress_replica_tells_what_the_device_behind_it_tells_and_meets_its_successor(serving: Serving) -> None:
    wait_until(lambda: ask(serving, "behind", 1).pid != 0)
    pid = ask(serving, "behind", 1).pid
    found = ask(serving, "behind", HANG)
    assert (found.status, found.retry_after) == (503, "1"), found
    assert "this replica is unhealthy" in found.error
    wait_until(lambda: ask(serving, "behind", 1).pid not in (pid, 0))
