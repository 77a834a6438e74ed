"""Every shipped config is served and answers; what its models promise in metadata holds for the answer.

With four rows in a batch: the large sizes are most of a start, and `make reports` serves them all.
"""

import json
from typing import Any

import numpy as np
import pytest
import requests

from tests.serving import PROJECT, SHORT, Serving, serve_run

pytestmark = pytest.mark.ray


def few_rows(raw: dict[str, Any]) -> None:
    for app in raw["applications"][1:]:
        app["args"] = {**app["args"], "max_rows": 4}


def binary(serving: Serving, model: str, name: str, rows: np.ndarray[Any, Any], output: str) -> np.ndarray[Any, Any]:
    given = {
        "name": name,
        "shape": list(rows.shape),
        "datatype": "UINT8",
        "parameters": {"binary_data_size": rows.nbytes},
    }
    asked = [{"name": output, "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [given], "outputs": asked}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = requests.post(f"{serving.model(model)}/infer", data=head + rows.tobytes(), headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    size = int(answer.headers["Inference-Header-Content-Length"])
    return np.frombuffer(answer.content[size:], np.float32).reshape(len(rows), -1)


def test_resnet50_answers_pictures_alike_through_both_apps(cache: object) -> None:  # noqa: ARG001
    with serve_run(PROJECT / "configs/resnet50.yaml", SHORT, few_rows) as serving:
        images = np.random.default_rng(0).integers(0, 256, (3, 3, 224, 224)).astype(np.uint8)
        one, two = (binary(serving, name, "image", images, "logits") for name in ("resnet50", "resnet50-cpu"))
        assert one.shape == (3, 1000)
        np.testing.assert_allclose(one, two, atol=1e-3 * np.abs(two).max())
        assert requests.get(serving.model("resnet50-cpu"), timeout=30).json()["properties"]["device"] == "cpu"


def test_minilm_puts_like_sentences_near_each_other(cache: object) -> None:  # noqa: ARG001
    texts = ["A man is eating food.", "Somebody eats a meal.", "The stock market fell sharply today."]
    with serve_run(PROJECT / "configs/minilm.yaml", SHORT, few_rows) as serving:
        body = {"inputs": [{"name": "text", "shape": [3], "datatype": "BYTES", "data": texts}]}
        answer = requests.post(f"{serving.model('minilm')}/infer", json=body, timeout=60).json()
        found = np.array(answer["outputs"][0]["data"]).reshape(3, 384)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        alike, unlike = found[0] @ found[1], found[0] @ found[2]
        assert alike > 0.6
        assert unlike < 0.3
        long = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["word " * 1000]}]}
        assert requests.post(f"{serving.model('minilm')}/infer", json=long, timeout=60).status_code == 200


def test_mlp_answers_as_the_network_does(cache: object) -> None:  # noqa: ARG001
    import torch

    from models.zoo.mlp import Mlp

    rows = np.random.default_rng(0).standard_normal((5, 64)).astype(np.float32)
    with serve_run(PROJECT / "configs/mlp.yaml", SHORT, few_rows) as serving:
        answer = requests.post(f"{serving.model('mlp')}/predict", json={"instances": rows.tolist()}, timeout=60).json()
    expected = Mlp()(torch.from_numpy(rows)).detach().numpy()
    np.testing.assert_allclose([each["y"] for each in answer["predictions"]], expected, atol=1e-4)
