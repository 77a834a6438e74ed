"""`pitstop run` ends with a sentence before Ray is imported or started, where it can say what is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
# Fails where anything imports one of these.
WITHOUT = """
import sys

# An import of what is None there fails.
sys.modules.update({"ray.serve": None, "torch": None})
sys.argv = ["pitstop", "run", *sys.argv[1:]]
from pitstop.cli import main
main()
"""


def run(config: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, str(config)], cwd=PROJECT, capture_output=True, text=True, check=False
    )


def test_a_typo_is_told_without_ray_and_torch(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    text = (PROJECT / "serve_config.yaml").read_text()
    config.write_text(text.replace("max_batch_size: 64", "max_batch_siz: 64"))
    done = run(config)
    assert done.returncode == 1, done.stderr
    assert "max_batch_siz: unknown key\nhelp: did you mean 'max_batch_size'?" in done.stdout


@pytest.mark.parametrize("text, code", [(None, 2), ("", 1), ("- a list", 1)])
def test_a_file_that_is_no_config_is_told(text: str | None, code: int, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    if text is not None:
        config.write_text(text)
    done = run(config)
    assert done.returncode == code
    assert f"{config}: " in done.stdout
    assert "help: " in done.stdout
