"""A server that takes a fixed time for each request, and blocks now and then: what load tools are held against.

Run as a process of its own, so that it does not share the event loop of whoever asks. Prints its port, then serves the
model `paced` by the Open Inference Protocol until its standard input closes; /asked says how often it was asked.
"""

import asyncio
import json
import sys
import time

METADATA = {"name": "paced", "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}], "outputs": []}
MODEL = b"/v2/models/paced"


class Paced(asyncio.Protocol):
    """One connection; a request is answered after `seconds`, every `failing`th of all with 503.

    `one_by_one` takes requests in turn, so there is a rate beyond which they wait ever longer.
    """

    seconds, failing, retry_after, one_by_one = 0.0, 0, b"", False
    free_at, asked = 0.0, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
        if not found or len(body) < length:
            return
        self.buffer = body[length:]
        method, path, _ = head.split(b" ", 2)
        if path == b"/asked":
            self.answer(b"200 OK", str(Paced.asked))
        elif method == b"GET" or not path.startswith(MODEL):
            self.answer(b"200 OK" if path in (MODEL, MODEL + b"/ready") else b"404 Not Found", json.dumps(METADATA))
        else:
            self.infer()

    def infer(self) -> None:
        Paced.asked += 1
        loop = asyncio.get_running_loop()
        if self.failing and not Paced.asked % self.failing:
            self.answer(b"503 Busy" + self.retry_after, "{}")
            return
        begin = max(loop.time(), Paced.free_at) if self.one_by_one else loop.time()
        Paced.free_at = begin + self.seconds
        loop.call_at(Paced.free_at, self.answer, b"200 OK", '{"outputs": []}')

    def answer(self, status: bytes, text: str) -> None:
        body = text.encode()
        self.transport.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


async def serve(ms: float, stall_ms: float, stall_every_s: float) -> None:
    loop = asyncio.get_running_loop()
    Paced.seconds = ms / 1e3

    def stall() -> None:
        time.sleep(stall_ms / 1e3)
        loop.call_later(stall_every_s, stall)

    server = await loop.create_server(Paced, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    if stall_ms:
        loop.call_later(stall_every_s, stall)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    Paced.failing = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    Paced.retry_after = b"\r\nRetry-After: 0" if "retry" in sys.argv else b""
    Paced.one_by_one = "one-by-one" in sys.argv
    asyncio.run(serve(*(float(word) for word in sys.argv[1:4])))
