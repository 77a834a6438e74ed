"""The thread of a device outlives whatever its tasks raise."""

import asyncio
import logging

import pytest

from deployments.batching import device_thread
from deployments.batching.device_thread import DeviceThread


def test_a_task_that_raises_is_logged_and_the_next_one_runs(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_thread, "_log", logging.getLogger("test_device_thread"))
    thread = DeviceThread()
    thread.start()

    def task() -> None:
        raise IndexError("not foreseen")

    thread.submit(task)
    assert asyncio.run(thread.call(lambda: 7)) == 7
    thread.stop()
    # A job goes before a task that waits: its answer does not say that the task has run.
    thread._thread.join(20)
    assert "IndexError: not foreseen" in caplog.text
