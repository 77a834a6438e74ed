"""docs/own-models.md, done: each model answers its command as the page shows, and several clients their own boxes."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import torch

from configs.document import application
from models.sources.resolve import resolve
from tests.own_models import FOLDER, MODELS, blocks, trained
from tests.serving import PROJECT, Serving, serve_run
from tests.tutorial import prints

pytestmark = pytest.mark.ray


def test_three_models_without_a_signature_answer_as_the_page_shows(tmp_path: Path, cache: object) -> None:  # noqa: ARG001
    clone = trained(tmp_path)
    with serve_run(clone / FOLDER / "serve.yaml", edit=behind_an_ingress_replica, cwd=clone) as serving:
        asked = [line for text in blocks("bash") for line in text.splitlines() if line.startswith("curl")]
        assert len(asked) == 3
        for command, expected in zip(asked, blocks(""), strict=True):
            ask(serving, clone, command, expected)
        program = blocks("python")[-1].replace("localhost:8000", f"127.0.0.1:{serving.port}")
        assert "requests.post" in program
        exec(compile(program, "docs/own-models.md", "exec"), {})
        everyone_gets_their_own_boxes(serving, clone)


def behind_an_ingress_replica(raw: dict[str, Any]) -> None:
    """Have the detector's requests read by an ingress replica, which learns the signature from the device's."""
    for name in MODELS:
        application(raw, name)["args"]["num_cpus"] = 0.2
    application(raw, "parts")["args"]["ingress_replicas"] = 1


def ask(serving: Serving, clone: Path, command: str, expected: str) -> None:
    sent = command.replace("curl ", "curl -s ", 1).replace("localhost:8000", f"127.0.0.1:{serving.port}")
    found = subprocess.run(["bash", "-c", sent], cwd=clone, capture_output=True, text=True, check=True).stdout
    assert prints(expected, found.rstrip("\n") + "\n"), found


def everyone_gets_their_own_boxes(serving: Serving, clone: Path) -> None:
    network = resolve(str(PROJECT / FOLDER / "parts.py") + ":Parts")().eval()
    network.load_state_dict(torch.load(clone / "parts.pth"))
    pictures = [np.random.default_rng(seed).integers(0, 255, (1, 3, 64, 64), np.uint8) for seed in range(40)]
    with torch.inference_mode():
        expected = [network(torch.from_numpy(each))[0] for each in pictures]
    with ThreadPoolExecutor(16) as clients:
        found = list(clients.map(lambda picture: boxes(serving, picture), pictures))
    assert len({len(each) for each in found}) > 1
    for answered, own in zip(found, expected, strict=True):
        np.testing.assert_allclose(answered, own["boxes"].numpy(), rtol=1e-4, atol=1e-3)


def boxes(serving: Serving, picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    image = {"name": "image", "datatype": "UINT8", "shape": list(picture.shape), "data": picture.tolist()}
    answer = requests.post(f"{serving.model('parts')}/infer", json={"inputs": [image]}, timeout=30).json()
    [found] = [each for each in answer["outputs"] if each["name"] == "boxes"]
    own: np.ndarray[Any, Any] = np.array(found["data"]).reshape(found["shape"])[0]
    return own
