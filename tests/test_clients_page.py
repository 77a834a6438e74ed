"""The blocks of docs/clients.md without a server: short, each with its output, and retries of what may be retried."""

import asyncio
import re
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.clients_page import PAGE, Snippet, snippets

[MANY_AT_ONCE] = [each for each in snippets() if each.client == "aiohttp"]


@pytest.mark.parametrize("snippet", snippets(), ids=lambda each: f"{each.section}-{each.client}")
def test_every_block_has_at_most_fifteen_lines(snippet: Snippet) -> None:
    assert len([line for line in snippet.text.splitlines() if line]) <= 15


def test_every_block_has_an_output_and_a_client_that_is_tested() -> None:
    assert len(re.findall(r"^```\w+$", PAGE, re.MULTILINE)) == len(snippets())
    tested = {"curl", "requests", "aiohttp", "tritonclient", "stubs", "openai", "fetch"}
    assert {each.client for each in snippets()} == tested


@pytest.mark.parametrize(
    "answers, asked, status",
    [
        ([(503, "0"), (503, "0"), (200, None)], 3, 200),
        ([(503, "0")] * 9, 5, 503),
        ([(503, None), (200, None)], 1, 503),
        ([(500, "0"), (200, None)], 1, 500),
        ([(408, None), (200, None)], 1, 408),
    ],
)
def test_only_a_503_with_retry_after_is_sent_again(
    answers: list[tuple[int, str | None]], asked: int, status: int
) -> None:
    told = iter(answers)
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.read())
        code, after = next(told)
        return web.json_response({"label": 7}, status=code, headers={"Retry-After": after} if after else {})

    found = asyncio.run(_ask(answer, _names()))
    assert (len(seen), found) == (asked, status)
    assert set(seen) == {b"picture"}


def test_a_retry_waits_as_long_as_the_answer_says() -> None:
    told = iter([(503, {"Retry-After": "3"}), (200, {})])
    waited: list[float] = []

    async def answer(_request: web.Request) -> web.Response:
        code, headers = next(told)
        return web.json_response({}, status=code, headers=headers)

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    names = _names()
    names["asyncio"] = SimpleNamespace(sleep=pause)
    assert asyncio.run(_ask(answer, names)) == 200
    [seconds] = waited
    assert 3 <= seconds <= 4.5


def _names() -> dict[str, Any]:
    """Return what the block defines, without running its last line."""
    names: dict[str, Any] = {}
    exec(MANY_AT_ONCE.text.rpartition("asyncio.run(")[0], names)
    return names


async def _ask(answer: Any, names: dict[str, Any]) -> int:
    """Send one request by the block's function to a server that answers so; return the status that comes of it."""
    application = web.Application()
    application.router.add_post("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        async with aiohttp.ClientSession() as session:
            await names["ask"](session, url, b"picture")
        return 200
    except aiohttp.ClientResponseError as error:
        return error.status
    finally:
        await runner.cleanup()
