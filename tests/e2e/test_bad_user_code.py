"""A preprocess and a forward that misbehave for three requests in ten, over HTTP, on both routes, at once.

Nobody gets another's answer, no good request fails, nobody waits in vain, and the log has each bad one once: in a
replica that reads for itself, and through an ingress replica. tests/deployments/test_bad_user_code.py needs no Ray.
"""

import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from configs.document import application
from tests.e2e.conftest import model
from tests.e2e.together.test_ingress import behind
from tests.services.bad import KINDS
from tests.serving import PROJECT, SHORT, Serving, serve_run

pytestmark = pytest.mark.ray

REQUESTS, BAD_SHARE, CLIENTS = 2000, 0.3, 24
# Well below request_timeout_s: a request that ends by the clock is one that was lost.
SLOWEST_S = 20.0
OPEN: dict[str, Any] = {
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
    "preprocess": "tests.services.bad:make",
    "max_batch_size": 16,
}


def models(raw: dict[str, Any]) -> None:
    bad = model("bad", source={"factory": "tests.services.bad:Bad"}, **OPEN)
    written = model("written", source={"factory": "tests.services.bad:Bad"}, **OPEN)
    written["args"]["predict"] = {"encode": "tests.services.bad:answering"}
    exits = model("exits", source={"factory": "tests.services.bad:exiting"})
    away = model("behind", source={"factory": "tests.services.bad:Bad"}, **OPEN)
    raw["applications"] = [application(raw, "root"), bad, written, exits, behind(away, 1)]


@pytest.fixture(scope="module")
def serving(cache: Path) -> Iterator[Serving]:  # noqa: ARG001
    with serve_run(PROJECT / "serve_config.yaml", SHORT, models) as found:
        yield found


def ask(serving: Serving, name: str, route: str, texts: list[str], request_id: str) -> tuple[int, Any]:
    data = [{"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}]
    body = {"instances": texts} if route == "predict" else {"inputs": data}
    headers = {"x-request-id": request_id}
    began = time.monotonic()
    answer = requests.post(f"{serving.model(name)}/{route}", json=body, headers=headers, timeout=60)
    assert time.monotonic() - began < SLOWEST_S, (request_id, answer.text)
    found = answer.json()
    if answer.status_code != 200:
        return answer.status_code, found["error"]
    if route == "predict":
        return 200, [each["y"][0] for each in found["predictions"]]
    return 200, found["outputs"][0]["data"]


def logged(serving: Serving) -> Counter[str]:
    """Return how many entries the replicas' own logs have for each request id."""
    texts = [each.read_text(errors="replace") for each in serving.folder.rglob("session_2*/logs/worker-*.err")]
    return Counter(re.findall(r"ERROR pitstop: \w+: the model failed, request id (\S+)", "\n".join(texts)))


@pytest.mark.parametrize("name", ["bad", "behind"])
def test_of_two_thousand_requests_each_bad_one_fails_alone_with_one_log_entry(serving: Serving, name: str) -> None:
    rng = random.Random(name)
    sent = [
        (
            rng.choice(KINDS) if rng.random() < BAD_SHARE else "ok",
            rng.choice(["predict", "infer"]),
            [rng.randrange(1_000_000) for _ in range(rng.choice((1, 1, 1, 2, 12)))],
        )
        for _ in range(REQUESTS)
    ]

    def one(number: int) -> tuple[int, Any]:
        kind, route, numbers = sent[number]
        texts = [f"{kind}:{numbers[0]}", *(f"ok:{each}" for each in numbers[1:])]
        return ask(serving, name, route, texts, f"{name}-{number}")

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(one, range(REQUESTS)))
    ids = []
    for number, ((kind, _, numbers), (status, answer)) in enumerate(zip(sent, answers, strict=True)):
        if kind == "ok":
            assert (status, answer) == (200, [2.0 * each for each in numbers]), number
        else:
            assert status == 500, (number, kind, answer)
            sentence, _, request_id = answer.rpartition(" ")
            assert sentence == "the model failed on this input: the server log has it under request id"
            ids.append(request_id)
    assert len(ids) > REQUESTS * BAD_SHARE / 2
    entries = logged(serving)
    assert {request_id: entries[request_id] for request_id in ids} == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("number", [13, 14, 15])
def test_an_answer_hook_that_misbehaves_costs_its_request_alone(serving: Serving, number: int) -> None:
    status, error = ask(serving, "written", "predict", [f"ok:{number}"], f"written-{number}")
    assert (status, error.rpartition(" ")[2]) == (500, f"written-{number}")
    assert logged(serving)[f"written-{number}"] == 1


def test_a_factory_that_ends_the_process_is_told_in_two_lines_on_the_terminal(serving: Serving) -> None:
    told = serving.log.split("exits will not be served:")[1].splitlines()[1:3]
    first, second = (re.sub(r"^\x1b\[\d+m|^\([^)]*\)(\x1b\[\d+m)? ?", "", line) for line in told)
    assert "factory tests.services.bad:exiting raised SystemExit: 2 (tests/services/bad.py, line " in first
    assert "help: " in second


def test_tracebacks_are_lines(serving: Serving) -> None:
    texts = "\n".join(each.read_text(errors="replace") for each in serving.folder.rglob("session_2*/logs/worker-*.err"))
    assert '\nTraceback (most recent call last):\n  File "' in texts
    assert "('Traceback" not in texts
