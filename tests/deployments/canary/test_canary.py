"""A canary without Ray: who is in its share, and that nothing fails by it."""

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from configs.schema import Tunables
from deployments.batching.remote import BlockReply
from deployments.canary import handle
from deployments.canary.canary import Canary, in_share, position
from deployments.canary.client import CanaryClient
from deployments.core.errors import BadRequest, NotReady, ServeError
from deployments.core.request import InferRequest, InferResult, IsDisconnected, OnInferResult
from models.signature import Array
from tests.deployments.fake_service import identity

SERVICE = identity("FP32")
STABLE, CANARY = 1.0, 2.0
METADATA = {
    "versions": ["2"],
    "inputs": [each.describe() for each in SERVICE.signature.inputs],
    "outputs": [each.describe() for each in SERVICE.signature.outputs],
}


class Stable:
    """Answers 1, at once."""

    version = "1"
    tunables = Tunables(request_timeout_s=30, max_queue_size=8)

    def __init__(self) -> None:
        self.seen: list[InferRequest] = []

    def begin(
        self, request: InferRequest, on_result: OnInferResult, is_disconnected: IsDisconnected | None = None
    ) -> None:
        assert is_disconnected is None
        self.seen.append(request)
        on_result(InferResult("1", {"OUTPUT0": np.full(1, STABLE, np.float32)}))


