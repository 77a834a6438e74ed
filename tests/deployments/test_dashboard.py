"""Where Ray's dashboard is, and how to get in where it asks for a token."""

import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from deployments import dashboard

ADDRESS = "127.0.0.1:8265"


@pytest.mark.parametrize("mode", ["token", "TOKEN"])
def test_a_token_is_asked_for_and_the_command_that_prints_it_is_there(
    mode: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    said = dashboard.line(ADDRESS)
    assert said.startswith("Ray's dashboard: http://127.0.0.1:8265, which asks for a token: ")
    command = said.split("`")[1].split()
    assert command == [str(Path(sys.executable).with_name("ray")), "get-auth-token"]
    path = tmp_path / "token"
    path.write_text("0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == path.read_text()


@pytest.mark.parametrize("mode", ["", "disabled"])
def test_without_a_token_only_the_address_is_told(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    assert dashboard.line(ADDRESS) == "Ray's dashboard: http://127.0.0.1:8265"


def test_where_there_is_none_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dashboard.line("") == ""
    monkeypatch.setattr(ray, "init", lambda **_: SimpleNamespace(dashboard_url=None))
    assert dashboard.running_dashboard() == ""


def test_a_replica_names_the_command_without_a_path_of_its_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setattr(ray, "init", lambda **_: SimpleNamespace(dashboard_url=ADDRESS))
    assert "`ray get-auth-token`" in dashboard.running_dashboard()


def test_why_the_address_is_not_known_is_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("gone")

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(dashboard, "_log", logging.getLogger("test"))
    assert dashboard.running_dashboard() == ""
    assert "gone" in caplog.text
