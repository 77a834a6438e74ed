"""`pitstop run` ends with a sentence before Ray is imported or started, where it can say what is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from configs.document import application
from pitstop import isolated_server
from pitstop.ports import Ports

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
    raw = yaml.safe_load((PROJECT / "serve_config.yaml").read_text())
    application(raw, "digits")["args"]["max_batch_siz"] = 64
    with Ports() as ports:
        isolated_server.on_own_ports(raw, ports.one(), ports, tmp_path)
        config.write_text(yaml.safe_dump(raw, sort_keys=False))
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
