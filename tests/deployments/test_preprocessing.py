"""The preprocess hook at a request: what it raises or returns is its request's alone."""

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from deployments.core.errors import BadRequest, InferenceFailed, TimedOut
from deployments.core.request import InferRequest
from deployments.preprocessing import Preprocessor
from models.signature import Tensor
from tests.open_sizes import open_sizes

FEED = (Tensor("ids", "INT64", (-1, -1)),)


def ran(hook: Any, rows: int = 1, longest: int | None = 8, within_s: float = 20) -> Any:
    sizes = None if longest is None else open_sizes((longest,), "ids")
    request = InferRequest({"text": np.full(rows, b"a", object)}, rows, None, ())
    return asyncio.run(Preprocessor(hook, FEED, sizes)(request, time.perf_counter() + within_s))


def raising(error: BaseException) -> Any:
    def hook(_: Any) -> Any:
        raise error

    return hook


# On the event loop, and in a thread.
both = pytest.mark.parametrize("rows", [1, 9])


@both
def test_what_fits_goes_on(rows: int) -> None:
    assert ran(lambda rows: {"ids": np.zeros((len(rows["text"]), 3), np.int64)}, rows)["ids"].shape == (rows, 3)


@both
@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3), asyncio.CancelledError(), StopIteration()])
def test_what_it_raises_is_a_failed_request_with_its_cause(error: BaseException, rows: int) -> None:
    with pytest.raises(InferenceFailed) as raised:
        ran(raising(error), rows)
    assert raised.value.cause is error or raised.value.cause.__cause__ is error  # type: ignore[union-attr]


@both
def test_a_value_error_is_a_sentence_for_the_client(rows: int) -> None:
    with pytest.raises(BadRequest, match="too many words"):
        ran(raising(ValueError("too many words")), rows)


@both
def test_a_timeout_of_its_own_is_not_the_requests(rows: int) -> None:
    with pytest.raises(InferenceFailed):
        ran(raising(TimeoutError("a database")), rows)


def test_one_that_waited_too_long_for_a_thread_is_timed_out() -> None:
    with pytest.raises(TimedOut):
        ran(lambda _: None, 9, within_s=-1)


@both
def test_what_does_not_fit_is_a_failed_request_that_says_what_came(rows: int) -> None:
    with pytest.raises(InferenceFailed) as raised:
        ran(lambda _: {"ids": np.zeros((7, 3), np.int64)}, rows)
    assert f"'ids' as int64 [7, 3] for {rows} rows; expected a dict with 'ids'" in str(raised.value.cause)


@both
def test_a_text_of_too_many_tokens_is_the_clients_to_shorten(rows: int) -> None:
    with pytest.raises(BadRequest, match="'ids' has 9 along its open size, this model takes at most 8"):
        ran(lambda _: {"ids": np.zeros((rows, 9), np.int64)}, rows)


@both
def test_a_hook_may_fill_the_same_arrays_at_every_call(rows: int) -> None:
    kept = np.zeros((rows, 3), np.int64)

    def hook(_: Any) -> Any:
        kept[:] += 1
        return {"ids": kept}

    first = ran(hook, rows)["ids"]
    ran(hook, rows)
    assert (first == 1).all()


@both
def test_an_array_that_lies_about_itself_joins_no_batch(rows: int) -> None:
    class Lies(np.ndarray[Any, Any]):
        dtype = np.dtype(np.int64)
        shape = (rows, 3)  # type: ignore[override]

    with pytest.raises(InferenceFailed) as raised:
        ran(lambda _: {"ids": np.zeros((1, 2), np.float32).view(Lies)}, rows)
    assert "'ids' as float32 [1, 2]" in str(raised.value.cause)


@both
def test_a_hook_may_run_a_loop_of_its_own(rows: int) -> None:
    async def looked_up() -> Any:
        return {"ids": np.zeros((rows, 3), np.int64)}

    assert ran(lambda _: asyncio.run(looked_up()), rows)["ids"].shape == (rows, 3)
