"""Requests of mixed sizes through a model's service, together: each gets its own answer, of its own size."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.loader import parse_model
from configs.named_size import axis_named
from configs.schema import ModelConfig, Tunables
from configs.tensors import DimConfig
from deployments.batching.batch_result import BatchResult
from deployments.batching.batching import Batcher
from deployments.batching.device_thread import DeviceThread
from deployments.batching.local import LocalDevice, open_device
from deployments.batching.remote import BlockReply, RemoteDevice
from deployments.core.errors import BadRequest, InferenceFailed
from deployments.core.request import InferRequest, infer
from deployments.preprocessing import preprocessor
from deployments.service import ModelService
from models.runtime.dims import dims_in
from models.signature import Array, Tensor
from models.startup.open_model import OpenedModel, open_model
from tests.deployments.test_requests_of_their_own import service_of
from tests.models import open_networks
from tests.models.test_open_sizes import BOXES, IDS, IMAGE, MASK, TAGS, UNPADDED, X8

Rows = dict[str, Array]
ATTENTION = {"name": "attention_mask", "datatype": "INT64", "shape": ["batch", "tokens"]}
NER: dict[str, Any] = {"inputs": [IDS, ATTENTION], "outputs": [TAGS], "dims": {"tokens": {"sizes": [4, 8, 16]}}}
SEGMENTS: dict[str, Any] = {"inputs": [IMAGE], "outputs": [MASK], "dims": UNPADDED}


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PITSTOP_CACHE", str(tmp_path))


def config(network: str, **keys: Any) -> ModelConfig:
    source = {"factory": f"tests.models.open_networks:{network}"}
    return parse_model({"name": "m", "source": source, "max_batch_size": 8, "batch_sizes": [1, 4, 8], **keys})


def device_of(given: ModelConfig, on_loop: bool = False) -> tuple[OpenedModel, LocalDevice]:
    served = open_model(given, "cpu")
    thread = DeviceThread()
    thread.start()
    return served, open_device(thread, served.runner, served.forward_ms, on_loop=on_loop)


def here(given: ModelConfig, observe: Callable[[BatchResult], None] = lambda _: None) -> ModelService:
    return service_of(given, Batcher(Tunables(), given.max_batch_size, device_of(given)[1], observe))


def through_an_ingress(given: ModelConfig) -> ModelService:
    served, device = device_of(given)
    batcher = Batcher(Tunables(), given.max_batch_size, device, lambda _: None)
    loop = asyncio.get_running_loop()

    async def send(arrays: dict[str, Array], rows: int, timeout_s: float, _: int, seed: int | None) -> BlockReply:
        future: asyncio.Future[Any] = loop.create_future()
        batcher.add(arrays, rows, future.set_result, timeout_s, seed=seed)
        answer = await future
        return ("answer", answer) if not isinstance(answer, Exception) else ("inference_failed", (answer,))

    remote = RemoteDevice(loop, send, served.runner.model_inputs, device.grouping, served.runner.cut)
    return service_of(given, Batcher(Tunables(), given.max_batch_size, remote, lambda _: None))


async def asked(service: ModelService, arrays: Rows) -> Rows:
    return dict((await infer(service, InferRequest(arrays, len(next(iter(arrays.values())))))).outputs)


def assert_own(found: Rows, expected: Rows) -> None:
    for name, value in expected.items():
        assert found[name].shape == value.shape
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5)


def texts(count: int) -> list[Rows]:
    random = np.random.default_rng(0)
    shapes = [(int(random.integers(1, 4)), int(random.integers(1, 17))) for _ in range(count)]
    return [{"input_ids": random.integers(0, 100, each), "attention_mask": np.ones(each, np.int64)} for each in shapes]


def images(count: int) -> list[Rows]:
    random, sizes = np.random.default_rng(0), [(8, 8), (12, 16), (7, 10), (12, 8)]
    return [{"image": random.integers(0, 255, (1, 3, *sizes[n % 4]), np.uint8)} for n in range(count)]


def eagerly(network: str, request: Rows, *outputs: str) -> Rows:
    with torch.inference_mode():
        result = getattr(open_networks, network)().eval()(*map(torch.from_numpy, request.values()))
    return {outputs[0]: result.numpy()}


CASES = [("Tagger", NER, texts, "tags"), ("Segments", SEGMENTS, images, "mask")]


@pytest.mark.parametrize("place", [here, through_an_ingress])
@pytest.mark.parametrize("network, keys, requests, output", CASES)
def test_requests_of_mixed_sizes_get_their_own_answers(
    network: str,
    keys: dict[str, Any],
    requests: Callable[[int], list[Rows]],
    output: str,
    place: Callable[[ModelConfig], ModelService],
) -> None:
    async def main() -> None:
        service, sent = place(config(network, **keys)), requests(40)
        found = await asyncio.gather(*(asked(service, each) for each in sent))
        for request, answer in zip(sent, found, strict=True):
            assert_own(answer, eagerly(network, request, output))

    asyncio.run(main())


@pytest.mark.parametrize("on_loop", [False, True])
def test_unpadded_sizes_share_forwards_with_their_like_alone(on_loop: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[BatchResult] = []
    monkeypatch.setattr("deployments.batching.cpu_executor.INLINE_MS", 1e9)

    async def main() -> None:
        given = config("Segments", **SEGMENTS)
        device = device_of(given, on_loop)[1]
        service = service_of(given, Batcher(Tunables(), given.max_batch_size, device, ran.append))
        # A few first: the event loop runs what comes at once itself, and the rest waits for the device.
        for few in (images(4), images(40)):
            await asyncio.gather(*(asked(service, each) for each in few))

    asyncio.run(main())
    assert any(each.rows > 1 for each in ran)
    for each in ran:
        assert len({part.item.arrays["image"].shape[2:] for part, _ in each.answers}) == 1


@pytest.mark.parametrize("network", ["Boxes", "ListOfBoxes"])
def test_counts_are_each_requests_own_and_a_split_request_gets_one_answer(network: str) -> None:
    async def main() -> None:
        service = here(config(network, inputs=[X8], outputs=BOXES))
        rows = np.random.default_rng(0).normal(size=(20, 8)).astype("f")
        boxes, _, counts = (each.detach().numpy() for each in open_networks.Boxes().found(torch.from_numpy(rows)))
        alone = await asyncio.gather(*(asked(service, {"x": rows[n : n + 1]}) for n in range(20)))
        for row, found in enumerate(alone):
            assert_own(found, {"count": counts[row : row + 1], "boxes": boxes[row : row + 1, : counts[row]]})
        # More rows than a forward takes: its parts may differ in the size that data decides.
        whole = await asked(service, {"x": rows})
        for row, count in enumerate(counts):
            np.testing.assert_allclose(whole["boxes"][row, :count], boxes[row, :count], rtol=1e-4, atol=1e-5)
            assert not whole["boxes"][row, count:].any()

    asyncio.run(main())


def test_a_count_beyond_what_there_is_fails_its_own_request_alone() -> None:
    async def main() -> None:
        x = {**X8, "low": -1, "high": 1}
        service = here(config("Miscounts", inputs=[x], outputs=BOXES))
        rows = [np.full((1, 8), 200 if n == 3 else 0.1 * n, np.float32) for n in range(8)]
        found = await asyncio.gather(*(asked(service, {"x": each}) for each in rows), return_exceptions=True)
        assert [isinstance(each, InferenceFailed) for each in found] == [n == 3 for n in range(8)]

    asyncio.run(main())


def test_sizes_that_no_batch_has_are_refused_with_their_dimension() -> None:
    async def main() -> None:
        service = here(config("Tagger", **NER))
        with pytest.raises(BadRequest, match="'input_ids' has 17 as tokens, this model takes at most 16: shorten it"):
            await asked(
                service, {"input_ids": np.ones((1, 17), np.int64), "attention_mask": np.ones((1, 17), np.int64)}
            )
        with pytest.raises(BadRequest, match="tokens must be the same in every input; got "):
            await asked(service, {"input_ids": np.ones((1, 5), np.int64), "attention_mask": np.ones((1, 4), np.int64)})

    asyncio.run(main())


def test_a_dimension_at_two_places_of_an_input_is_the_same_at_both() -> None:
    async def main() -> None:
        square = {"name": "x", "datatype": "FP32", "shape": ["batch", "side", "side"]}
        sums = {"name": "y", "datatype": "FP32", "shape": ["batch", "side"]}
        dims = {"side": {"sizes": [4, 8], "pad": "none"}}
        service = here(config("Sums", inputs=[square], outputs=[sums], dims=dims))
        x = np.random.default_rng(0).normal(size=(1, 6, 6)).astype(np.float32)
        [found] = (await asked(service, {"x": x})).values()
        np.testing.assert_allclose(found, x.sum(2), rtol=1e-4, atol=1e-5)
        with pytest.raises(BadRequest, match=r"side must be the same in every input; got {'x': \[8, 4\]}"):
            await asked(service, {"x": np.ones((1, 8, 4), np.float32)})
        with pytest.raises(BadRequest, match="'x' has 9 as side, this model takes at most 8"):
            await asked(service, {"x": np.ones((1, 9, 8), np.float32)})

    asyncio.run(main())


def test_both_sizes_of_an_array_that_share_a_name_are_held_against_it() -> None:
    async def main() -> None:
        matrix = {"name": "matrix", "datatype": "FP32", "shape": ["batch", "n", "n"]}
        sums = {"name": "sums", "datatype": "FP32", "shape": ["batch", "n"]}
        service = here(config("RowSums", inputs=[matrix], outputs=[sums], dims={"n": {"sizes": [4, 8]}}))
        for sizes, told in (
            ((90, 8), "'matrix' has 90 as n, this model takes at most 8"),
            ((3, 6), r"n must be the same in every input; got {'matrix': \[3, 6\]}"),
        ):
            with pytest.raises(BadRequest, match=told):
                await asked(service, {"matrix": np.ones((1, *sizes), np.float32)})
        assert_own(await asked(service, {"matrix": np.ones((1, 3, 3), np.float32)}), {"sums": np.full((1, 3), 3.0)})

    asyncio.run(main())


def test_a_hook_that_returns_unlike_sizes_fails_its_request_alone() -> None:
    async def main() -> None:
        tensors = [Tensor(name, "FP32", (-1, -1), named=(axis_named(1, "n"),)) for name in "ab"]
        dims = dims_in({"n": DimConfig(sizes=(4, 8), pad="none")})

        def hook(rows: Rows) -> Rows:
            return {"a": np.ones((1, 3), np.float32), "b": np.ones((1, int(rows["x"][0, 0])), np.float32)}

        ready = preprocessor(hook, tensors, dims)
        assert ready is not None
        alike = await ready(InferRequest({"x": np.full((1, 1), 3, np.float32)}, 1), until_s=time.perf_counter() + 9)
        assert set(alike) == {"a", "b"}
        with pytest.raises(InferenceFailed):
            await ready(InferRequest({"x": np.full((1, 1), 4, np.float32)}, 1), until_s=time.perf_counter() + 9)

    asyncio.run(main())
