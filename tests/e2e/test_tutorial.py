"""docs/tutorial.md, done: requests are answered as it shows, and its changes take effect under load."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from configs.document import application
from tests.serving import Serving, deploy, serve_run, wait_until
from tests.tutorial import CONFIG, change, done, edit, prints, run, shown, written

pytestmark = pytest.mark.ray


def test_the_tutorial_works_as_it_shows(tmp_path: Path, cache: object) -> None:  # noqa: ARG001
    clone = written(tmp_path)
    for number in (1, 2, 9):
        done(clone, number)
    added = {}

    def without_canary(raw: dict[str, Any]) -> None:
        added.update(raw["applications"].pop())

    def canary(raw: dict[str, Any]) -> None:
        raw["applications"].append(added)
        change(raw, 9)

    with serve_run(clone / CONFIG, edit=without_canary, cwd=clone) as serving:
        ask(serving, 5)
        [(command, expected)] = shown(6, "pitstop load")
        assert prints(at(serving, expected), run(clone, at(serving, command)))
        assert "<title>" in requests.get(serving.url, headers={"accept": "text/html"}, timeout=20).text
        wait_until(lambda: answers(serving, 7))

        deploy(serving, smaller_batch)
        wait_until(lambda: metadata(serving)["properties"]["max_batch_size"] == 8, within_s=120)
        ask(serving, 8)

        deploy(serving, canary)
        wait_until(lambda: metadata(serving)["versions"] == ["1", "2"], within_s=120)
        ask(serving, 9)

        with loaded(serving, clone) as load:
            deploy(serving, rollout)
            wait_until(lambda: metadata(serving)["versions"] == ["2"], within_s=120)
            ask(serving, 10)
            deploy(serving, lambda raw: raw["applications"].pop())
            wait_until(lambda: not requests.get(serving.model("mine-next"), timeout=20).ok, within_s=120)
            assert load.poll() is None, "the load ended before the changes did"
            load.send_signal(signal.SIGINT)
            report, _ = load.communicate(timeout=60)
        assert "answers" in report
        assert "errors:" not in report


def ask(serving: Serving, number: int) -> None:
    """Send a step's requests; each answer is what the page shows."""
    assert answers(serving, number), [output(serving, command) for command, _ in shown(number, "curl", "for")]


def answers(serving: Serving, number: int) -> bool:
    found = [(expected, output(serving, command)) for command, expected in shown(number, "curl", "for")]
    assert found
    return all(prints(expected, text) for expected, text in found)


def output(serving: Serving, command: str) -> str:
    sent = at(serving, command).replace("curl ", "curl -s ").replace("/tmp/ray", str(serving.folder / "ray"))
    found = subprocess.run(["bash", "-c", sent], capture_output=True, text=True, check=False).stdout
    return found.rstrip("\n") + "\n"


def at(serving: Serving, text: str) -> str:
    """Return a block with the server's own address."""
    return text.replace("localhost:8000", f"127.0.0.1:{serving.port}").replace(":8000", f":{serving.port}")


def smaller_batch(raw: dict[str, Any]) -> None:
    application(raw, "mine")["deployments"] = edit(8)["deployments"]


def rollout(raw: dict[str, Any]) -> None:
    change(raw, 10)


def metadata(serving: Serving) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(serving.model("mine"), timeout=20).json()
    return found


@contextmanager
def loaded(serving: Serving, clone: Path) -> Iterator["subprocess.Popen[str]"]:
    """Put load on the model for longer than any change takes; SIGINT ends it with its report."""
    command = [sys.executable, "-m", "pitstop", "load", serving.model("mine"), "--rate", "50", "--seconds", "600"]
    with subprocess.Popen(command, cwd=clone, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
