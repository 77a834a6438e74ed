"""The end of a process: those who wait are told first, and nothing holds it up. A child process really ends."""

import asyncio
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from deployments.health import process_terminator
from deployments.health.process_terminator import ProcessTerminator
from tests.serving import PROJECT


def test_it_tells_on_the_loop_and_leaves_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_terminator, "FAREWELL_S", 0.01)
    left = threading.Event()
    order: list[str] = []

    def leave() -> None:
        order.append("left")
        left.set()

    async def main() -> None:
        told = asyncio.Event()

        def tell() -> None:
            order.append("told")
            told.set()

        end = ProcessTerminator("m", asyncio.get_running_loop(), tell, leave)
        assert not end.begun
        await asyncio.to_thread(end, "it hangs")
        end("it hangs again")
        assert end.begun
        await asyncio.wait_for(told.wait(), 60)
        assert await asyncio.to_thread(left.wait, 60)

    asyncio.run(main())
    assert order == ["told", "left"]


def test_a_loop_that_has_its_turn_late_still_tells_before_the_process_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_terminator, "FAREWELL_S", 0.01)
    order: list[str] = []

    async def main() -> None:
        left = asyncio.Event()

        def leave() -> None:
            order.append("left")
            left.set()

        end = ProcessTerminator("m", asyncio.get_running_loop(), lambda: order.append("told"), leave)
        end("it hangs")
        time.sleep(0.1)  # The loop is busy for longer than the farewell.
        await asyncio.wait_for(left.wait(), 60)

    asyncio.run(main())
    assert order[:2] == ["told", "left"]


CHILD = """
    import asyncio, sys, threading, time
    from deployments.health.process_terminator import ProcessTerminator
    from deployments.health.heartbeat import Heartbeat
    from deployments.health.watchdog import Watchdog

    async def main():
        loop, heartbeat = asyncio.get_running_loop(), Heartbeat()
        end = ProcessTerminator("m", loop, lambda: print("told", flush=True))
        Watchdog(heartbeat, loop, lambda: 0.5, end).start()
        await asyncio.sleep(0.2)
        {hang}

    asyncio.run(main())
"""
HANGS = {
    "a device thread": (
        "threading.Thread(target=lambda: (heartbeat.begin(), threading.Event().wait())).start(); "
        "await asyncio.sleep(600)",
        "a forward has not come back",
    ),
    "the event loop": ("time.sleep(600)", "the event loop has not had a turn"),
    # PyDLL calls keep the interpreter's lock, as native code that hangs may: no Python thread runs.
    "the interpreter": ("import ctypes; ctypes.PyDLL(None).sleep(600)", "Timeout"),
}


@pytest.mark.parametrize("what", HANGS)
def test_a_process_ends_itself_whatever_hangs_in_it(what: str) -> None:
    hang, said = HANGS[what]
    source = textwrap.dedent(CHILD).format(hang=hang)
    found = subprocess.run(
        [sys.executable, "-c", source], cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 1, found.stderr
    assert said in found.stderr
    assert 'File "<string>"' in found.stderr, "the stacks are missing"
    assert ("told" in found.stdout) is (what == "a device thread")
