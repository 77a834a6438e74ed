"""How often an answer is made, and for whom: a clock that is told, and no socket."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from deployments.answer_cache import _KEPT_S, MOST_TOKENS, MOST_WAITING, AnswerCache
from deployments.core.errors import NotReady


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


class Held:
    """Makes an answer once it is let go; notes that it was begun."""

    def __init__(self) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> int:
        self.begun.set()
        await self.go.wait()
        return 0


def test_neither_a_reader_without_a_token_nor_one_whose_answer_is_fresh_waits_for_another_token() -> None:
    async def test() -> None:
        cache, make, held = AnswerCache[int](lambda: 0.0), Maker(), Held()
        assert await cache.get(b"known", make) == 1
        stranger = asyncio.create_task(cache.get(b"strange", held))
        await held.begun.wait()
        assert await cache.get(b"known", make) == 1
        assert await cache.get(b"", make) == 2
        held.go.set()
        assert await stranger == 0

    run(test)


def test_more_tokens_than_may_wait_are_refused_for_a_second_and_readers_of_one_that_waits_are_not() -> None:
    async def test() -> None:
        cache, make, held = AnswerCache[int](lambda: 0.0), Maker(), Held()
        first = asyncio.create_task(cache.get(b"0", held))
        await held.begun.wait()
        tokens = [b"%d" % token for token in range(1, MOST_WAITING)]
        waiting = [asyncio.create_task(cache.get(token, make)) for token in [*tokens, b"1"]]
        await asyncio.sleep(0)
        with pytest.raises(NotReady) as refused:
            await cache.get(b"one more", make)
        assert (refused.value.status, refused.value.headers) == (503, ((b"retry-after", b"1"),))
        held.go.set()
        await asyncio.gather(first, *waiting)
        assert make.made == MOST_WAITING - 1
        assert await cache.get(b"one more", make) == MOST_WAITING

    run(test)


def test_tokens_do_not_push_out_the_answer_of_no_token() -> None:
    async def test() -> None:
        cache, make = AnswerCache[int](lambda: 0.0), Maker()
        assert await cache.get(b"", make) == 1
        for token in range(2 * MOST_TOKENS):
            await cache.get(b"%d" % token, make)
        assert await cache.get(b"", make) == 1

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
