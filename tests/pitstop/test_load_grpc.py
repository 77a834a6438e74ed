"""gRPC without generated code: what is sent by hand is what the protocol's own code reads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from deployments.stubs import open_inference_pb2 as pb
from pitstop.load.bodies import requests
from pitstop.load.errors import LoadError
from pitstop.load.plan import Plan
from pitstop.load.run import run
from pitstop.load.sender_grpc import METHOD
from pitstop.load.sender_http import Address
from pitstop.load.summary import summarise
from pitstop.load.target import Target

INPUTS = ({"name": "x", "datatype": "FP32", "shape": [-1, 3]}, {"name": "t", "datatype": "BYTES", "shape": [-1]})
TARGET = Target("http://127.0.0.1/v2/models/m", "m", "", Address("127.0.0.1", 80), INPUTS)
SEEN: list[Any] = []


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server that notes requests, and refuses every so many-th where the test asks for it."""
    refused = getattr(request, "param", 0)

    def infer(message: Any, context: grpc.ServicerContext) -> bytes:
        SEEN.append((message, dict(context.invocation_metadata())))
        if refused and not len(SEEN) % refused:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        return b""

    SEEN.clear()
    server = grpc.server(ThreadPoolExecutor(2))
    service, method = METHOD.strip("/").split("/")
    handler = grpc.unary_unary_rpc_method_handler(infer, pb.ModelInferRequest.FromString, None)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    found = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield found
    server.stop(None)


def test_the_protocols_own_code_reads_what_is_sent(port: int) -> None:
    sent = requests(TARGET, None, rows=2, length=1)
    plan = Plan(rate_rps=50, seconds=0.5, warmup_s=0)
    summary = summarise(plan, run(TARGET, sent, "grpc", port, plan, lambda _: None))
    assert summary.answered > 5
    assert summary.errors == {}
    message, metadata = SEEN[0]
    assert (message.model_name, metadata["application"]) == ("m", "m")
    assert [(each.name, each.datatype, list(each.shape)) for each in message.inputs] == [
        ("x", "FP32", [2, 3]),
        ("t", "BYTES", [2]),
    ]
    assert list(message.raw_input_contents) == [tensor.raw() for tensor in sent[0]]


@pytest.mark.parametrize("port", [4], indirect=True)
def test_refusals_are_counted_by_their_status(port: int) -> None:
    plan = Plan(rate_rps=100, seconds=0.5, warmup_s=0)
    record = run(TARGET, requests(TARGET, None, 1, 1), "grpc", port, plan, lambda _: None)
    assert list(summarise(plan, record).errors) == ["gRPC RESOURCE_EXHAUSTED"]


@pytest.mark.parametrize("port", [1], indirect=True)
def test_a_server_that_refuses_the_first_request_is_told_with_what_it_says(port: int) -> None:
    with pytest.raises(LoadError, match="RESOURCE_EXHAUSTED full"):
        run(TARGET, requests(TARGET, None, 1, 1), "grpc", port, Plan(rate_rps=10, seconds=1), lambda _: None)
