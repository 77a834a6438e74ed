"""The commands of docs/tutorial.md that need no server print what it shows."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tutorial import prints, section, shown, written


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("clone"))


def pitstop(clone: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pitstop", *arguments]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False).stdout


def test_check_prints_what_the_page_shows(clone: Path) -> None:
    [(_, expected)] = shown(3, "pitstop check serve_config.yaml\n")
    assert prints(expected, pitstop(clone, "check", "serve_config.yaml"))


def test_a_misspelt_key_is_reported_as_the_page_shows(clone: Path) -> None:
    [expected] = [text for kind, text in section(3) if not kind and "num_gpu" in text]
    before, application = (clone / "serve_config.yaml").read_text().split("  - name: mine\n")
    (clone / "misspelt.yaml").write_text(f"{before}  - name: mine\n{application.replace('num_gpus', 'num_gpu')}")
    output = pitstop(clone, "check", "misspelt.yaml")
    assert prints(expected, output.replace("misspelt.yaml", "serve_config.yaml"))


def test_check_opens_the_model_as_the_page_shows(clone: Path) -> None:
    [(_, expected)] = shown(3, "pitstop check serve_config.yaml --load")
    # The page shows a machine without a GPU.
    output = pitstop(clone, "check", "serve_config.yaml", "--load", "--model", "mine")
    assert prints(expected, output) or "mine: opens on cuda" in output
