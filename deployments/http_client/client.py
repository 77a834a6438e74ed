"""The connections to one address, kept alive between requests.

Written for the gRPC proxy, whose cost it decides: 0.35 ms of CPU time a call with this, 0.6 ms with gRPC's own client
(benchmarks/results/grpc_*.json, 16 at once).
"""

import asyncio
from functools import partial

from . import request
from .connection import Connection, StaleError
from .reply import Reply
from .request import Headers

# A quarter of the connections that HAProxy takes in all, so that other clients get theirs.
_MOST_CONNECTIONS = 1024


class HttpClient:
    """Requests to one address. If the caller is cancelled, its connection is closed and the request abandoned."""

    def __init__(self, host: str, port: int, most: int = _MOST_CONNECTIONS) -> None:
        self._address, self._name = (host, port), f"{host}:{port}"
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(most)

    async def get(self, path: str, headers: Headers = ()) -> Reply:
        return await self.send(request.head("GET", path, self._name, headers))

    async def post(self, path: str, headers: Headers, body: bytes) -> Reply:
        return await self.send(request.post_head(path, self._name, headers, len(body)), body)

    async def send(self, head: bytes, body: bytes = b"") -> Reply:
        """Send the bytes of a request; return the answer.

        Raises:
            ConnectionError: the connection closed before the answer was complete, or the answer is not HTTP.
            OSError: there is no connection.
        """
        async with self._places:
            while self._idle:
                connection = self._idle.pop()
                if connection.open:
                    try:
                        return await self._send_on(connection, head, body)
                    except StaleError:  # Sent again, even if it was read: inference has no side effects.
                        continue
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(Connection, *self._address)
            return await self._send_on(connection, head, body)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()

    async def _send_on(self, connection: Connection, head: bytes, body: bytes) -> Reply:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        connection.send(partial(_settle, answer), head, body)
        try:
            reply = await answer
        except BaseException:
            connection.close()
            raise
        if connection.open:
            self._idle.append(connection)
        return reply


def _settle(answer: "asyncio.Future[Reply]", result: Reply | ConnectionError) -> None:
    if answer.done():
        return
    if isinstance(result, ConnectionError):
        answer.set_exception(result)
    else:
        answer.set_result(result)
