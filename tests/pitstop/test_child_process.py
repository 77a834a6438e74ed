"""A process of its own: however it ends, the parent is told and goes on."""

import os
import select
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from pitstop import child_process
from pitstop.child_process import EndedError, how_it_ended

WORK = "tests.pitstop.child_work:work"


def test_what_it_reports_comes_in_order_and_what_it_prints_does_not(capfd: pytest.CaptureFixture[str]) -> None:
    found = list(child_process.run(WORK, ["an", "order"], 60, {"PITSTOP_TEST": "set"}))
    assert found == [["an", "order"], "set"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("order", ["fork and exit", "fork and go on"])
def test_a_process_that_the_work_forks_reports_nothing(order: str) -> None:
    assert list(child_process.run(WORK, order, 60)) == [order, ""]


@pytest.mark.parametrize(
    "order, limit_s, said",
    [
        ("signal", 60, "ended the process with signal 11 (SIGSEGV)"),
        ("exit", 60, "ended the process with exit status 3"),
        ("sys.exit", 60, "ended the process with exit status 0"),
        ("raise", 60, "failed (RuntimeError: the disk is on fire)"),
        ("hang", 1, "took longer than 1 s"),
    ],
)
def test_an_end_before_the_work_is_done_is_told(order: str, limit_s: float, said: str) -> None:
    with pytest.raises(EndedError) as ended:
        list(child_process.run(WORK, order, limit_s))
    assert (str(ended.value), ended.value.crashed) == (said, order == "signal")


def test_out_of_memory_is_named_as_what_it_may_be() -> None:
    assert how_it_ended(-signal.SIGKILL) == "ended the process with signal 9 (SIGKILL): out of memory?"


@pytest.mark.parametrize("order", ["signal", "exit", "raise", "hang", "done"])
def test_its_temporary_files_go_with_it_however_it_ended(order: str) -> None:
    running = child_process.run("tests.pitstop.child_work:leaves_files", order, 1 if order == "hang" else 60)
    folder = Path(next(running))
    assert [each.name for each in folder.iterdir()] == ["left"]
    with nullcontext() if order == "done" else pytest.raises(EndedError):
        list(running)
    assert not folder.exists()


def test_its_temporary_files_go_also_if_the_parent_is_killed() -> None:
    code = (
        "from pitstop import child_process\n"
        "running = child_process.run('tests.pitstop.child_work:leaves_files', 'hang', 60)\n"
        "print(next(running), next(running), flush=True)\n"
        "list(running)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        folder, pid = parent.stdout.readline().split()
        assert Path(folder).is_dir()
        ended = os.pidfd_open(int(pid))
        parent.kill()
    assert select.select([ended], [], [], 60)[0]
    os.close(ended)
    assert not Path(folder).exists()


def test_kernels_of_torch_compile_are_kept_beside_those_of_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    told = list(child_process.run("tests.pitstop.child_work:kernels", None, 60))
    assert told == [default_cache_dir()]


def test_leaving_early_ends_the_process() -> None:
    running = child_process.run("tests.pitstop.child_work:own_pid", "hang", 60)
    pid = next(running)
    running.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
