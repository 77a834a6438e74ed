"""A value that an input excludes is refused by every protocol with one sentence, and reaches no queue."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

import grpc
import numpy as np
import orjson
import pytest

from configs.schema import ModelConfig, Tunables
from deployments.batching.batching import Batcher
from deployments.batching.queue import OnResult
from deployments.canary.router import CanaryRouter
from deployments.core.errors import InferenceFailed
from deployments.core.request import InferRequest, infer
from deployments.metrics.model_metrics import ModelMetrics
from deployments.openapi.description import general
from deployments.openapi.model_schemas import example_request, schemas
from deployments.preprocessing import Preprocessor
from deployments.service import ModelService
from models.signature import Array, declared_model_inputs, signature_of
from tests.deployments import fake_rpc
from tests.deployments import fake_service as fake
from tests.deployments.fake_service import FakeService

MODEL: dict[str, Any] = {
    "name": "fake",
    "source": {"factory": "a.b:C"},
    "inputs": [{"name": "ids", "datatype": "INT64", "shape": [-1, 2], "low": 1, "high": 9}],
    "outputs": [{"name": "y", "datatype": "INT64", "shape": [-1, 2]}],
}
ROWS = [[1, 9], [2, 99999], [3, 3]]
SAID = "'ids' has 99999 in row 1, this model takes 1 to 9: send values in this range"


class Queue:
    """In the batcher's place: answers each request with its own rows. `seen` has what was queued."""

    limit = 8
    closed = None
    tunables = Tunables.model_validate({})

    def __init__(self) -> None:
        self.seen: list[Mapping[str, Array]] = []
        self.rows_in_hooks = 0

    def add(self, inputs: Mapping[str, Array], _rows: int, on_result: OnResult, *_: Any) -> None:
        self.seen.append(inputs)
        on_result({"y": inputs["ids"]})

    def admit(self, *_: Any) -> None: ...

    def allowed_s(self, _: float | None) -> float:
        return 20.0


def serving(hook: Preprocessor | None = None, **keys: Any) -> tuple[FakeService, Queue]:
    config, queue = ModelConfig.model_validate({**MODEL, **keys}), Queue()
    canary = CanaryRouter(signature_of(config))
    made = ModelService(config, cast(Batcher, queue), ModelMetrics({}), canary, lambda: {}, preprocess=hook)
    return cast(FakeService, made), queue


def _tensor(rows: list[list[int]], **data: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "ids", "datatype": "INT64", "shape": [len(rows), 2], **data}]}


def usual_json(service: FakeService, rows: list[list[int]]) -> tuple[int, str]:
    answer = fake.infer(service, _tensor(rows, data=np.ravel(rows).tolist()))
    return answer.status, answer.json.get("error", "")


def nested_json(service: FakeService, rows: list[list[int]]) -> tuple[int, str]:
    answer = fake.infer(service, {**_tensor(rows, data=rows), "id": "7", "outputs": [{"name": "y"}]})
    return answer.status, answer.json.get("error", "")


def binary(service: FakeService, rows: list[list[int]]) -> tuple[int, str]:
    blob = np.array(rows, np.int64).tobytes()
    answer = fake.infer(service, _tensor(rows, parameters={"binary_data_size": len(blob)}), blob)
    return answer.status, orjson.loads(answer.body).get("error", "")


def predict(service: FakeService, rows: list[list[int]]) -> tuple[int, str]:
    answer = fake.ask(service, "/predict", {"instances": rows})
    return answer.status, answer.json.get("error", "")


def _message(rows: list[list[int]], raw: bool) -> Any:
    tensor = fake_rpc.Input(name="ids", datatype="INT64", shape=[len(rows), 2])
    if raw:
        blob = np.array(rows, np.int64).tobytes()
        return fake_rpc.Request(model_name="fake", inputs=[tensor], raw_input_contents=[blob])
    tensor.contents.int64_contents.extend(np.ravel(rows).tolist())
    return fake_rpc.Request(model_name="fake", inputs=[tensor])


def _rpc(service: FakeService, request: Any) -> tuple[int, str]:
    _, context = fake_rpc.call(service, "ModelInfer", request)
    return {grpc.StatusCode.OK: 200, grpc.StatusCode.INVALID_ARGUMENT: 400}[context.code], context.details


