"""The process of the server: what it tells arrives, what it is asked arrives there, and nothing of it stays."""

import queue
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pitstop.run import server as subject
from pitstop.run.server import Server

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


class Run:
    """A server, and what came of it."""

    def __init__(self, config: Path) -> None:
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.lines: queue.Queue[str] = queue.Queue()
        self.server = Server(config, self.events.put, self.lines.put)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr(subject, "_MODULE", "tests.pitstop.run.told")
    config = tmp_path / "config.yaml"
    config.write_text('{"apps": [1]}\n')
    found = Run(config)
    yield found
    found.server.kill()


def test_what_it_tells_and_what_it_prints_arrive_apart(run: Run) -> None:
    assert run.events.get(timeout=30) == ("apps", [1])
    assert run.lines.get(timeout=30).startswith("printed by the server ")


def test_half_a_line_is_passed_over_and_the_end_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "_MODULE", "tests.pitstop.run.told")
    config = tmp_path / "config.yaml"
    config.write_text('{"apps": [1\n')
    cut = Run(config)
    cut.server.send("stop")
    try:
        found = [cut.events.get(timeout=30) for _ in range(2)]
    finally:
        cut.server.kill()
    assert found == [("heard", "stop"), ("ended", 7)]


def test_it_gets_commands_and_its_end_is_told_with_the_exit_status(run: Run) -> None:
    run.server.send("deploy a.yaml")
    run.server.send("stop")
    found = [run.events.get(timeout=30) for _ in range(4)]
    assert found[1:] == [("heard", "deploy a.yaml"), ("heard", "stop"), ("ended", 7)]
    run.server.send("stop")


@linux
def test_after_kill_nothing_is_left(run: Run) -> None:
    run.events.get(timeout=30)
    assert run.server._followed.left() != {}
    began = time.monotonic()
    run.server.kill()
    assert run.server._followed.left() == {}
    assert time.monotonic() - began < 5


def test_it_has_no_haproxy_where_none_runs(run: Run) -> None:
    assert run.server.haproxies() == set()
