"""What the console asks, how often, and with whose token; replicas are real servers on free ports, without Ray."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import orjson
import pytest

from configs.schema import SourceConfig
from deployments.applications import App
from deployments.console.data import ConsoleData
from deployments.console.replicas import Address
from deployments.metrics.info import network_of

HISTORY = {
    "version": "1",
    "every_s": 5,
    "forwards_here": True,
    "limits": {"max_batch_size": 8, "max_queue_size": 1024, "request_timeout_s": 30},
    "targets": {"p99_ms": None, "queue_ms": 100},
}
DIGITS: dict[str, Any] = {"source": {"factory": "a.b:C", "weights": "s3://key:secret@host/file"}, "num_gpus": 0.5}


class Replica:
    """A server that answers with a history, and notes what it was asked; `refusal` is its answer instead."""

    def __init__(self, requests: int = 10, refusal: tuple[int, bytes] | None = None) -> None:
        self.heads: list[str] = []
        self.address: Address = ("127.0.0.1", 0)
        self._requests, self._refusal = requests, refusal

    async def __aenter__(self) -> "Replica":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode():
            self.heads.append(head)
            status, body = self._refusal or (200, orjson.dumps(HISTORY | {"samples": [self._sample()]}))
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))

    def _sample(self) -> dict[str, Any]:
        counts = dict.fromkeys(("rows", "padded_rows", "forwards", "waiting_rows"), 1)
        times = dict.fromkeys(("queue_s", "forward_s", "busy_s", "raw_s"), 0.1)
        return {"at": 100, "seconds": 5.0, "requests": self._requests, **counts, **times, "errors": {}, "latencies": {}}


class Serve:
    """What Serve tells: the models, and where their replicas listen."""

    def __init__(self, args: Mapping[str, Any] = DIGITS, app: App | None = None, port: int = 1) -> None:
        self.args, self.port, self.asked = args, port, 0
        self.app = app or App("digits", "1", "READY", False, "", replicas=2)
        self.addresses: list[Address] = []

    async def apps(self) -> list[App]:
        return [self.app]

    def config_of(self, name: str) -> Mapping[str, Any]:
        assert name == self.app.name
        return {"args": self.args}

    async def http_address(self) -> Address:
        return "127.0.0.1", self.port

    async def where(self) -> Mapping[str, Sequence[Address]]:
        self.asked += 1
        return {"digits": self.addresses} if self.addresses else {}


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def console(serve: Serve, clock: Callable[[], float] = lambda: 0.0) -> ConsoleData:
    return ConsoleData(serve, {"name": "pitstop"}, serve.where, clock)


async def model_of(data: ConsoleData, token: bytes | None = None) -> dict[str, Any]:
    [model] = orjson.loads(await data.get(token))["models"]
    found: dict[str, Any] = model
    return found


def test_every_replica_is_asked_at_its_own_address_and_they_add_up() -> None:
    async def test() -> None:
        async with Replica(10) as one, Replica(20) as other:
            serve = Serve()
            serve.addresses = [one.address, other.address]
            model = await model_of(console(serve))
            assert model["asked"] == {"answered": 2, "of": 2, "status": 200, "error": ""}
            assert (model["series"]["requests_per_s"], model["series"]["replicas"]) == ([6], [2])
            assert (model["limits"]["max_queue_size"], model["num_gpus"], model["targets"]["queue_ms"]) == (
                1024,
                0.5,
                100,
            )
            assert one.heads[0].startswith("GET /v2/models/digits/history ")

    run(test)


def test_however_many_pages_are_open_a_replica_is_asked_once_in_two_seconds() -> None:
    async def test() -> None:
        now = [0.0]
        async with Replica() as replica:
            serve = Serve()
            serve.addresses = [replica.address]
            data = console(serve, lambda: now[0])
            await asyncio.gather(*(data.get(b"Bearer %d" % page) for page in range(20)))
            assert (len(replica.heads), serve.asked) == (1, 1)
            now[0] = 1.9
            await data.get(None)
            assert len(replica.heads) == 1
            now[0] = 2.1
            await data.get(None)
            assert len(replica.heads) == 2

    run(test)


def test_where_serve_tells_no_address_one_replica_is_asked_through_its_port_and_the_answer_says_so() -> None:
    async def test() -> None:
        async with Replica() as replica:
            model = await model_of(console(Serve(port=replica.address[1])))
            assert (model["asked"]["answered"], model["asked"]["of"]) == (1, 2)

    run(test)


def test_where_no_address_answers_serve_s_port_is_asked() -> None:
    async def test() -> None:
        async with Replica() as replica:
            serve = Serve(port=replica.address[1])
            serve.addresses = [("127.0.0.1", 1)]
            assert (await model_of(console(serve)))["asked"]["answered"] == 1

    run(test)


@pytest.mark.parametrize(
    "app",
    [
        App("digits", "1", "READY", False, "", replicas=0, held=True),  # Scaled to zero: a request would start it.
        App("digits", "1", "LOADING", False, "", replicas=1),
    ],
)
def test_a_model_without_a_replica_that_answers_is_not_asked(app: App) -> None:
    async def test() -> None:
        async with Replica() as replica:
            model = await model_of(console(Serve(app=app, port=replica.address[1])))
            assert (replica.heads, model["asked"]["answered"], model["series"]["at"]) == ([], 0, [])

    run(test)


def test_a_token_is_passed_on_and_what_it_opens_is_not_shown_to_another() -> None:
    async def test() -> None:
        refused = orjson.dumps({"error": "a token is needed"})
        async with Replica() as replica, Replica(refusal=(401, refused)) as closed:
            serve = Serve(DIGITS | {"auth": {"tokens_env": "TOKENS"}})
            serve.addresses = [replica.address]
            data = console(serve)
            assert (await model_of(data, b"Bearer one"))["asked"]["answered"] == 1
            assert "authorization: Bearer one\r\n" in replica.heads[0]
            assert "pitstop-for-page: 1\r\n" in replica.heads[0]
            serve.addresses = [closed.address]
            other = await model_of(data, b"Bearer two")
            assert (other["asked"]["status"], other["asked"]["error"]) == (401, "a token is needed")
            assert (other["limits"], other["series"]["at"]) == (None, [])

    run(test)


def test_models_of_the_same_source_are_told_without_telling_the_source() -> None:
    async def test() -> None:
        same, other = Serve(DIGITS | {"device": "cpu", "name": "two"}), Serve({"source": {"factory": "a.b:D"}})
        found = [await console(serve).get(None) for serve in (Serve(), same, other)]
        sources = [orjson.loads(each)["models"][0]["source"] for each in found]
        assert sources[0] == sources[1] == network_of(SourceConfig.model_validate(DIGITS["source"])) != sources[2]
        assert b"secret" not in b"".join(found)

    run(test)


def test_the_shipped_prices_come_with_their_source() -> None:
    async def test() -> None:
        prices = orjson.loads(await console(Serve()).get(None))["prices"]
        assert {price["accelerator"] for price in prices} >= {None, "L4"}
        assert all(price["source"].startswith("https://") and price["date"] for price in prices)

    run(test)
