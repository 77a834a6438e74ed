"""Whatever is sent to a server over HTTP and gRPC: no 5xx, no crash, no hang, and no memory that stays."""

import random
from typing import Any

import grpc
import pytest
import requests
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, openapi
from schemathesis.core.result import Ok

from tests.fuzz import seeds
from tests.fuzz.conftest import ALL, Served, bearer
from tests.fuzz.mutate import BODIES, mutated
from tests.fuzz.talk import Talk, memory_mib

pytestmark = pytest.mark.ray

Code = grpc.StatusCode
MAY_GROW_MIB = 64
# Writing a case from the description takes schemathesis a hundred times as long as the server takes to answer it.
DESCRIBED = max(2, BODIES // 1000)
FRAMED = BODIES // 10
OVER_GRPC = BODIES // 5
MUTATED = BODIES - FRAMED - OVER_GRPC
EASY: dict[str, Any] = {"database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}
MAY_BE = {
    Code.OK,
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.UNAUTHENTICATED,  # One of the models asks for a token, and its name is drawn too.
    Code.RESOURCE_EXHAUSTED,
    Code.DEADLINE_EXCEEDED,
}


@pytest.fixture
def talk(served: Served) -> Talk:
    return Talk(served.url)


def test_bodies_and_headers_broken_at_random(served: Served, talk: Talk) -> None:
    chance, good = random.Random(22), seeds.http()
    before: dict[str, float] = {}
    for count in range(MUTATED):
        if count == MUTATED // 4:
            before = memory_mib(served.serving.mark)
        seed = chance.choice(good)
        headers = {**seed.headers, **bearer(ALL)}
        if "Inference-Header-Content-Length" in headers and chance.random() < 0.3:
            headers["Inference-Header-Content-Length"] = str(chance.choice([0, 1, len(seed.body), -1, 2**63, "x"]))
        body = seed.body if chance.random() < 0.05 else mutated(chance, seed.body)
        talk.send("POST", f"/v2/models/{seed.model}{seed.path}", headers, body)
    assert talk.wrong == []
    assert talk.statuses.keys() <= {200, 400, 404, 408, 413, 415, 500, 503}
    assert talk.statuses[200] > MUTATED // 100
    after = memory_mib(served.serving.mark)
    assert before.keys() == after.keys(), "a replica ended, or began"
    assert {each for each in after if after[each] - before[each] > MAY_GROW_MIB} == set()


def test_binary_framing_that_does_not_add_up(talk: Talk) -> None:
    sizes = st.one_of(st.integers(-2, 20), st.just(2**63), st.just("8"), st.just(None), st.floats())

    @settings(max_examples=FRAMED, **EASY)
    @given(data=st.data(), tail=st.binary(max_size=64), claimed=st.integers(-1, 300), given_sizes=st.lists(sizes))
    def sends(data: st.DataObject, tail: bytes, claimed: int, given_sizes: list[Any]) -> None:
        head = seeds.framed(given_sizes, data.draw(st.lists(st.integers(-1, 2**40), max_size=3)))
        length = data.draw(st.sampled_from([claimed, len(head), len(head) + len(tail)]))
        headers = {"Inference-Header-Content-Length": str(length), **bearer(ALL)}
        talk.send("POST", "/v2/models/echo/infer", headers, head + tail)

    sends()
    assert talk.wrong == []


def test_every_route_of_the_server_s_description(served: Served, talk: Talk) -> None:
    description = requests.get(f"{served.url}/openapi.json", headers=bearer(ALL), timeout=60).json()
    models = {path.split("/")[3] for path in description["paths"] if path.startswith("/v2/models/")}
    assert models == {"echo", "open"}
    _bound(description["components"]["schemas"])
    for described in openapi.from_dict(description).get_all_operations():
        assert isinstance(described, Ok)
        operation = described.ok()
        _send(talk, operation.as_strategy(GenerationMode.POSITIVE))
        try:
            _send(talk, operation.as_strategy(GenerationMode.NEGATIVE))
        except Unsatisfiable:  # Without parameters or a body there is nothing to get wrong.
            assert not list(operation.iter_parameters())
    assert talk.wrong == []
    assert {200, 400, 404} <= talk.statuses.keys()


def _bound(schemas: dict[str, Any]) -> None:
    """Keep what is drawn small: the description has no bounds, for the server has none but the body's size."""
    for name, schema in schemas.items():
        if name.endswith(".InferRequest"):
            tensors = schema["properties"]["inputs"]["items"]
            for tensor in tensors.get("oneOf", [tensors]):
                tensor["properties"].get("data", {})["maxItems"] = 32
            schema["properties"]["outputs"]["maxItems"] = 4
        if name.endswith(".PredictRequest"):
            schema["properties"]["instances"]["maxItems"] = 4


def _send(talk: Talk, strategy: Any) -> None:
    @settings(max_examples=DESCRIBED, **EASY)
    @given(case=strategy)
    def sends(case: Any) -> None:
        case.headers.update(bearer(ALL))
        try:
            answer = case.call(base_url=talk.url, timeout=60)
        except (requests.exceptions.InvalidHeader, UnicodeError):  # No client of HTTP can send it.
            return
        status = answer.status_code
        talk.statuses[status] = talk.statuses.get(status, 0) + 1
        if status >= 500 and not (status == 503 and "retry-after" in answer.headers):
            talk.wrong.append(f"{status} to {case.as_curl_command()}")

    sends()


@pytest.mark.parametrize("way", ["proxy", "one hop"])
def test_messages_broken_at_random(served: Served, way: str) -> None:
    chance, good = random.Random(23), seeds.grpc()
    one_hop = yaml.safe_load(served.serving.config.read_text())["grpc_options"]["port"]
    port = served.serving.grpc_port if way == "proxy" else one_hop
    metadata = [("authorization", f"Bearer {ALL}"), *([("application", "echo")] if way == "one hop" else [])]
    codes: set[Any] = set()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        methods = ["ModelInfer"] * 6 + ["ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata"]
        calls = {name: channel.unary_unary(f"/inference.GRPCInferenceService/{name}") for name in methods}
        stream = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        for count in range(OVER_GRPC // 2):
            sent = mutated(chance, good)
            try:
                if count % 10 == 0:
                    assert len(list(stream(iter([sent, good]), metadata=metadata, timeout=60))) == 2
                else:
                    calls[chance.choice(methods)](sent, metadata=metadata, timeout=60)
            except grpc.RpcError as error:
                codes.add(error.code())
        assert calls["ServerLive"](b"", metadata=metadata, timeout=60) == b"\x08\x01"
    assert codes <= MAY_BE
