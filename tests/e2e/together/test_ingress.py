"""Ingress replicas in front of a device: the same answers, whichever replica reads, and only the guilty one fails."""

import json
import os
import signal
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, ClassVar

import numpy as np
import pytest
import requests

from configs.document import application
from models.zoo.train_digits import split
from tests.e2e.clients import BODY, STOPS, Load, load, loaded, replicas
from tests.e2e.conftest import model
from tests.e2e.paths.test_digits import ask_binary, ask_json
from tests.e2e.paths.test_service import SECRET, forwards, outputs, tensor, together
from tests.serving import Serving, deploy

pytestmark = pytest.mark.ray


def models(digits: dict[str, Any]) -> list[dict[str, Any]]:
    shape = [-1, 50_000]
    wide = model("wide", inputs=[_tensor("x", shape)], outputs=[_tensor("y", shape)])
    return [behind(digits, 2), behind(wide, 1), behind(model("blocks"), 2), _two_parts()]


def _two_parts() -> dict[str, Any]:
    """A model whose labels are right if hook and network are of one config; `other_parts` changes both."""
    made = behind(
        model(
            "two-parts",
            source={"factory": "tests.services.hooked:Sums", "kwargs": {"factor": 1.0}},
            inputs=[{**_tensor("x", [-1, 2]), "low": -5, "high": 5}],
            handler="tests.services.hooked:Labels",
            outputs=[{"name": "label", "datatype": "BYTES", "shape": [-1]}, _tensor("score", [-1])],
        ),
        1,
    )
    for each in made["deployments"]:
        each["max_surge_percent"] = 100
    return made


def other_parts(raw: dict[str, Any]) -> None:
    args = application(raw, "two-parts")["args"]
    args["source"]["kwargs"]["factor"] = 2.0
    args["handler"] = "tests.services.hooked:Second"


def behind(app: dict[str, Any], ingress_replicas: int) -> dict[str, Any]:
    ingress = {"name": "Ingress", "ray_actor_options": {"num_cpus": 0.01}, "max_ongoing_requests": 1024}
    args = {**app["args"], "num_cpus": 0.01, "ingress_replicas": ingress_replicas}
    return {**app, "args": args, "deployments": [*app["deployments"], ingress]}


def _tensor(name: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": "FP32", "shape": shape}


def test_digits_are_named_rightly_through_ingress_replicas(serving: Serving) -> None:
    _, _, images, labels = split()
    found = [ask_json(serving, "digits", images[n : n + 40])["outputs"][1]["data"] for n in range(0, len(images), 40)]
    assert (np.concatenate(found) == labels).mean() >= 0.98
    assert (ask_binary(serving, "digits", images) == np.concatenate(found)).all()


def test_requests_read_by_several_replicas_share_forwards(serving: Serving) -> None:
    properties = requests.get(serving.model("blocks"), timeout=20).json()["properties"]
    assert properties["ingress_replicas"] == 2
    answers = together(serving, "blocks", [tensor(n) for n in range(60)], every_s=0.002)
    assert [outputs(answer) for answer in answers] == [[2.0 * n] for n in range(60)]
    assert forwards(serving, "blocks") < 30


def test_only_the_guilty_request_of_a_block_fails(serving: Serving) -> None:
    answers = together(serving, "blocks", [tensor(1), tensor(-9999), tensor(3)])
    assert [answer[0] for answer in answers] == [200, 500, 200]
    assert SECRET not in str(answers[1][1])


def test_a_block_of_several_megabytes_crosses_both_ways(serving: Serving) -> None:
    # 32 rows of 50,000 numbers: 6.4 MB, above the 4 MiB that gRPC takes by default.
    rows = np.arange(32 * 50_000, dtype=np.float32).reshape(32, 50_000)
    given = {"name": "x", "shape": [32, 50_000], "datatype": "FP32", "parameters": {"binary_data_size": rows.nbytes}}
    head = json.dumps({"inputs": [given], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = requests.post(f"{serving.model('wide')}/infer", data=head + rows.tobytes(), headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    found = np.frombuffer(answer.content[int(answer.headers["Inference-Header-Content-Length"]) :], np.float32)
    np.testing.assert_array_equal(found.reshape(32, 50_000), 2 * rows)


def test_more_rows_than_a_forward_come_back_whole(serving: Serving) -> None:
    values = [float(n) for n in range(500)]
    [answer] = together(serving, "blocks", [tensor(*values)])
    assert outputs(answer) == [2 * value for value in values]


def test_a_stopped_ingress_replica_does_not_stop_the_device_behind_it(serving: Serving) -> None:
    first, _ = replicas(serving, "blocks", "Ingress")
    url = f"{serving.model('blocks')}/infer"
    with load(serving, "blocks") as loaded, ThreadPoolExecutor(16) as pool:
        for _ in range(STOPS):
            os.kill(first, signal.SIGSTOP)
            try:
                # Half of them are sent to the stopped replica, and wait there.
                asked = [pool.submit(requests.post, url, json=BODY, timeout=60) for _ in range(16)]
                done, _ = wait(asked, timeout=20, return_when=FIRST_COMPLETED)
            finally:
                os.kill(first, signal.SIGCONT)
            assert done
            assert {answer.result().status_code for answer in asked} == {200}
            loaded.wait_for(20)


class Labelled(Load):
    """As Load, of the model whose hook and network must be of one config."""

    body: ClassVar = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
    last: Any = None

    def judge(self, answer: requests.Response) -> str | None:
        self.last = answer.json()["outputs"][0]["data"] if answer.ok else answer.text
        return None if self.last in (["one 3 m"], ["two 6 m"]) else f"{answer.status_code} {self.last}"


def test_in_a_rollout_no_answer_is_made_of_two_configs(serving: Serving) -> None:
    with loaded(Labelled(f"{serving.model('two-parts')}/infer"), clients=4) as found:
        deploy(serving, other_parts)
        found.until(lambda: found.last == ["two 6 m"])
        found.until(lambda: len(replicas(serving, "two-parts")) == len(replicas(serving, "two-parts", "Ingress")) == 1)
        found.wait_for(200)
        assert found.last == ["two 6 m"]
