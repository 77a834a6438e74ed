"""Servers of ours keep out of each other's way, and leave nothing behind."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pitstop import processes
from pitstop.ports import Ports, free_port, is_free
from pitstop.project import PROJECT
from tests.serving import left_over, wait_until

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def test_two_clusters_never_share_a_port(tmp_path: Path) -> None:
    with Ports() as first, Ports() as second:
        mine, theirs = (
            {int(value) for name, value in each.of_serve(tmp_path).items() if name.endswith("_PORT")}
            | {each.one() for _ in range(20)}
            for each in (first, second)
        )
    assert not mine & theirs


def test_replicas_ranges_do_not_overlap(tmp_path: Path) -> None:
    with Ports() as ports:
        own = ports.of_serve(tmp_path)
        one = ports.one()
    limits = [
        int(own[f"RAY_SERVE_DIRECT_INGRESS_{end}_{kind}_PORT"]) for kind in ("HTTP", "GRPC") for end in ("MIN", "MAX")
    ]
    assert limits == sorted(set(limits))
    assert one < limits[0]


def test_a_port_that_is_taken_is_not_given_out() -> None:
    with Ports() as ports:
        first = ports.one()
        with socket.create_server(("127.0.0.1", first + 1)):
            assert not is_free(first + 1)
            assert ports.one() != first + 1


def test_a_run_of_ports_is_adjacent_and_below_those_of_the_kernels_choice() -> None:
    first = free_port(3)
    assert all(is_free(first + offset) for offset in range(3))
    assert first + 2 < 32_768


@linux
def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    mark = processes.new_mark()
    script = (
        "import sys, subprocess; from pathlib import Path; from pitstop import isolated_server\n"
        "environment = isolated_server.environment(Path(sys.argv[1]), sys.argv[2])\n"
        "isolated_server.spawn(['sleep', '600'], environment, subprocess.DEVNULL)\n"
        "print('started', flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"started\n"
    assert processes.of(None, mark)
    parent.kill()
    parent.communicate(timeout=60)
    wait_until(lambda: not left_over(mark), within_s=60)