def rpc_typed(service: FakeService, rows: list[list[int]]) -> tuple[int, str]:
    return _rpc(service, _message(rows, raw=False))


def rpc_raw(service: FakeService, rows: list[list[int]]) -> tuple[int, str]:
    return _rpc(service, _message(rows, raw=True))


def rpc_stream(service: FakeService, rows: list[list[int]]) -> tuple[int, str]:
    [answer], _ = fake_rpc.stream(service, [_message(rows, raw=True)])
    return 400 if answer.error_message else 200, answer.error_message


PROTOCOLS = [usual_json, nested_json, binary, predict, rpc_typed, rpc_raw, rpc_stream]


@pytest.mark.parametrize("send", PROTOCOLS, ids=lambda each: each.__name__)
def test_every_protocol_names_the_row_and_the_value_that_are_refused(
    send: Callable[[FakeService, list[list[int]]], tuple[int, str]],
) -> None:
    service, queue = serving()
    status, said = send(service, ROWS)
    assert (status, SAID in said, queue.seen) == (400, True, [])
    assert send(service, [ROWS[0], ROWS[2]]) == (200, "")
    assert len(queue.seen) == 1


def test_the_command_that_predict_names_has_numbers_that_are_taken() -> None:
    service, _ = serving()
    answer = fake.ask(service, "/predict", b"no JSON", headers={"content-type": "text/plain"})
    assert (answer.status, '{"instances": [[1, 1]]}' in answer.json["error"]) == (400, True)
    assert predict(service, [[1, 1]]) == (200, "")


async def _infer(service: FakeService, rows: list[list[int]]) -> Any:
    return await infer(service, InferRequest({"ids": np.array(rows)}, len(rows)))


@pytest.mark.parametrize("bounds", [{"low": 1, "high": 9}, {}])
def test_what_a_preprocess_returns_is_held_against_model_inputs_and_is_no_fault_of_the_client(
    bounds: dict[str, int],
) -> None:
    [declared] = MODEL["inputs"]
    free = {**declared, "low": None, "high": None}
    hooked = {"preprocess": "a.b:c", "inputs": [free], "model_inputs": [{**free, **bounds}]}
    config = ModelConfig.model_validate({**MODEL, **hooked})
    hook = Preprocessor(lambda rows: {"ids": rows["ids"]}, declared_model_inputs(config) or ())
    service, queue = serving(hook, **hooked)
    if not bounds:
        asyncio.run(_infer(service, ROWS))
        assert len(queue.seen) == 1
        return
    with pytest.raises(InferenceFailed) as caught:
        asyncio.run(_infer(service, ROWS))
    assert caught.value.status == 500
    assert "99999" not in caught.value.message
    assert "values that model_inputs excludes: 'ids' has 99999 in row 1" in str(caught.value.cause)
    assert queue.seen == []


def test_the_metadata_and_the_openapi_description_have_the_bounds() -> None:
    dims = {"n": {"sizes": [2], "pad": 0}}
    service, _ = serving(inputs=[{**MODEL["inputs"][0], "shape": ["batch", "n"]}], dims=dims, outputs=MODEL["outputs"])
    assert service.metadata()["properties"]["ranges"] == {"ids": {"low": 1, "high": 9, "padding": 0}}
    service, _ = serving()
    metadata = service.metadata()
    assert metadata["properties"]["ranges"] == {"ids": {"low": 1, "high": 9, "padding": None}}
    found = schemas("fake", metadata, general()["components"]["schemas"])
    tensor = found["fake.InferRequest"]["properties"]["inputs"]["items"]["properties"]["data"]["items"]
    assert (tensor["minimum"], tensor["maximum"]) == (1, 9)
    [row, _] = found["fake.PredictRequest"]["properties"]["instances"]["items"]["oneOf"]
    assert row["items"] == {"type": "integer", "minimum": 1, "maximum": 9}
    assert "minimum" not in found["fake.InferAnswer"]["properties"]["outputs"]["items"]["properties"]["data"]["items"]
    example = example_request(metadata)
    assert example is not None
    assert fake.infer(service, example).status == 200
