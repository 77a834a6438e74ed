"""docs/tutorial.md, done: requests are answered as it shows, and its two changes take effect under load."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from configs.document import application
from tests.serving import Serving, deploy, serve_run, wait_until
from tests.tutorial import edit, prints, shown, written

pytestmark = pytest.mark.ray


def test_the_tutorial_works_as_it_shows(tmp_path: Path, cache: object) -> None:  # noqa: ARG001
    clone = written(tmp_path)
    with serve_run(clone / "serve_config.yaml", cwd=clone) as serving:
        ask(serving, 5)
        deploy(serving, smaller_batch)
        wait_until(lambda: metadata(serving)["properties"]["max_batch_size"] == 8, within_s=120)
        ask(serving, 8)
        with loaded(serving, clone) as load:
            deploy(serving, new_version)
            wait_until(lambda: metadata(serving)["versions"] == ["2"], within_s=120)
            ask(serving, 9)
            report, _ = load.communicate(timeout=60)
        assert "answers" in report
        assert "errors:" not in report


def ask(serving: Serving, number: int) -> None:
    """Send a step's curl commands; each answer is what the page shows."""
    for command, expected in shown(number, "curl"):
        sent = command.replace("curl ", "curl -s ", 1).replace("localhost:8000", f"127.0.0.1:{serving.port}")
        found = subprocess.run(["bash", "-c", sent], capture_output=True, text=True, check=True).stdout
        assert prints(expected, found.rstrip("\n") + "\n"), found


def smaller_batch(raw: dict[str, Any]) -> None:
    application(raw, "mine")["deployments"] = edit(8)["deployments"]


def new_version(raw: dict[str, Any]) -> None:
    application(raw, "mine")["args"] |= edit(9)


def metadata(serving: Serving) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(serving.model("mine"), timeout=20).json()
    return found


def loaded(serving: Serving, clone: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "pitstop", "load", serving.model("mine"), "--rate", "50", "--seconds", "40"]
    return subprocess.Popen(command, cwd=clone, stdout=subprocess.PIPE, text=True)
