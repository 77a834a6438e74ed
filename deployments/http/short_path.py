"""The short path: a POST to /infer is read from the replica's own socket and answered there, without Serve's wrapper.

On Serve's way a request costs uvicorn's cycle and task, Serve's two tasks, ids and metrics: several times what a small
request itself takes (`python -m benchmarks.paths` measures it). The connection stays uvicorn's, but a usual POST to
/infer is taken out of it here; uvicorn and Serve answer everything else. ../serve_request_counter.py, the batcher and
this file do what Serve's wrapper did: the count of ongoing requests, request ids, timeouts, clients that leave, and a
server that stops.

Ray calls serve_accounting.install because the config names it in RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH. Without
that line every request goes Serve's way: the same answers, only slower.
"""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from ..core.observation import ObservedProtocol
from ..core.request import InferRequest, InferResult
from ..serve_request_counter import RequestCounter
from .bodies import HEAVY_BYTES, Response, compressed, encoding_for
from .connection import Connection, Received
from .exchange import begin, read_infer, refuse, write_infer
from .request_head_cache import Endpoint, RequestHeadCache
from .server_protocol import ServerProtocol

_offered: dict[bytes, Endpoint] = {}


def offer(paths: Mapping[str, Endpoint]) -> None:
    """Let this process's server answer these paths of a model on the short path."""
    _offered.update({path.encode(): endpoint for path, endpoint in paths.items()})


def protocol(counter: RequestCounter) -> type["ShortPath"]:
    """Return the protocol class for a server of this process."""
    return type("ShortPath", (ShortPath,), {"counter": counter, "heads": RequestHeadCache(_offered)})


class ShortPath(ServerProtocol):
    """Moves bytes and requests between a socket, uvicorn, a `Connection` and its model."""

    counter: RequestCounter
    heads: RequestHeadCache

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connection = Connection(self.heads)
        self._request: InferRequest | None = None
        self._observed: ObservedProtocol | None = None
        self._began_s: float | None = None  # Set while a request is under way, and counted as ongoing.
        self._disconnected = False
        self._idle_since_s = 0.0
        self._closer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        if self._uvicorn_answers:
            super().data_received(data)
        else:
            self._take(self._connection.receive(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._disconnected = True
        if self._closer is not None:
            self._closer.cancel()
        self._connection.abandon()
        self._finish()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """uvicorn calls this for every connection of a server that stops."""
        self._connection.close()
        if self._connection.head is None:
            super().shutdown()

    @property
    def _unread(self) -> bool:
        return self._connection.missing > 0 or self._open

    @property
    def _uvicorn_answers(self) -> bool:
        """Whether the request under way is uvicorn's."""
        return self._open or (self.cycle is not None and not self.cycle.response_complete)

    def _take(self, received: Received | bytes | None) -> None:
        connection = self._connection
        if self._began_s is None and connection.head is not None:
            self._unset_keepalive_if_required()
            self._began_s = self.counter.begin()
        if received is None:
            if connection.is_full:
                self.flow.pause_reading()
        elif isinstance(received, bytes):
            super().data_received(received)
        else:
            self._answer(received)

    def _answer(self, received: Received) -> None:
        head = received.head
        if received.refusal is not None:
            self._send(refuse(head.service, received.refusal, head.headers))
            return
        self._observed = observed = begin(head.service, "infer", head.headers)
        try:
            request = read_infer(head.service, head.headers, received.body, head.version, observed)
            self._request = request
            on_result = partial(self._on_result, request)
            head.service.begin(request, on_result, self._is_disconnected)
        except Exception as error:  # Nothing above would answer.
            if observed is not None:
                observed.failed(error)
            self._send(refuse(head.service, error, head.headers))

    def _is_disconnected(self) -> bool:
        return self._disconnected

    def _on_result(self, request: InferRequest, result: InferResult) -> None:
        head = self._connection.head
        if head is None or request is not self._request:
            return
        try:
            if result.error is None:
                reply = write_infer(head.service, head.headers, request, result)
            else:
                if request.observed is not None:
                    request.observed.failed(result.error)
                reply = refuse(head.service, result.error, head.headers)
        except Exception as error:  # As above.
            if request.observed is not None:
                request.observed.failed(error)
            reply = refuse(head.service, error, head.headers)
        self._send(reply)

    def _send(self, reply: Response) -> None:
        head = self._connection.head
        encoding = None if head is None else encoding_for(head.headers, reply)
        if encoding is None:
            self._write(reply)
        elif len(reply.body) <= HEAVY_BYTES:
            self._write(compressed(reply, encoding))
        else:
            work = self.loop.run_in_executor(None, compressed, reply, encoding)
            work.add_done_callback(lambda done: self._write(done.result()))

    def _write(self, reply: Response) -> None:
        connection = self._connection
        if connection.head is None:  # The client has left.
            return
        self.transport.write(connection.reply(reply, self.server_state.default_headers))
        self._finish()
        if connection.closing:
            self.close_after_answer()
        elif connection.has_more:
            self.loop.call_soon(self._resume)

    def _resume(self) -> None:
        if not self._disconnected:
            self.flow.resume_reading()
            self._take(self._connection.resume())

    def _finish(self) -> None:
        """End the request under way, if there is one, and count it."""
        if self._began_s is None:
            return
        self.counter.end(self._began_s)
        if self._observed is not None:
            self._observed.end(lost=self._disconnected)
            self._observed = None
        self._began_s = self._request = None
        self._idle_since_s = time.monotonic()
        if self._closer is None and not self._disconnected:
            self._closer = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def _close_if_idle(self) -> None:
        """Close a connection that was idle for the keep-alive time; one timer per connection, not per request."""
        self._closer = None
        left_s = self._idle_since_s + self.timeout_keep_alive - time.monotonic()
        # If uvicorn was the last to answer, it has a timer of its own.
        busy = self._connection.head is not None or self._uvicorn_answers or self.timeout_keep_alive_task is not None
        if busy or left_s > 0:
            self._closer = self.loop.call_later(max(left_s, 1.0), self._close_if_idle)
        else:
            self.transport.close()
