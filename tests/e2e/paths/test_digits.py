"""What a newcomer does first, and whether the answers are right: over HTTP, through both apps, JSON and binary."""

import json
from typing import Any

import numpy as np
import pytest
import requests

from models.zoo.train_digits import split
from tests.serving import PROJECT, Serving

pytestmark = pytest.mark.ray


def ask_json(serving: Serving, model: str, images: np.ndarray[Any, Any]) -> dict[str, Any]:
    tensor = {"name": "image", "shape": list(images.shape), "datatype": "UINT8", "data": images.ravel().tolist()}
    answer = requests.post(f"{serving.model(model)}/infer", json={"id": "7", "inputs": [tensor]}, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ask_binary(serving: Serving, model: str, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the labels, asked for alone."""
    blob = images.tobytes()
    tensor = {"name": "image", "shape": list(images.shape), "datatype": "UINT8"}
    head = json.dumps(
        {
            "inputs": [{**tensor, "parameters": {"binary_data_size": len(blob)}}],
            "outputs": [{"name": "label", "parameters": {"binary_data": True}}],
        }
    ).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = requests.post(f"{serving.model(model)}/infer", data=head + blob, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content[int(answer.headers["Inference-Header-Content-Length"]) :], np.int64)


@pytest.mark.parametrize("model", ["digits", "digits-cpu"])
def test_the_held_out_digits_are_named_rightly(serving: Serving, model: str) -> None:
    _, _, images, labels = split()
    found = ask_json(serving, model, images)
    by_name = {output["name"]: output["data"] for output in found["outputs"]}
    assert found["id"] == "7"
    assert (np.array(by_name["label"]) == labels).mean() >= 0.98
    assert (ask_binary(serving, model, images) == by_name["label"]).all()


def test_both_apps_give_the_same_probabilities(serving: Serving) -> None:
    _, _, images, _ = split()
    one, two = (ask_json(serving, model, images[:50])["outputs"] for model in ("digits", "digits-cpu"))
    np.testing.assert_allclose(one[0]["data"], two[0]["data"], atol=1e-5)


@pytest.mark.parametrize("file, label", [("seven.png", 7), ("three-inverted.png", 3)])
def test_a_picture_is_answered_in_words(serving: Serving, file: str, label: int) -> None:
    picture = (PROJECT / "examples" / file).read_bytes()
    answer = requests.post(f"{serving.model('digits')}/predict", data=picture, timeout=30).json()
    assert answer["label"] == label
    assert 0.5 < answer["probability"] <= 1


def test_instances_are_answered_in_their_order(serving: Serving) -> None:
    _, _, images, labels = split()
    body = {"instances": images[:5].tolist()}
    answer = requests.post(f"{serving.model('digits')}/predict", json=body, timeout=30).json()
    assert [each["label"] for each in answer["predictions"]] == labels[:5].tolist()


def test_the_metadata_says_where_the_model_runs_and_that_no_mistake_is_made(serving: Serving) -> None:
    found = requests.get(serving.model("digits"), timeout=30).json()
    properties = found["properties"]
    assert found["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 1, 8, 8]}]
    found = {(each["mistake"], each["code"]) for each in properties["checks"]}
    assert {mistake for mistake, _ in found} == {1, 2, 3, 4, 5}
    assert {code for _, code in found} <= {"passed", "measured", "not_applicable"}
    assert (properties["device"] == "cpu") == (properties["fallback"] is not None)
    assert requests.get(serving.model("digits-cpu"), timeout=30).json()["properties"]["device"] == "cpu"


def test_no_request_ever_runs_in_a_shape_that_was_not_warmed(serving: Serving) -> None:
    _, _, images, _ = split()
    for rows in (1, 3, 17, 64, 65, 200):
        ask_json(serving, "digits", images[:rows])
    stats = requests.get(f"{serving.model('digits')}/stats", timeout=30).json()["model_stats"][0]
    warmed = requests.get(serving.model("digits"), timeout=30).json()["properties"]["batch_sizes"]
    assert {each["batch_size"] for each in stats["batch_stats"]} <= set(warmed)
