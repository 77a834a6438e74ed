"""A model with its canary before it, as a transport meets it, without Ray."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import orjson
import pytest

from configs.problems import ConfigError
from configs.schema import ModelConfig, Tunables
from deployments.applications import canaries
from deployments.batching.batching import Batcher
from deployments.batching.queue import Item
from deployments.canary.router import CanaryRouter
from deployments.core.errors import NotFound
from deployments.core.request import InferResult, Service, infer
from deployments.http.bodies import Scope
from deployments.http.exchange import read_infer, write_infer
from deployments.http.rest import build, infer_paths
from deployments.metrics.model_metrics import ModelMetrics
from deployments.protobuf import tensors as rpc_tensors
from deployments.service import ModelService
from deployments.stubs import open_inference_pb2 as pb
from models.signature import signature_of
from tests.deployments.fake_service import identity

SHARE = {"canary": {"application": "next", "percent": 100}}
BODY = orjson.dumps({"inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [1], "data": [7]}]})


CONFIG = ModelConfig.model_validate(
    {
        "name": "fake",
        "source": {"factory": "a.b:C"},
        "inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [-1]}],
        "outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": [-1]}],
    }
)


class Device:
    """Version 1, which gives back what it gets."""

    limit = 1
    waiting_rows = 0
    idle = True

    def set_limit(self, rows: int) -> None:
        pass

    def put(self, items: Sequence[Item]) -> None:
        for item in items:
            item.end({"OUTPUT0": item.arrays["INPUT0"]})

    def drop_expired(self) -> None:
        pass

    def listen(self, done: object) -> None:
        pass


class Next:
    """Version 2, which gives -1."""

    def __init__(self, application: str) -> None:
        assert application == "next"

    async def canary_status(self) -> dict[str, Any]:
        signature = identity("FP32").signature
        described = {kind: [each.describe() for each in getattr(signature, kind)] for kind in ("inputs", "outputs")}
        return {"metadata": {"name": "next", "versions": ["2"], **described}, "stats": {"name": "next", "version": "2"}}

    async def answer(self, *_: object) -> Any:
        return "answer", {"OUTPUT0": np.full(1, -1, np.float32)}


def run(
    scenario: Callable[[ModelService, CanaryRouter], Awaitable[None]], user_config: dict[str, Any] | None = SHARE
) -> None:
    """Run a scenario once the canary, where there is one, has been seen."""

    async def started() -> None:
        router, counts = CanaryRouter(signature_of(CONFIG), Next), ModelMetrics({})
        batcher = Batcher(Tunables(), CONFIG.max_batch_size, Device(), counts.count_forward)
        model = ModelService(CONFIG, batcher, counts, router, lambda: {})
        model.reconfigure(user_config)
        if router._canary is not None:
            await router._canary.client.look()
        await scenario(model, router)

    asyncio.run(started())


async def asked(model: Service, body: bytes = BODY, version: str = "") -> tuple[str, float]:
    """Ask as the short path does; return the version told and the value."""
    request = read_infer(model, {}, body, version)
    done: asyncio.Future[InferResult] = asyncio.get_running_loop().create_future()
    model.begin(request, done.set_result)
    result = await done
    assert result.error is None, result
    found = orjson.loads(write_infer(model, {}, request, result).body)
    return found["model_version"], found["outputs"][0]["data"][0]


async def over_http(model: Service, path: str, method: str = "POST") -> tuple[int, Any]:
    sent: list[Any] = []
    scope: Scope = {"type": "http", "method": method, "path": path, "headers": [], "root_path": ""}

    async def receive() -> Any:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await build(model)(scope, receive, send)
    return sent[0]["status"], orjson.loads(sent[1]["body"])


def test_without_a_canary_the_model_answers_as_ever() -> None:
    async def scenario(model: ModelService, _: CanaryRouter) -> None:
        assert await asked(model) == ("1", 7)
        assert model.metadata()["versions"] == ["1"]
        assert "canary" not in model.stats()["model_stats"][0]["pitstop"]
        assert model.versions() == ("1",)

    run(scenario, None)


def test_the_short_path_and_a_version_in_its_url_agree() -> None:
    async def scenario(model: ModelService, _: CanaryRouter) -> None:
        paths = infer_paths(model)
        for path, answer in (("infer", ("2", -1)), ("versions/1/infer", ("1", 7))):
            endpoint = paths[f"/v2/models/fake/{path}"]
            assert await asked(endpoint.service, version=endpoint.version) == answer

    run(scenario)


@pytest.mark.parametrize("prefix", ["/v2/models/fake", ""])
def test_a_version_in_the_url_decides(prefix: str) -> None:
    async def scenario(model: ModelService, _: CanaryRouter) -> None:
        for version, value in (("1", 7.0), ("2", -1.0)):
            status, found = await over_http(model, f"{prefix}/versions/{version}/infer")
            assert (status, found["model_version"], found["outputs"][0]["data"]) == (200, version, [value])
            status, found = await over_http(model, f"{prefix}/versions/{version}/", "GET")
            assert (status, found["name"]) == (200, "fake")
            assert "versions" in found
        status, found = await over_http(model, f"{prefix}/versions/3/infer")
        assert (status, found["error"]) == (404, "model 'fake' has versions '1' and '2', not '3'")

    run(scenario)


def test_a_version_in_a_grpc_message_decides() -> None:
    async def scenario(model: ModelService, _: CanaryRouter) -> None:
        for version, value in (("", -1), ("1", 7), ("2", -1)):
            message = pb.ModelInferRequest(model_name="fake", model_version=version)
            message.inputs.add(name="INPUT0", datatype="FP32", shape=[1]).contents.fp32_contents.append(7)
            request = rpc_tensors.parse(model, message.SerializeToString())
            written = b"".join(rpc_tensors.render(model, request, await infer(model, request)))
            found = pb.ModelInferResponse.FromString(written)
            assert found.model_version == (version or "2")
            assert np.frombuffer(found.raw_output_contents[0], np.float32).tolist() == [value]
        with pytest.raises(NotFound, match="'1' and '2', not '3'"):
            rpc_tensors.check_model(model, "fake", "3")

    run(scenario)


def test_the_share_changes_in_place_and_goes() -> None:
    async def scenario(model: ModelService, router: CanaryRouter) -> None:
        canary = router._canary
        model.reconfigure({"canary": {"application": "next", "percent": 0}})
        assert router._canary is canary
        assert await asked(model) == ("1", 7)
        model.reconfigure({})
        assert router._canary is None
        assert await asked(model) == ("1", 7)

    run(scenario)


def test_a_bad_share_is_refused_and_the_old_one_stays() -> None:
    async def scenario(model: ModelService, _: CanaryRouter) -> None:
        with pytest.raises(ConfigError):
            model.reconfigure({"canary": {"application": "next", "percent": 101}})
        assert await asked(model) == ("2", -1)

    run(scenario)


def test_each_version_has_its_statistics() -> None:
    async def scenario(model: ModelService, _: CanaryRouter) -> None:
        await asked(model)
        stable, canary = model.stats()["model_stats"]
        assert (stable["name"], stable["version"], canary["name"], canary["version"]) == ("fake", "1", "fake", "2")
        assert stable["pitstop"]["canary"]["outcomes"] == {"answered": 1}

    run(scenario)


def test_readiness_knows_which_applications_are_canaries() -> None:
    stable = {"deployed_app_config": {"deployments": [{"name": "Model", "user_config": SHARE}]}}
    plain = {"deployed_app_config": {"deployments": [{"name": "Model", "user_config": None}, {"name": "Ingress"}]}}
    assert canaries([stable, plain, {"deployed_app_config": None}, {}]) == {"next"}
