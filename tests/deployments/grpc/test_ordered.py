import asyncio
from collections.abc import AsyncIterator

import pytest

from deployments.grpc.ordered import in_order


async def counted(upto: int) -> AsyncIterator[int]:
    for number in range(upto):
        yield number


def test_answers_come_in_the_order_of_the_requests_however_they_are_done() -> None:
    async def run() -> list[int]:
        done = [asyncio.Event() for _ in range(4)]

        async def answer(number: int) -> int:
            if number < 3:
                await done[number + 1].wait()
            done[number].set()
            return number

        return [each async for each in in_order(counted(4), answer, 8)]

    assert asyncio.run(run()) == [0, 1, 2, 3]


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_are_under_way_than_allowed(at_once: int) -> None:
    async def run() -> int:
        now, most = 0, 0

        async def answer(_number: int) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            for _ in range(5):
                await asyncio.sleep(0)
            now -= 1

        async for _ in in_order(counted(20), answer, at_once):
            pass
        return most

    assert asyncio.run(run()) == at_once


def test_nothing_is_read_ahead_of_a_consumer_that_takes_nothing() -> None:
    async def run() -> int:
        read = 0

        async def requests() -> AsyncIterator[int]:
            nonlocal read
            while True:
                read += 1
                yield read

        async def answer(number: int) -> int:
            return number

        answers = in_order(requests(), answer, 4)
        await anext(answers)
        for _ in range(50):
            await asyncio.sleep(0)
        await answers.aclose()  # type: ignore[attr-defined]
        return read

    # One was taken, so its place is free again.
    assert asyncio.run(run()) == 5


def test_what_is_under_way_is_cancelled_when_the_consumer_stops() -> None:
    async def run() -> list[str]:
        told: list[str] = []

        async def answer(number: int) -> int:
            if number == 0:
                return 0
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told.append(f"cancelled {number}")
                raise
            return number

        answers = in_order(counted(3), answer, 8)
        await anext(answers)
        await asyncio.sleep(0)
        await answers.aclose()  # type: ignore[attr-defined]
        for _ in range(5):
            await asyncio.sleep(0)
        return sorted(told)

    assert asyncio.run(run()) == ["cancelled 1", "cancelled 2"]


def test_an_error_in_the_requests_ends_the_answers() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken off")

    async def answer(number: int) -> int:
        return number

    async def run() -> None:
        answers = in_order(broken(), answer, 8)
        assert await anext(answers) == 1
        with pytest.raises(ValueError, match="broken off"):
            await anext(answers)

    asyncio.run(run())
