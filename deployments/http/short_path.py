"""The short path: inference is read from the replica's own socket and written back, with no task and no wrapper.

Under Serve's way a request costs uvicorn's cycle and task, Serve's two tasks, ids and metrics: several times what a
small request itself takes (`python -m benchmarks.paths` measures it). Here uvicorn's protocol, still in charge of the
connection, is passed by where a whole POST to /infer arrives; everything else, and whatever is unusual about such a
POST, is uvicorn's and Serve's as before. What Serve's wrapper did is done by ../ledger.py, the batcher and this file:
the count of ongoing requests, request ids, timeouts, clients that leave, and a server that stops.

Ray calls ledger.install because the config names it in RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH. Without that line
every request goes Serve's way: same answers, only slower.
"""

import asyncio
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ..access.guard import AUTHORIZATION
from ..errors import ServeError, TooLarge
from ..inference import InferRequest, Outputs, Service
from ..ledger import Ledger
from ..protocol.headers import REQUEST_ID
from .bodies import HEAVY_BYTES, Reply, compressed, encoding_for
from .exchange import read_infer, refuse, write_infer
from .heads import Head, Heads
from .inflate import bytes_of
from .server_protocol import ServerProtocol

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_offered: dict[bytes, Service] = {}
_NONE = b""


def offer(paths: Mapping[str, Service]) -> None:
    """Let this process's server answer these paths of a model on the short path."""
    _offered.update({path.encode(): service for path, service in paths.items()})


def protocol(ledger: Ledger) -> type["ShortPath"]:
    """Return the protocol class for a server of this process."""
    return type("ShortPath", (ShortPath,), {"ledger": ledger, "heads": Heads(_offered)})


class ShortPath(ServerProtocol):
    """One connection. At most one request of it is on the short path; bytes behind it wait."""

    ledger: Ledger
    heads: Heads

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head: Head | None = None  # ours
        self._chunks: list[bytes] = []
        self._missing = 0
        self._denied: ServeError | None = None
        self._late = _NONE
        self._began_s = 0.0
        self._stopping = False
        self._gone = False
        self._closer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._more(data)
        elif self._late:
            self._late += data  # What came before it is about to be read.
        elif self._uvicorn_answers:
            super().data_received(data)
        else:
            end = data.find(b"\r\n\r\n") + 4
            head = self.heads.read(data[:end]) if end > 3 else None
            if head is None:
                super().data_received(data)
            else:
                self._unset_keepalive_if_required()
                self._begin(head, data, end)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        if self._closer is not None:
            self._closer.cancel()
        if self._head is not None:
            self._finish()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """uvicorn asks this of every connection of a server that stops."""
        self._stopping = True
        if self._head is None:
            super().shutdown()

    @property
    def _unread(self) -> bool:
        return self._missing > 0 or self._open

    @property
    def _uvicorn_answers(self) -> bool:
        """Whether a request is under way that is not ours."""
        return self._open or (self.cycle is not None and not self.cycle.response_complete)

    def _begin(self, head: Head, data: bytes, start: int) -> None:
        self._head = head
        self._began_s = self.ledger.begin()
        service = head.service
        self._denied = None if service.guard is None else service.guard.refusal(head.headers.get(AUTHORIZATION))
        limit_mib = service.tunables.max_body_mib
        end = start + head.length
        if head.length > bytes_of(limit_mib):
            self._stopping = True  # The body will not be read.
            self._missing = max(0, end - len(data))
            self._answer(self._denied or TooLarge(limit_mib))
            return
        if len(data) >= end:
            self._late = data[end:]
            self._whole(data[start:end])
        else:
            self._chunks, self._missing = [], head.length
            self._more(data[start:])

    def _more(self, data: bytes) -> None:
        """Take the next bytes of a body, or keep those of a request that came before this one was answered."""
        if not self._missing:
            self._late += data
            if len(self._late) > HEAVY_BYTES:
                self.flow.pause_reading()
            return
        mine, self._late = data[: self._missing], data[self._missing :]
        if self._denied is None:  # Else it is read past, and not kept.
            self._chunks.append(mine)
        self._missing -= len(mine)
        if not self._missing:
            chunks, self._chunks = self._chunks, []
            self._whole(b"".join(chunks))

    def _whole(self, body: bytes) -> None:
        head = self._head
        assert head is not None
        if self._denied is not None:
            self._answer(self._denied)
            return
        try:
            request = read_infer(head.service, head.headers, body)
            request.gone = lambda: self._gone
            head.service.begin(request, lambda answer: self._answer(answer, request))
        except Exception as error:  # Nothing above would answer.
            self._answer(error)

    def _answer(self, answer: Outputs | Exception, request: InferRequest | None = None) -> None:
        head = self._head
        if head is None or self._gone:
            return
        if isinstance(answer, Exception) or request is None:
            reply = refuse(head.service, answer, head.headers)  # type: ignore[arg-type]
        else:
            try:
                reply = write_infer(head.service, request, answer)
            except Exception as error:  # As above.
                reply = refuse(head.service, error, head.headers)
        encoding = encoding_for(head.headers, reply)
        if encoding is None:
            self._write(head, reply)
        elif len(reply.body) <= HEAVY_BYTES:
            self._write(head, compressed(reply, encoding))
        else:
            work = self.loop.run_in_executor(None, compressed, reply, encoding)
            work.add_done_callback(lambda done: self._write(head, done.result()))

    def _write(self, head: Head, reply: Reply) -> None:
        if self._gone or self._head is not head:
            return
        extra = [b"%b: %b\r\n" % header for header in (*self.server_state.default_headers, *reply.headers)]
        if (request_id := head.headers.get(REQUEST_ID)) is not None:
            extra.append(b"x-request-id: %b\r\n" % request_id)
        if self._stopping:
            extra.append(b"connection: close\r\n")
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b"
            % (
                reply.status,
                _REASONS[reply.status],
                reply.content_type,
                len(reply.body),
                b"".join(extra),
                reply.body,
            )
        )
        self._finish()
        if self._stopping:
            self.close_after_answer()
        elif self._late:
            self.loop.call_soon(self._read_late)

    def _read_late(self) -> None:
        late, self._late = self._late, _NONE
        if not self._gone:
            self.flow.resume_reading()
            self.data_received(late)

    def _finish(self) -> None:
        self._head = None
        self.ledger.end(self._began_s)
        self._idle_since_s = time.monotonic()
        if self._closer is None and not self._gone:
            self._closer = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def _close_if_idle(self) -> None:
        """Close a connection that nobody used for the keep-alive time; one timer a connection, not one a request."""
        self._closer = None
        left_s = self._idle_since_s + self.timeout_keep_alive - time.monotonic()
        # Where uvicorn was the last to answer it has a timer of its own.
        busy = self._head is not None or self._uvicorn_answers or self.timeout_keep_alive_task is not None
        if busy or left_s > 0:
            self._closer = self.loop.call_later(max(left_s, 1.0), self._close_if_idle)
        else:
            self.transport.close()
