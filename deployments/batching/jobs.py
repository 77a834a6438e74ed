"""A job for another thread whose result a coroutine awaits."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from models.user_code import call

T = TypeVar("T")


def awaited(job: Callable[[], T], loop: asyncio.AbstractEventLoop) -> tuple[Callable[[], None], asyncio.Future[T]]:
    """Return what another thread must call, and the future that then has the job's result or exception."""
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            value = call(job)  # SystemExit, say, would end the loop that awaits it.
        except BaseException as error:
            settle = partial(_fail, future, error)
        else:
            settle = partial(_succeed, future, value)
        loop.call_soon_threadsafe(settle)

    return run, future


def _succeed(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
