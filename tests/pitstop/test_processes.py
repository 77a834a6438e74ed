"""Processes are found and ended by what they inherit, and no others are touched."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pitstop import isolated_server, processes
from tests.serving import left_over, wait_until

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
LEAVES_ONE = (
    "import subprocess, time\nsubprocess.Popen(['sleep', '600'], env={})\nprint('started', flush=True)\ntime.sleep(600)"
)
IGNORES = "trap '' TERM; echo started; while true; do sleep 1; done"


@linux
def test_what_carries_the_mark_is_found_and_killed(tmp_path: Path) -> None:
    mark = processes.new_mark()
    process = isolated_server.spawn(["sleep", "600"], isolated_server.environment(tmp_path, mark), subprocess.DEVNULL)
    # It may still be on its way from Popen's child to what it runs.
    wait_until(lambda: [line.strip() for line in processes.of(None, mark).values()] == ["sleep 600"], within_s=60)
    found = processes.of(None, mark)
    assert list(found) == [process.pid]
    processes.kill(found)
    assert process.wait(timeout=60) == -signal.SIGKILL
    wait_until(lambda: not left_over(mark), within_s=60)


@linux
def test_what_a_server_leaves_behind_is_killed_and_told(tmp_path: Path) -> None:
    mark = processes.new_mark()
    process = isolated_server.spawn(["sh", "-c", IGNORES], isolated_server.environment(tmp_path, mark), subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    assert processes.end(process, mark, 0, wait_s=0)
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: not left_over(mark), within_s=60)


@linux
@pytest.mark.parametrize("ask_others_after_s, left", [(None, 1), (0.0, 0)])
def test_others_are_asked_to_stop_only_where_that_is_wanted(
    tmp_path: Path, ask_others_after_s: float | None, left: int
) -> None:
    mark = processes.new_mark()
    environment = isolated_server.environment(tmp_path, mark)
    process = isolated_server.spawn([sys.executable, "-c", LEAVES_ONE], environment, subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    # Without the mark, and soon without the parent.
    programs = [sys.executable, "sleep"]
    wait_until(lambda: [line.split()[0] for line in processes.of(process.pid, mark).values()] == programs, within_s=60)
    assert len(processes.end(process, mark, 1.0, ask_others_after_s)) == left


@pytest.mark.parametrize(
    "cmdline, name",
    [
        ("ray::ServeReplica:line:Model\0", "ServeReplica:line:Model"),
        ("ray::ServeController.run_control_loop\0\0", "ServeController"),
        ("ray-dashboard-NodeHead-0 (/x/python dashboard.py)\0", "ray-dashboard-NodeHead-0"),
        ("/x/python\0-u\0/x/ray/dashboard/dashboard.py\0--a=/b/c\0", "dashboard/dashboard.py"),
        ("/x/bin/python3.11\0/x/bin/serve\0run\0", "serve"),
        ("/x/gcs_server\0--log_dir=/y\0", "gcs_server"),
        ("", "ended"),
    ],
)
def test_a_process_is_called_by_what_it_runs(cmdline: str, name: str) -> None:
    assert processes.program(cmdline) == name


def test_a_process_knows_its_own_memory() -> None:
    pid = os.getpid()
    assert processes.memory_mib([pid]) > 10
    assert sum(processes.memory_by_name_mib([pid]).values()) == pytest.approx(processes.memory_mib([pid]), rel=0.1)
    assert processes.named({1: "/sbin/init", pid: "/x/python -m y"}, "python") == pid
    assert processes.memory_mib([2**22 + 1]) == 0