class Replicas:
    """A canary that answers 2, or does what the test says."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = METADATA
        self.down = False
        self.reply: Callable[[], Awaitable[BlockReply]] = self._two
        self.asked: list[InferRequest] = []

    async def canary_status(self) -> dict[str, Any]:
        if self.down:
            raise RuntimeError("the actor died")
        return {"metadata": self.metadata, "stats": {}}

    async def answer(self, request: InferRequest) -> BlockReply:
        self.asked.append(request)
        return await self.reply()

    async def _two(self) -> BlockReply:
        return "answer", {"OUTPUT0": np.full(1, CANARY, np.float32)}


class Pair:
    """A stable version and its canary, watched only when the test says so."""

    def __init__(self, percent: float = 100) -> None:
        self.stable, self.replicas = Stable(), Replicas()
        self.client = CanaryClient("other", SERVICE.signature, self.replicas)
        self.canary = Canary(self.client, percent, pause=lambda _: asyncio.Event().wait())

    def ask(
        self, identity: str | None = None, asked: str = "", rows: int = 1, seed: int | None = None
    ) -> "asyncio.Future[InferResult]":
        """Send one request as a model does; the future has its result."""
        inputs: dict[str, Array] = {"INPUT0": np.zeros(rows, np.float32)}
        request = InferRequest(inputs, rows, identity, version=asked, seed=seed)
        done: asyncio.Future[InferResult] = asyncio.get_running_loop().create_future()

        def on_result(result: InferResult) -> None:
            if result.error is not None:
                done.set_exception(result.error)
            else:
                done.set_result(result)

        if self.canary.takes(request, self.stable.tunables.max_queue_size):
            self.canary.begin(request, on_result, None, self.stable)
        else:
            self.stable.begin(request, on_result)
        return done

    @property
    def outcomes(self) -> dict[str, int]:
        found: dict[str, int] = self.canary.as_json()["outcomes"]
        return found


def answer(result: InferResult) -> float:
    return float(result.outputs["OUTPUT0"][0])


def raising(error: Exception) -> Callable[[], Awaitable[BlockReply]]:
    async def reply() -> BlockReply:
        raise error

    return reply


def replying(kind: str, *value: object) -> Callable[[], Awaitable[BlockReply]]:
    async def reply() -> BlockReply:
        return kind, value

    return reply


async def never() -> BlockReply:
    await asyncio.Event().wait()
    raise AssertionError


def test_a_share_holds_as_many_ids_as_it_says() -> None:
    inside = sum(in_share(f"request-{n}", 20) for n in range(10_000))
    assert 1800 < inside < 2200  # 20 % of 10,000, five standard deviations each way; the ids are fixed.


def test_whoever_is_in_a_share_stays_in_every_larger_one() -> None:
    for n in range(1000):
        identity = f"user-{n}"
        shares = [in_share(identity, percent) for percent in (0, 1, 20, 50, 100)]
        assert shares == sorted(shares)
        assert 0 <= position(identity) < 100


def test_without_an_id_chance_decides_and_the_ends_are_none_and_all() -> None:
    assert not any(in_share(None, 0) for _ in range(1000))
    assert all(in_share(None, 100) for _ in range(1000))
    assert 300 < sum(in_share(None, 50) for _ in range(1000)) < 700


def test_the_canary_answers_its_share_and_the_answer_carries_its_version() -> None:
    async def scenario() -> None:
        pair = Pair(percent=20)
        await pair.client.look()
        found = [await pair.ask(f"request-{n}") for n in range(200)]
        for n, result in enumerate(found):
            mine = in_share(f"request-{n}", 20)
            assert answer(result) == (CANARY if mine else STABLE)
            assert not mine or result.version == "2"
        assert pair.outcomes == {"answered": sum(in_share(f"request-{n}", 20) for n in range(200))}

    asyncio.run(scenario())


def test_a_seed_goes_to_the_canary_and_back_to_the_stable_version_where_that_must_answer() -> None:
    async def scenario() -> None:
        pair = Pair()
        await pair.client.look()
        assert answer(await pair.ask(seed=7)) == CANARY
        assert [request.seed for request in pair.replicas.asked] == [7]
        pair.replicas.reply = raising(RuntimeError("the actor died"))
        assert answer(await pair.ask(seed=8)) == STABLE
        assert [request.seed for request in pair.stable.seen] == [8]

    asyncio.run(scenario())


def test_a_canary_that_was_never_seen_gets_no_request() -> None:
    async def scenario() -> None:
        pair = Pair()
        assert answer(await pair.ask()) == STABLE
        assert pair.outcomes == {"away": 1}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "reply, outcome",
    [
        (raising(RuntimeError("the actor died")), "lost"),
        (replying("inference_failed"), "inference_failed"),
        (replying("queue_full", 1), "queue_full"),
        (replying("bad_request", "no"), "bad_request"),
    ],
)
def test_what_the_canary_does_not_answer_the_stable_version_does(
    reply: Callable[[], Awaitable[BlockReply]], outcome: str
) -> None:
    async def scenario() -> None:
        pair = Pair()
        await pair.client.look()
        pair.replicas.reply = reply
        result = await pair.ask()
        assert (answer(result), result.version) == (STABLE, "1")
        assert pair.outcomes == {outcome: 1}
        [request] = pair.stable.seen
        assert request.timeout_s is not None
        assert 0 < request.timeout_s <= 30

    asyncio.run(scenario())


def test_a_slow_canary_leaves_the_stable_version_its_part_of_the_time() -> None:
    async def scenario() -> None:
        pair = Pair()
        pair.stable.tunables = Tunables(request_timeout_s=0.1)
        await pair.client.look()
        pair.replicas.reply = never
        assert answer(await pair.ask()) == STABLE
        assert pair.outcomes == {"slow": 1}

    asyncio.run(scenario())


def test_requests_on_their_way_come_back_when_the_watch_loses_the_canary() -> None:
    async def scenario() -> None:
        pair = Pair()
        await pair.client.look()
        pair.replicas.reply = never
        waiting = [pair.ask() for _ in range(5)]
        await asyncio.sleep(0)
        pair.replicas.down = True
        await pair.client.look()
        assert [answer(each) for each in await asyncio.gather(*waiting)] == [STABLE] * 5
        assert pair.outcomes == {"lost": 5}
        pair.replicas.down, pair.replicas.reply = False, pair.replicas._two
        await pair.client.look()
        assert answer(await pair.ask()) == CANARY

    asyncio.run(scenario())


def test_a_canary_that_hangs_counts_as_lost() -> None:
    async def scenario() -> None:
        pair = Pair()
        pair.replicas.canary_status = never  # type: ignore[method-assign, assignment]
        await pair.client.look(within_s=0.01)
        assert not pair.client.up

    asyncio.run(scenario())


def test_more_rows_than_may_wait_go_to_the_stable_version() -> None:
    async def scenario() -> None:
        pair = Pair()
        await pair.client.look()
        pair.replicas.reply = never
        waiting = [pair.ask(rows=4) for _ in range(3)]
        await asyncio.sleep(0)
        last = pair.ask(rows=4)
        assert answer(await last) == STABLE
        assert pair.outcomes["full"] >= 1
        pair.canary.close()
        await asyncio.gather(*waiting)

    asyncio.run(scenario())


def test_a_canary_with_other_tensors_gets_no_request() -> None:
    async def scenario() -> None:
        pair = Pair()
        pair.replicas.metadata = {**METADATA, "outputs": [{"name": "OUTPUT0", "datatype": "FP64", "shape": [-1]}]}
        await pair.client.look()
        assert answer(await pair.ask()) == STABLE

    asyncio.run(scenario())


def test_a_version_asked_by_name_is_that_version_or_an_error() -> None:
    async def scenario() -> None:
        pair = Pair(percent=0)
        await pair.client.look()
        assert answer(await pair.ask(asked="2")) == CANARY
        assert answer(await pair.ask(asked="1")) == STABLE
        assert pair.outcomes == {}
        errors: list[tuple[Callable[[], Awaitable[BlockReply]], type[ServeError]]] = [
            (raising(RuntimeError("the actor died")), NotReady),
            (replying("bad_request", "send text"), BadRequest),
        ]
        for reply, error in errors:
            pair.replicas.reply = reply
            with pytest.raises(error) as told:
                await pair.ask(asked="2")
            assert "actor" not in str(told.value)

    asyncio.run(scenario())


def test_the_canary_gets_the_parameters_and_so_does_the_stable_version_in_its_place() -> None:
    async def main() -> None:
        pair = Pair()
        await pair.client.look()
        request = InferRequest({"INPUT0": np.zeros(1, np.float32)}, 1, parameters={"unit": "km"})
        pair.canary.begin(request, lambda _: None, None, pair.stable)
        while not pair.replicas.asked:
            await asyncio.sleep(0)
        assert pair.replicas.asked[-1].parameters == {"unit": "km"}
        pair.client.close()
        pair.canary.begin(request, lambda _: None, None, pair.stable)
        while not pair.stable.seen:
            await asyncio.sleep(0)
        assert pair.stable.seen[0].parameters == {"unit": "km"}

    asyncio.run(main())


def test_a_replica_of_the_canary_hands_them_to_its_own_hooks() -> None:
    service = identity("FP32")
    rows = {"INPUT0": np.zeros(1, np.float32)}
    request = InferRequest(rows, 1, timeout_s=5.0, priority=2, version="2", seed=7, parameters={"unit": "km"})
    kind, value = asyncio.run(handle.answer(service, pickle.loads(pickle.dumps(request))))
    assert kind == "answer", value
    [seen] = service.seen
    assert (seen.parameters, seen.timeout_s, seen.priority, seen.version) == ({"unit": "km"}, 5.0, 2, "1")
    assert seen.seed == 7
