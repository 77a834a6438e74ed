"""A candidate that ends the process of a start is left out after the second time, so that a replica comes up."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.startup.attempts import attempt
from models.startup.candidates import Candidate
from tests.pitstop.mistakes.crashing import CrashesInBf16

BF16, FP32 = Candidate("torchscript", "bf16"), Candidate("torchscript", "fp32")
_START = """
import sys
from configs.schema import ModelConfig
from models.startup.open_model import open_model
found = open_model(ModelConfig.model_validate({
    "name": "m", "max_batch_size": 2,
    "source": {"factory": "tests.pitstop.mistakes.crashing:CrashesInBf16", "weights": sys.argv[1]},
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 8]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 8]}],
    "precision": "auto", "accept": {"cosine": 0.5},
}), "cpu", kept=True)
print(*[f"{each.backend} {each.precision}: {each.reason}" for each in found.candidates], sep="\\n")
"""


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


def test_what_ends_two_starts_is_not_tried_by_the_third(tmp_path: Path) -> None:
    for left in (1, 2):
        child = os.fork()
        if not child:
            with attempt("key", BF16):
                os.kill(os.getpid(), signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        [file] = (tmp_path / "starts").iterdir()
        assert file.read_text() == str(left)
    with attempt("key", BF16) as may:
        assert not may
    for other in (("key", FP32), ("another", BF16), (None, BF16)):
        with attempt(*other) as may:
            assert may


def test_what_raises_or_returns_may_be_tried_again(tmp_path: Path) -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="no"), attempt("key", BF16):
            raise ValueError("no")
    assert list((tmp_path / "starts").iterdir()) == []


def test_a_start_comes_up_though_a_candidate_ends_its_process(tmp_path: Path) -> None:
    weights, ends = tmp_path / "w.pt", []
    torch.save(CrashesInBf16().state_dict(), weights)
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", _START, str(weights)], capture_output=True, text=True, check=False)
        ends.append(done.returncode)
    assert ends == [-signal.SIGSEGV, -signal.SIGSEGV, 0], done.stderr
    assert "torchscript bf16: bf16: it has ended the process of earlier starts" in done.stdout
