"""Every shipped example is served and answers as its metadata promises, beside a model that may not be served.

All in one server, with two rows in a batch: the large sizes are most of a start, and `make reports` serves them all.
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests
import torch
import yaml

from models.zoo.mlp import Mlp
from tests.serving import PROJECT, SHORT, Serving, serve_run, wait_until

pytestmark = pytest.mark.ray

MODELS = {"resnet50.yaml": ["resnet50", "resnet50-cpu"], "minilm.yaml": ["minilm"], "mlp.yaml": ["mlp"]}


@pytest.fixture(scope="module")
def serving(cache: object) -> Iterator[Serving]:  # noqa: ARG001
    with serve_run(PROJECT / "serve_config.yaml", SHORT, examples) as found:
        yield found


def examples(raw: dict[str, Any]) -> None:
    raw["applications"] = [app for app in raw["applications"] if app["name"] in ("root", "digits")]
    digits = raw["applications"][1]
    digits["args"] = {**digits["args"], "num_cpus": 0.1, "source": {**digits["args"]["source"], "sha256": "0" * 64}}
    for file, names in MODELS.items():
        found = yaml.safe_load((PROJECT / "configs" / file).read_text())["applications"]
        apps = {app["name"]: app for app in found}
        for name in names:
            apps[name]["args"] = {**apps[name]["args"], "max_batch_size": 2, "num_cpus": 0.3}
            raw["applications"].append(apps[name])


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


def test_resnet50_answers_pictures_alike_through_both_apps(serving: Serving) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 224, 224)).astype(np.uint8)
    one, two = (binary(serving, name, "image", images, "logits") for name in ("resnet50", "resnet50-cpu"))
    assert one.shape == (3, 1000)
    np.testing.assert_allclose(one, two, atol=1e-3 * np.abs(two).max())
    assert requests.get(serving.model("resnet50-cpu"), timeout=30).json()["properties"]["device"] == "cpu"


def test_minilm_puts_like_sentences_near_each_other(serving: Serving) -> None:
    texts = ["A man is eating food.", "Somebody eats a meal.", "The stock market fell sharply today."]
    body = {"inputs": [{"name": "text", "shape": [3], "datatype": "BYTES", "data": texts}]}
    answer = requests.post(f"{serving.model('minilm')}/infer", json=body, timeout=60).json()
    found = np.array(answer["outputs"][0]["data"]).reshape(3, 384)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    alike, unlike = found[0] @ found[1], found[0] @ found[2]
    assert alike > 0.6
    assert unlike < 0.3
    long = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["word " * 1000]}]}
    assert requests.post(f"{serving.model('minilm')}/infer", json=long, timeout=60).status_code == 200


def test_mlp_answers_as_the_network_does(serving: Serving) -> None:
    rows = np.random.default_rng(0).standard_normal((5, 64)).astype(np.float32)
    answer = requests.post(f"{serving.model('mlp')}/predict", json={"instances": rows.tolist()}, timeout=60).json()
    expected = Mlp()(torch.from_numpy(rows)).detach().numpy()
    np.testing.assert_allclose([each["y"] for each in answer["predictions"]], expected, atol=1e-4)


def test_a_model_that_may_not_serve_says_why_and_the_others_serve(serving: Serving) -> None:
    [line] = [line for line in serving.lines if "pitstop is ready: " in line]
    assert "mlp" in line
    assert line.rstrip().endswith(", without digits")
    assert "digits will not be served" in serving.log
    assert "sha256 is b018b7" in serving.log
    assert "restore the file, or update sha256 if you trust it" in serving.log
    assert requests.get(serving.model("digits"), timeout=20).status_code in (404, 503)
    assert requests.get(f"{serving.url}/v2/health/ready", timeout=20).status_code == 503


def test_prometheus_gets_the_counts(serving: Serving) -> None:
    rows = np.zeros((5, 64)).tolist()
    assert requests.post(f"{serving.model('mlp')}/predict", json={"instances": rows}, timeout=60).ok
    wait_until(lambda: {"pitstop_requests", "pitstop_batch_rows", "pitstop_forward_ms"} <= exported(serving))


def exported(serving: Serving) -> set[str]:
    """Return the names of our metrics as a Prometheus would scrape them."""
    listing = next(serving.folder.rglob("prom_metrics_service_discovery.json"))
    targets = [target for group in json.loads(listing.read_text()) for target in group["targets"]]
    text = "".join(requests.get(f"http://{target}/metrics", timeout=20).text for target in targets)
    names = {line.split("{")[0].removeprefix("ray_") for line in text.splitlines() if "pitstop_" in line}
    return {name.removesuffix(end) for name in names for end in ("", "_total", "_bucket", "_count", "_sum")}
