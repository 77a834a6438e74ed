"""The event loop of the load generator."""

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pitstop.loading.clock import new_loop

_MANY = 1100


@pytest.fixture
def many_open_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with ExitStack() as held:
            for _ in range(_MANY):
                held.callback(os.close, os.open(os.devnull, os.O_RDONLY))
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def slept_s() -> float:
    loop = new_loop()
    try:
        began = loop.time()
        loop.run_until_complete(asyncio.sleep(0.01))
        return loop.time() - began
    finally:
        loop.close()


def test_a_loop_waits() -> None:
    assert slept_s() >= 0.01


@pytest.mark.usefixtures("many_open_files")
def test_a_loop_that_is_made_behind_a_thousand_open_files_waits_too() -> None:
    assert slept_s() >= 0.01
