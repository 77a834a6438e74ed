"""Of several processes that need the same artefact one makes it, the others wait for it and read it."""

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from configs.code_files import PROJECT
from models.compile import store
from models.compile.making import making
from models.startup.open_model import open_model
from tests.models.test_open_model import config

# Says when it has the lock, and keeps it until it is told.
_HOLDS = """
import sys
from models.compile.making import making
with making("torchscript", "key"):
    print("makes", flush=True)
    sys.stdin.readline()
"""
# Makes an artefact or waits for it, and says which.
_MAKES = """
import sys, time
from pathlib import Path
from models.compile import store
with store.making("torchscript", "key") as waited:
    found = store.read("torchscript", "key", Path.read_text, here=True)
    if found is None:
        time.sleep(0.2)
        store.write("torchscript", "key", lambda part: Path(part).write_text("made"))
print("made" if found is None else "read")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    return tmp_path


def process(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT
    )


def holder() -> "subprocess.Popen[str]":
    other = process(_HOLDS)
    assert other.stdout is not None
    assert other.stdout.readline() == "makes\n"
    return other


def waiter() -> tuple[threading.Thread, list[bool]]:
    found: list[bool] = []

    def wait() -> None:
        with making("torchscript", "key") as waited:
            found.append(waited)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread, found


def test_of_two_processes_one_makes_it_and_the_other_reads_it(folder: Path) -> None:
    both = [process(_MAKES), process(_MAKES)]
    assert sorted(each.communicate(timeout=60)[0] for each in both) == ["made\n", "read\n"]
    assert list((folder / "making").iterdir()) == []


@pytest.mark.parametrize("killed", [False, True])
def test_who_waits_goes_on_once_the_maker_is_done_or_dead(killed: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    other = holder()
    thread, found = waiter()
    while "waits, at most 900 s, for another process of this node that makes torchscript-key" not in caplog.text:
        assert thread.is_alive()
        thread.join(0.05)
    assert found == []
    if killed:
        os.kill(other.pid, signal.SIGKILL)
    other.communicate("\n", timeout=60)
    thread.join(60)
    assert found == [True]


def test_another_key_and_no_key_wait_for_nobody(folder: Path) -> None:
    other = holder()
    for backend, key in (("torchscript", "other"), ("aoti", "key"), ("torchscript", None)):
        with making(backend, key) as waited:
            assert not waited
    other.communicate("\n", timeout=60)
    assert list((folder / "making").iterdir()) == []


def test_nobody_waits_longer_than_the_bound(caplog: pytest.LogCaptureFixture) -> None:
    other = holder()
    with making("torchscript", "key", longest_s=0.2) as waited:
        assert waited
    assert "another process still makes torchscript-key after 0.2 s, so this one does too" in caplog.text
    other.communicate("\n", timeout=60)


def test_without_locks_and_without_a_cache_nobody_waits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with making("torchscript", "key") as waited:
        assert not waited
    monkeypatch.undo()
    monkeypatch.setenv("PITSTOP_CACHE", str(folder / "file"))
    (folder / "file").write_text("")
    with making("torchscript", "key") as waited:
        assert not waited


def test_what_fails_inside_lets_the_others_go_on(folder: Path) -> None:
    with pytest.raises(ValueError, match="no"), making("torchscript", "key"):
        raise ValueError("no")
    with making("torchscript", "key") as waited:
        assert not waited
    assert list((folder / "making").iterdir()) == []


def test_a_start_that_waited_reads_what_the_other_made(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    read = store.read

    def noted(*args: object, **keys: object) -> object:
        reads.append(keys.get("here", False))
        # At the first look there is nothing; then another start has made it.
        return None if len(reads) == 1 else read(*args, **keys)  # type: ignore[arg-type]

    assert open_model(config(backend="torchscript"), "cpu").checks.compilation.made == "now"
    monkeypatch.setattr(store, "read", noted)
    assert open_model(config(backend="torchscript"), "cpu").checks.compilation.made == "before"
    assert reads == [False, True]
