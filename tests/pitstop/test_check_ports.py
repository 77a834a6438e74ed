"""`pitstop check --ports`, and `make run`, which asks the same: a start that could not get its ports does not begin."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from configs.document import read
from configs.lint.ports import chosen, given_by_serve
from pitstop.check.ports_in_use import KEYS
from pitstop.cli import app
from pitstop.ports import Ports

PROJECT = Path(__file__).resolve().parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, socket.socket]]:
    """A config of free ports, and a socket that is not yet bound to its HTTP port."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with Ports() as ports, socket.socket() as other:
        # As servers do: connections of one that has just ended may still hold the port.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        raw = dict(read(PROJECT / "serve_config.yaml").raw)
        raw["http_options"] = {"host": "127.0.0.1", "port": ports.one()}
        raw["grpc_options"]["port"] = ports.one()
        raw["applications"][0]["args"]["grpc_port"] = ports.one()
        raw["controller_options"]["runtime_env"]["env_vars"].update(ports.of_serve(tmp_path))
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
        yield path, other


def check(path: Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["check", "--ports", str(path)])
    return result.exit_code, result.output


def port_of(path: Path) -> int:
    return int(yaml.safe_load(path.read_text())["http_options"]["port"])


def test_free_ports_pass(held: tuple[Path, socket.socket]) -> None:
    status, output = check(held[0])
    assert (status, output.count("is taken by")) == (0, 0)


@linux
def test_a_port_that_is_taken_is_named_with_the_process_that_has_it(held: tuple[Path, socket.socket]) -> None:
    path, other = held
    other.bind(("127.0.0.1", port_of(path)))
    other.listen()
    status, output = check(path)
    assert status == 1
    assert f"{path}: port {port_of(path)} (HTTP) is taken by process {os.getpid()} (" in output
    assert "help: is that another pitstop? End it by Ctrl-C" in output
    assert "ports of its own: http_options.port" in output


def test_each_port_has_a_key_or_a_variable_that_moves_it() -> None:
    raw = read(PROJECT / "serve_config.yaml").raw
    single = {each.what for each in (*chosen(raw), *given_by_serve(raw)) if each.first == each.last}
    assert single == set(KEYS)


def test_serve_that_already_runs_on_a_ray_cluster_may_have_its_ports(
    held: tuple[Path, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = held
    other.bind(("127.0.0.1", port_of(path)))
    other.listen()
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert check(path)[0] == 0


def make_run(path: Path) -> "subprocess.CompletedProcess[str]":
    """Run `make run` with the `pitstop` that lies beside the config."""
    return subprocess.run(
        ["make", "--no-print-directory", "--old-file=install", "run", f"CONFIG={path}", f"BIN={path.parent}"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def put(folder: Path, text: str) -> None:
    (folder / "pitstop").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "pitstop").chmod(0o755)


@pytest.fixture
def commands(held: tuple[Path, socket.socket]) -> Path:
    """The config of `held`, beside a `pitstop` that is ours."""
    put(held[0].parent, f'PYTHONPATH={PROJECT} exec {sys.executable} -m pitstop "$@"')
    return held[0]


def test_make_run_is_pitstop_run(commands: Path) -> None:
    put(commands.parent, 'echo "called with $@"')
    assert make_run(commands).stdout == f"called with run {commands}\n"


def test_make_run_stops_at_a_misspelt_key_and_starts_nothing(commands: Path) -> None:
    commands.write_text(commands.read_text().replace("max_batch_size: 64", "max_batch_siz: 64"))
    done = make_run(commands)
    assert done.returncode != 0
    assert "max_batch_siz: unknown key\nhelp: did you mean 'max_batch_size'?" in done.stdout
    assert "Ray's log" not in done.stdout


@linux
def test_make_run_stops_where_another_server_has_its_port(commands: Path, held: tuple[Path, socket.socket]) -> None:
    held[1].bind(("127.0.0.1", port_of(commands)))
    held[1].listen()
    done = make_run(commands)
    assert done.returncode != 0
    assert f"is taken by process {os.getpid()}" in done.stdout
    assert "Ray's log" not in done.stdout
