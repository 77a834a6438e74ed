"""An ingress replica whose device is of another config: the request is answered by one of the two, never by both."""

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from configs.schema import ModelConfig, Tunables
from deployments.batching.batching import Batcher
from deployments.batching.remote import BlockReply, RemoteDevice
from deployments.canary.router import CanaryRouter
from deployments.contract import Ask, Elsewhere, contract_of, described
from deployments.core.errors import BadRequest, NotReady, OtherVersion, ServeError, TimedOut
from deployments.core.request import InferRequest, InferResult, infer
from deployments.metrics.model_metrics import ModelMetrics
from deployments.model import Model
from deployments.postprocessing import Postprocessor
from deployments.service import ModelService
from models.signature import Array, Signature, Tensor, signature_of

CONFIG = ModelConfig.model_validate(
    {
        "name": "m",
        "source": {"factory": "tests.models.networks:Linear"},
        "postprocess": "tests.models.networks:never_asked",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
    }
)
REQUEST = InferRequest({"x": np.array([1, 2], np.float32)}, 2, parameters={"unit": "km"}, timeout_s=5, seed=7)


def test_a_contract_is_of_what_the_args_say_whatever_their_order_and_the_type_of_their_keys() -> None:
    first = contract_of({"source": {"kwargs": {"names": {0: "a", 1: "b"}, "n": 3}}})
    assert first == contract_of({"source": {"kwargs": {"n": 3, "names": {1: "b", 0: "a"}}}})
    assert first != contract_of({"source": {"kwargs": {"n": 3, "names": {1: "b", 0: "c"}}}})


def answered(ask: Ask, others: int = 1, requests: int = 1) -> list[Any]:
    """Ask a service whose device refuses the first blocks; a result, or the error's class."""

    async def send(arrays: dict[str, Array], _rows: int, _s: float, _requests: int, _seed: int | None) -> BlockReply:
        nonlocal others
        others -= 1
        return (OtherVersion.kind, ()) if others >= 0 else ("answer", {"n": arrays["x"]})

    async def main() -> list[Any]:
        signature = signature_of(CONFIG)
        counts = ModelMetrics({})
        device = RemoteDevice(asyncio.get_running_loop(), send)
        service = ModelService(
            CONFIG,
            Batcher(Tunables(), 8, device, counts.count_forward),
            counts,
            CanaryRouter(signature),
            lambda: {},
            postprocess=Postprocessor(lambda rows: {"y": 10 * rows["n"]}, signature.outputs),
            elsewhere=Elsewhere(ask),
        )
        return await asyncio.gather(*(infer(service, REQUEST) for _ in range(requests)), return_exceptions=True)

    return asyncio.run(main())


async def by_other(request: InferRequest) -> tuple[str, BlockReply]:
    assert (request.parameters, request.seed, request.rows) == ({"unit": "km"}, 7, 2)
    assert request.timeout_s is not None
    assert 0 < request.timeout_s <= 5
    return "2", ("answer", {"y": request.inputs["x"] + 100})


def told(found: Any) -> tuple[str, list[float]]:
    assert isinstance(found, InferResult), found
    return found.version, found.outputs["y"].tolist()


def test_a_device_of_another_config_answers_the_whole_request_and_the_own_hooks_do_not_touch_it() -> None:
    assert [told(each) for each in answered(by_other)] == [("2", [101, 102])]
    assert [told(each) for each in answered(by_other, others=0)] == [("1", [10, 20])]


def test_every_request_of_a_refused_block_is_answered_by_itself() -> None:
    assert [told(each) for each in answered(by_other, others=9, requests=3)] == [("2", [101, 102])] * 3


@pytest.mark.parametrize(
    "reply, error",
    [
        ((BadRequest.kind, ("no",)), BadRequest),
        ((NotReady.kind, ()), NotReady),
        (RuntimeError("the replica is lost"), NotReady),
        (TimeoutError(), TimedOut),
    ],
)
def test_what_the_other_says_instead_is_the_error(reply: Any, error: type[ServeError]) -> None:
    async def ask(_: InferRequest) -> tuple[str, BlockReply]:
        if isinstance(reply, Exception):
            raise reply
        return "2", reply

    assert [type(each) for each in answered(ask)] == [error]


def test_a_contract_is_the_same_for_the_same_args_in_any_order_and_no_others() -> None:
    args: dict[str, Any] = {"name": "m", "source": {"factory": "a:b", "kwargs": {"k": 1}}}
    assert contract_of(args) == contract_of(dict(reversed(args.items())))
    assert contract_of(args) != contract_of({**args, "source": {"factory": "a:b", "kwargs": {"k": 2}}})


def test_a_device_tells_and_answers_only_what_is_of_its_config_or_has_its_tensors() -> None:
    signature = signature_of(CONFIG)
    device: Any = SimpleNamespace(_contract="a", _config=CONFIG, service=SimpleNamespace(signature=signature))
    others = described(Signature((Tensor("z", "FP32", (-1,)),), signature.outputs))

    async def main() -> list[Any]:
        return [
            await Model.about(device, "b"),
            await Model.block(device, "b", {}, 1, 1.0, 1, None),
            await Model.answer_for(device, REQUEST, others),
            await Model.answer_for(device, InferRequest({}, 1, version="9"), described(signature)),
        ]

    refused = ("1", (NotReady.kind, ()))
    assert asyncio.run(main()) == [None, (OtherVersion.kind, ()), refused, refused]
