"""A candidate that ends the process of a start is left out after the second time, so that a replica comes up."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from models.startup import attempts
from models.startup.attempts import LEFT_OUT, Phase, attempt
from models.startup.candidates import Candidate
from tests.pitstop.mistakes.crashing import CrashesInBf16

BF16, FP32 = Candidate("torchscript", "bf16"), Candidate("torchscript", "fp32")
_LATE = """
from models.startup import selection
selection.WINS = 1e-9  # So that TorchScript, which runs first, counts as the fastest, however busy the machine is.
found = open_model(ModelConfig.model_validate({
    "name": "m", "max_batch_size": 4, "dims": {"n": {"sizes": [8, 16, 32, 64]}},
    "source": {"factory": "tests.pitstop.mistakes.crashing:CrashesAtASize"},
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, "n", 8]}],
}), "cpu", kept=True)
print(*[f"{each.outcome} {each.backend} {each.precision}: {each.reason}" for each in found.candidates], sep="\\n")
"""
_START = """
import sys
from configs.schema import ModelConfig
from models.startup import candidates
from models.startup.open_model import open_model
candidates.has_bf16 = lambda: True  # So that bf16 is tried on every processor.
found = open_model(ModelConfig.model_validate({
    "name": "m", "max_batch_size": 2,
    "source": {"factory": "tests.pitstop.mistakes.crashing:CrashesInBf16", "weights": sys.argv[1]},
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 8]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 8]}],
    "precision": "auto", "accept": {"cosine": 0.5},
}), "cpu", kept=True)
print(*[f"{each.outcome} {each.backend} {each.precision}: {each.reason}" for each in found.candidates], sep="\\n")
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


def _ended(phase: Phase, of: Candidate | str = BF16) -> None:
    """Let a process end in a phase, after it has passed the one before."""
    child = os.fork()
    if not child:
        if phase == "checked":
            with attempt("key", of):
                pass
        with attempt("key", of, phase):
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def _may(of: Candidate | str = BF16) -> bool:
    with attempt("key", of) as may:
        return may


@pytest.mark.parametrize("phases", [("checked", "checked"), ("checked", "tried"), ("tried", "tried")])
def test_the_end_of_a_process_counts_in_whichever_phase_it_came(phases: tuple[Phase, Phase]) -> None:
    for phase in phases:
        _ended(phase)
    assert not _may()


def test_a_precision_has_files_of_its_own_beside_those_of_eager_in_it() -> None:
    for _ in range(2):
        _ended("tried", "bf16")
    assert not _may("bf16")
    assert _may(Candidate("eager", "bf16"))


def test_what_ended_starts_is_tried_again_after_a_day_or_without_the_files_that_the_log_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    for _ in range(2):
        _ended("tried")
    assert not _may()
    [file] = (tmp_path / "starts").iterdir()
    assert f"run `pitstop build`, or remove {file.with_suffix('.*')}" in caplog.text
    os.utime(file, (time.time() - attempts._FORGOTTEN_S - 1,) * 2)
    assert _may()


def test_a_build_knows_only_the_ends_of_its_own_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        _ended("checked")
    for build in ("first", "second"):
        monkeypatch.setenv(attempts.VARIABLE, str(tmp_path / build))
        (tmp_path / build).mkdir()
        assert _may()
        for count in ("1", "2"):
            _ended("checked")
            assert list(attempts.noted(tmp_path / build).values()) == [count]
        assert not _may()
    monkeypatch.delenv(attempts.VARIABLE)
    assert not _may()


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
    assert f"refused torchscript bf16: bf16: {LEFT_OUT}" in done.stdout
    assert not list((tmp_path / "starts").glob("*.json")), "for ever it would be left out"


def test_a_start_comes_up_though_a_candidate_ends_its_process_after_it_was_timed() -> None:
    code = _START.partition("found =")[0] + _LATE
    done = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False) for _ in range(3)]
    assert [each.returncode for each in done] == [-signal.SIGABRT, -signal.SIGABRT, 0], done[-1].stderr
    assert f"refused torchscript fp32: {LEFT_OUT}" in done[-1].stdout
    assert "chosen eager fp32" in done[-1].stdout
