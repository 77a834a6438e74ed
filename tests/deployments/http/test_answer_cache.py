"""How often an answer is made, and for whom: a clock that is told, and no socket."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from deployments.http.answer_cache import _KEPT_S, MOST_TOKENS, AnswerCache


class Maker:
    """Makes answers that name their number; notes how many are made at once."""

    def __init__(self) -> None:
        self.made = self.at_once = self.most_at_once = 0

    async def __call__(self) -> int:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        self.made += 1
        return self.made


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_an_answer_is_made_once_for_all_readers_of_a_token_and_again_after_its_time() -> None:
    async def test() -> None:
        now, make = [0.0], Maker()
        cache = AnswerCache[int](lambda: now[0])
        assert set(await asyncio.gather(*(cache.get(b"one", make) for _ in range(20)))) == {1}
        now[0] = _KEPT_S - 0.1
        assert await cache.get(b"one", make) == 1
        now[0] = _KEPT_S + 0.1
        assert await cache.get(b"one", make) == 2

    run(test)


def test_each_token_has_an_answer_of_its_own_and_one_is_made_at_a_time() -> None:
    async def test() -> None:
        cache, make = AnswerCache[int](), Maker()
        found = await asyncio.gather(*(cache.get(b"%d" % token, make) for token in range(8)))
        assert (sorted(found), make.most_at_once) == ([*range(1, 9)], 1)

    run(test)


def test_tokens_without_end_take_no_memory_without_end_and_the_last_ones_stay() -> None:
    async def test() -> None:
        cache, make = AnswerCache[int](lambda: 0.0), Maker()
        for token in range(3 * MOST_TOKENS):
            await cache.get(b"%d" % token, make)
        assert len(cache._kept) == MOST_TOKENS
        assert await cache.get(b"%d" % (3 * MOST_TOKENS - 1), make) == 3 * MOST_TOKENS

    run(test)


def test_a_failure_is_its_reader_s_alone() -> None:
    async def fail() -> int:
        raise OSError("away")

    async def test() -> None:
        cache, make = AnswerCache[int](), Maker()
        with pytest.raises(OSError, match="away"):
            await cache.get(b"", fail)
        assert await cache.get(b"", make) == 1

    run(test)
