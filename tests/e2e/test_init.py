"""From a network to an answer in three commands: `pitstop init`, `serve run` and a client. No line of YAML is typed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from models.sources.resolve import resolve
from tests.models.pretrained_directories import text_model
from tests.readme import copied
from tests.serving import Serving, serve_run

pytestmark = pytest.mark.ray

CNN = """\
from torch import nn


class SmallCnn(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(8 * 15 * 15, num_classes)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))
"""


def test_a_small_cnn_whose_weights_dataparallel_saved_answers_a_picture(tmp_path: Path, cache: object) -> None:  # noqa: ARG001
    copied(tmp_path)
    (tmp_path / "cnn.py").write_text(CNN)
    torch.manual_seed(0)
    network = resolve(f"{tmp_path / 'cnn.py'}:SmallCnn")(7).eval()
    torch.save(nn.DataParallel(network).state_dict(), tmp_path / "cnn.pth")
    picture(tmp_path / "cat.png", 32)
    init(tmp_path, "cnn.py:SmallCnn", "--weights", "cnn.pth", "--example", "cat.png")
    config = "small_cnn/serve.yaml"
    drawn = ["--arg", "num_classes=3", "--example", "cat.png", "--name", "drawn"]
    init(tmp_path, "cnn.py:SmallCnn", config, *drawn, command="add")
    with serve_run(tmp_path / "small_cnn" / "serve.yaml", cwd=tmp_path) as serving:
        answer = asked(tmp_path, serving, "small_cnn", "cat.png")
        pixels = torch.from_numpy(np.asarray(Image.open(tmp_path / "cat.png")).transpose(2, 0, 1)[None] / 255).float()
        with torch.inference_mode():
            np.testing.assert_allclose(answer["output"], network(pixels)[0], rtol=1e-3, atol=1e-4)
        assert_own_tests_pass(tmp_path, serving, "small_cnn/test_small_cnn.py", "drawn/test_drawn.py")


def test_a_text_classifier_with_its_tokenizer_answers_a_text(tmp_path: Path, cache: object) -> None:  # noqa: ARG001
    copied(tmp_path)
    text_model(tmp_path / "mood")
    init(tmp_path, "mood")
    with serve_run(tmp_path / "mood_service" / "serve.yaml", cwd=tmp_path) as serving:
        answer = asked(tmp_path, serving, "mood_service", "the food was slow")
        assert answer["label"] in ("L0", "L1", "L2")
        assert_own_tests_pass(tmp_path, serving, "mood_service/test_mood.py")


def test_a_detector_answers_with_as_many_boxes_as_it_finds(tmp_path: Path, cache: object) -> None:  # noqa: ARG001
    copied(tmp_path)
    subprocess.run([sys.executable, "examples/own/parts.py"], cwd=tmp_path, check=True)
    picture(tmp_path / "one.png", 64)
    init(tmp_path, "examples/own/parts.py:Parts", "--weights", "parts.pth", "--example", "one.png")
    network = resolve(f"{tmp_path / 'examples' / 'own' / 'parts.py'}:Parts")().eval()
    network.load_state_dict(torch.load(tmp_path / "parts.pth"))
    with serve_run(tmp_path / "parts" / "serve.yaml", cwd=tmp_path) as serving:
        counts = set()
        for seed in range(3):
            path = picture(tmp_path / f"{seed}.png", 64, seed)
            answer = asked(tmp_path, serving, "parts", path.name)
            [own] = network(torch.from_numpy(np.asarray(Image.open(path)).transpose(2, 0, 1)[None].copy()))
            np.testing.assert_allclose(answer["boxes"], own["boxes"].detach(), rtol=1e-3, atol=1e-3)
            counts.add(len(answer["boxes"]))
        assert len(counts) > 1
        assert_own_tests_pass(tmp_path, serving, "parts/test_parts.py")


def init(folder: Path, *arguments: str, command: str = "init") -> None:
    whole = [sys.executable, "-m", "pitstop", command, *arguments]
    found = subprocess.run(whole, cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def picture(path: Path, side: int, seed: int = 0) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)).save(path)
    return path


def asked(folder: Path, serving: Serving, service: str, what: str) -> dict[str, Any]:
    """Return what the client that was written prints."""
    command = [sys.executable, f"{service}/client.py", what]
    environment = {**os.environ, "PITSTOP_URL": serving.url}
    found = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr + serving.log
    answer: dict[str, Any] = json.loads(found.stdout)
    return answer


def assert_own_tests_pass(folder: Path, serving: Serving, *tests: str) -> None:
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", *tests]
    environment = {**os.environ, "PITSTOP_URL": serving.url}
    found = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{3 * len(tests)} passed" in found.stdout
