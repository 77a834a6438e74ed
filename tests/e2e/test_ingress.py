"""Ingress replicas in front of a device: the same answers, whichever replica reads, and only the guilty one fails."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests

from models.zoo.train_digits import split
from tests.e2e.conftest import model
from tests.e2e.paths.test_digits import ask_binary, ask_json
from tests.e2e.paths.test_service import SECRET, forwards, outputs, tensor, together
from tests.serving import PROJECT, SHORT, Serving, serve_run

pytestmark = pytest.mark.ray


def with_ingress(raw: dict[str, Any]) -> None:
    raw["applications"] = [app for app in raw["applications"] if app["name"] in ("root", "digits")]
    raw["applications"].append(model("slow"))
    shape = [-1, 50_000]
    wide = model("wide", inputs=[_tensor("x", shape)], outputs=[_tensor("y", shape)])
    raw["applications"].append(wide)
    for app in raw["applications"][1:]:
        app["args"] = {**app["args"], "num_cpus": 0.3, "ingress_replicas": 2}
        ingress = {"name": "Ingress", "ray_actor_options": {"num_cpus": 0.1}, "max_ongoing_requests": 1024}
        app["deployments"] = [*app["deployments"], ingress]


def _tensor(name: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": "FP32", "shape": shape}


@pytest.fixture(scope="module")
def behind(cache: object) -> Iterator[Serving]:  # noqa: ARG001
    with serve_run(PROJECT / "serve_config.yaml", SHORT, with_ingress) as found:
        yield found


def test_digits_are_named_rightly_through_ingress_replicas(behind: Serving) -> None:
    _, _, images, labels = split()
    found = [ask_json(behind, "digits", images[n : n + 40])["outputs"][1]["data"] for n in range(0, len(images), 40)]
    assert (np.concatenate(found) == labels).mean() >= 0.98
    assert (ask_binary(behind, "digits", images) == np.concatenate(found)).all()


def test_requests_read_by_several_replicas_share_forwards(behind: Serving) -> None:
    properties = requests.get(behind.model("slow"), timeout=20).json()["properties"]
    assert properties["ingress_replicas"] == 2
    answers = together(behind, "slow", [tensor(n) for n in range(60)], every_s=0.002)
    assert [outputs(answer) for answer in answers] == [[2.0 * n] for n in range(60)]
    assert forwards(behind, "slow") < 30


def test_only_the_guilty_request_of_a_block_fails(behind: Serving) -> None:
    answers = together(behind, "slow", [tensor(1), tensor(-9999), tensor(3)])
    assert [answer[0] for answer in answers] == [200, 500, 200]
    assert SECRET not in str(answers[1][1])


def test_a_block_of_several_megabytes_crosses_both_ways(behind: Serving) -> None:
    # 32 rows of 50,000 numbers: 6.4 MB, above the 4 MiB that gRPC takes by default.
    rows = np.arange(32 * 50_000, dtype=np.float32).reshape(32, 50_000)
    given = {"name": "x", "shape": [32, 50_000], "datatype": "FP32", "parameters": {"binary_data_size": rows.nbytes}}
    head = json.dumps({"inputs": [given], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = requests.post(f"{behind.model('wide')}/infer", data=head + rows.tobytes(), headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    found = np.frombuffer(answer.content[int(answer.headers["Inference-Header-Content-Length"]) :], np.float32)
    np.testing.assert_array_equal(found.reshape(32, 50_000), 2 * rows)


def test_more_rows_than_a_forward_come_back_whole(behind: Serving) -> None:
    values = [float(n) for n in range(500)]
    [answer] = together(behind, "slow", [tensor(*values)])
    assert outputs(answer) == [2 * value for value in values]
