import asyncio
from collections.abc import Awaitable, Callable

import pytest

from deployments.http_client.client import HttpClient
from tests.serving import free_port

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-Kind: a\r\n\r\nhi"
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


def run(answer: Answer, test: Callable[[HttpClient], Awaitable[None]]) -> int:
    """Run a test against a server; `answer` gets each connection and its number. Returns how many there were."""
    opened = 0

    async def between() -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal opened
            opened += 1
            try:
                await answer(reader, writer, opened)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        port = free_port()
        server = await asyncio.start_server(connected, "127.0.0.1", port)
        client = HttpClient("127.0.0.1", port)
        try:
            await asyncio.wait_for(test(client), 10)
        finally:
            client.close()
            server.close()

    asyncio.run(between())
    return opened


async def read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")), 0)
    return head, await reader.readexactly(length)


async def always(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
    while True:
        await read(reader)
        writer.write(OK)


def test_one_connection_serves_one_request_after_the_other() -> None:
    async def test(client: HttpClient) -> None:
        for _ in range(3):
            reply = await client.get("/x")
            assert (reply.status, reply.headers[b"x-kind"], reply.body) == (200, b"a", b"hi")

    assert run(always, test) == 1


def test_requests_at_once_have_a_connection_each() -> None:
    async def test(client: HttpClient) -> None:
        for _ in range(2):
            await asyncio.gather(*[client.get("/x") for _ in range(5)])

    assert run(always, test) == 5


def test_a_request_is_written_whole() -> None:
    seen = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
        seen.append(await read(reader))
        writer.write(OK)

    async def test(client: HttpClient) -> None:
        await client.post("/x", [("x-request-id", "7")], b"a" * 100_000)

    run(answer, test)
    [(head, body)] = seen
    assert head.startswith(b"POST /x HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"\r\nx-request-id: 7\r\n" in head
    assert body == b"a" * 100_000


def test_an_answer_may_come_in_chunks_and_in_pieces() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
        await read(reader)
        for piece in (
            b"HTTP/1.1 200 OK\r\ntransfer-enc",
            b"oding: chunked\r\n\r\n3\r\nab",
            b"c\r\n2\r\nde\r\n0\r\n\r\n",
        ):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    async def test(client: HttpClient) -> None:
        assert (await client.get("/x")).body == b"abcde"

    run(answer, test)


@pytest.mark.parametrize("announced", [True, False])
def test_a_connection_closed_while_idle_is_replaced(announced: bool) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
        await read(reader)
        writer.write(OK.replace(b"X-Kind: a", b"connection: close") if announced else OK)

    async def test(client: HttpClient) -> None:
        for _ in range(3):
            assert (await client.get("/x")).status == 200
            await asyncio.sleep(0.02)

    assert run(answer, test) == 3


def test_a_connection_that_closes_under_a_second_request_is_replaced_and_none_is_lost() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
        await read(reader)
        writer.write(OK)
        await read(reader)

    async def test(client: HttpClient) -> None:
        for _ in range(3):
            assert (await client.get("/x")).status == 200

    assert run(answer, test) == 3


@pytest.mark.parametrize("half", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", b"no HTTP at all"])
def test_without_a_whole_answer_there_is_an_error(half: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _number: int) -> None:
        await read(reader)
        writer.write(half)

    async def test(client: HttpClient) -> None:
        with pytest.raises(ConnectionError):
            await client.get("/x")

    assert run(answer, test) == 1


def test_a_caller_that_is_cancelled_takes_its_connection_along() -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, _number: int) -> None:
        await read(reader)
        asked.set()
        assert await reader.read() == b""
        closed.set()

    async def test(client: HttpClient) -> None:
        call = asyncio.create_task(client.get("/x"))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await closed.wait()

    assert run(answer, test) == 1
