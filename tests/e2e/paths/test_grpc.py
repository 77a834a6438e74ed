"""The Open Inference service as a client meets it: through the gRPC proxy with no metadata, and in one hop with it."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import numpy as np
import pytest
import requests
import yaml

from deployments.protocol.encoding import to_binary
from deployments.stubs import open_inference_pb2 as pb
from deployments.stubs.open_inference_pb2_grpc import GRPCInferenceServiceStub
from models.signature import NUMPY
from models.zoo.train_digits import split
from tests.serving import Serving

pytestmark = pytest.mark.ray

Code = grpc.StatusCode
Request = pb.ModelInferRequest
Input = pb.ModelInferRequest.InferInputTensor
PROXY, ONE_HOP = "proxy", "one hop"
SECRET = "a secret of the model"
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class Client:
    """One channel. Its calls name the application in the metadata where the port is Serve's own."""

    def __init__(self, channel: Any, way: str) -> None:
        self.channel, self.way = channel, way
        self.stub: Any = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]

    def metadata(self, model: str) -> Sequence[tuple[str, str]]:
        return () if self.way == PROXY else (("application", model),)

    def infer(self, request: Any, timeout: float = 30) -> pb.ModelInferResponse:
        found: pb.ModelInferResponse = self.begin(request, timeout).result()
        return found

    def begin(self, request: Any, timeout: float = 30) -> Any:
        return self.stub.ModelInfer.future(request, metadata=self.metadata(request.model_name), timeout=timeout)

    def ask(self, method: str, request: Any, model: str) -> Any:
        return getattr(self.stub, method)(request, metadata=self.metadata(model), timeout=30)

    def stream(self, requests: Sequence[Any]) -> list[pb.ModelStreamInferResponse]:
        metadata = self.metadata(requests[0].model_name)
        return list(self.stub.ModelStreamInfer(iter(requests), metadata=metadata, timeout=30))


@pytest.fixture(scope="module", params=[PROXY, ONE_HOP])
def client(serving: Serving, request: pytest.FixtureRequest) -> Iterator[Client]:
    one_hop = yaml.safe_load(serving.config.read_text())["grpc_options"]["port"]
    port = serving.grpc_port if request.param == PROXY else one_hop
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED) as channel:
        yield Client(channel, request.param)


def raw(model: str, name: str, datatype: str, array: Any, **more: Any) -> Any:
    tensor = Input(name=name, datatype=datatype, shape=array.shape)
    return Request(model_name=model, inputs=[tensor], raw_input_contents=[to_binary(datatype, array)], **more)


def slow(*values: float, model: str = "slow", **more: Any) -> Any:
    return raw(model, "x", "FP32", np.array(values, np.float32)[:, None], **more)


def values_of(answer: Any, index: int = 0) -> Any:
    output = answer.outputs[index]
    return np.frombuffer(answer.raw_output_contents[index], NUMPY[output.datatype]).reshape(output.shape)


def refused(call: Callable[[], Any]) -> tuple[Any, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return error.code(), error.details()


def forwards(serving: Serving, model: str) -> int:
    found = requests.get(f"{serving.model(model)}/stats", timeout=30).json()["model_stats"][0]
    return int(found["execution_count"])


def test_server_and_models_are_ready_and_describe_themselves(client: Client) -> None:
    assert client.ask("ServerLive", pb.ServerLiveRequest(), "digits").live
    assert client.ask("ServerReady", pb.ServerReadyRequest(), "digits").ready
    assert client.ask("ServerMetadata", pb.ServerMetadataRequest(), "digits").name == "pitstop"
    for model in ("digits", "digits-cpu"):
        assert client.ask("ModelReady", pb.ModelReadyRequest(name=model), model).ready
        found = client.ask("ModelMetadata", pb.ModelMetadataRequest(name=model, version="1"), model)
        assert (found.name, list(found.versions), found.platform) == (model, ["1"], "pytorch")
        assert [(each.name, each.datatype, list(each.shape)) for each in found.inputs] == [
            ("image", "UINT8", [-1, 1, 8, 8])
        ]
        assert found.properties["device"] == "cpu" or found.properties["fallback"] == "null"


@pytest.mark.parametrize("model", ["digits", "digits-cpu"])
def test_the_held_out_digits_are_named_rightly(client: Client, model: str) -> None:
    _, _, images, labels = split()
    answer = client.infer(raw(model, "image", "UINT8", images, id="7"))
    assert (answer.model_name, answer.model_version, answer.id) == (model, "1", "7")
    assert [output.name for output in answer.outputs] == ["probabilities", "label"]
    assert (values_of(answer, 1) == labels).mean() >= 0.98


def test_grpc_and_http_give_the_same_answer(client: Client, serving: Serving) -> None:
    _, _, images, _ = split()
    tensor = {"name": "image", "shape": [5, 1, 8, 8], "datatype": "UINT8", "data": images[:5].ravel().tolist()}
    over_http = requests.post(f"{serving.model('digits')}/infer", json={"inputs": [tensor]}, timeout=30).json()
    over_grpc = values_of(client.infer(raw("digits", "image", "UINT8", images[:5])))
    np.testing.assert_allclose(over_grpc.ravel(), over_http["outputs"][0]["data"], atol=1e-6)


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("typed", [False, True])
def test_tensors_of_several_types_go_in_together_and_come_back(client: Client, rows: int, typed: bool) -> None:
    sent: dict[str, Any] = {
        "FP32": np.arange(2 * rows, dtype=np.float32),
        "INT64": np.arange(2 * rows) - 2**62,
        "FP16": np.full(2 * rows, 0.5, np.float16),
        "BYTES": np.array([b"x" * length for length in range(2 * rows)], object),
    }
    fields = {"FP32": "fp32_contents", "INT64": "int64_contents", "BYTES": "bytes_contents"}
    inputs = [Input(name=f"INPUT{n}", datatype=name, shape=[rows, 2]) for n, name in enumerate(sent)]
    if typed:
        for tensor, (name, array) in zip(inputs, sent.items(), strict=True):
            if name != "FP16":
                tensor.contents.CopyFrom(pb.InferTensorContents(**{fields[name]: array.tolist()}))
        code, details = refused(lambda: client.infer(Request(model_name="echo", inputs=inputs)))
        assert (code, "FP16 has no typed contents" in details) == (Code.INVALID_ARGUMENT, True)
        return
    blobs = [to_binary(name, array) for name, array in sent.items()]
    answer = client.infer(Request(model_name="echo", inputs=inputs, raw_input_contents=blobs))
    for n, name in enumerate(("FP32", "INT64", "FP16")):
        np.testing.assert_array_equal(values_of(answer, n).ravel(), sent[name])
    assert values_of(answer, 3).ravel().tolist() == list(range(2 * rows))


def test_typed_contents_are_answered_raw(client: Client) -> None:
    contents = pb.InferTensorContents(fp32_contents=[1.5, 2])
    tensor = Input(name="x", datatype="FP32", shape=[2, 1], contents=contents)
    assert values_of(client.infer(Request(model_name="slow", inputs=[tensor]))).ravel().tolist() == [3, 4]


def test_a_batch_of_images_far_over_grpc_s_own_limit_passes_both_ways(client: Client) -> None:
    images = np.random.default_rng(0).integers(0, 256, (64, 3, 224, 224), np.uint8)
    answer = client.infer(raw("pixels", "INPUT0", "UINT8", images))
    assert answer.raw_output_contents[0] == images.tobytes()


def parameter(**choice: Any) -> Any:
    return {"timeout": pb.InferParameter(**choice)}


WRONG: list[tuple[Any, Any, str]] = [
    (slow(1, model_version="9"), Code.NOT_FOUND, "model 'slow' has version '1', not '9'"),
    (Request(model_name="slow"), Code.INVALID_ARGUMENT, "inputs must be a list of tensors; got none"),
    (raw("slow", "z", "FP32", np.zeros((1, 1))), Code.INVALID_ARGUMENT, "there is no input 'z'"),
    (raw("slow", "x", "FP64", np.zeros((1, 1))), Code.INVALID_ARGUMENT, "input 'x' is FP32; the request says 'FP64'"),
    (slow(1, parameters=parameter(string_param="1")), Code.INVALID_ARGUMENT, "parameter timeout must be a whole"),
    (slow(1, parameters=parameter(int64_param=10_000)), Code.DEADLINE_EXCEEDED, "no answer within the time allowed"),
    (slow(*range(300)), Code.INVALID_ARGUMENT, "at most 256 at once"),
    (slow(*range(300_000), model="tight"), Code.INVALID_ARGUMENT, "larger than 1 MiB"),
    (slow(-9999), Code.INTERNAL, "the model failed on this input"),
]


@pytest.mark.parametrize("sent, code, sentence", WRONG)
def test_what_goes_wrong_has_its_code_and_a_sentence_of_ours(
    client: Client, sent: Any, code: Any, sentence: str
) -> None:
    found, details = refused(lambda: client.infer(sent))
    assert (found, sentence in details) == (code, True), details
    assert SECRET not in details


def test_a_message_that_does_not_parse_is_told_in_our_words(client: Client) -> None:
    call = client.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    sent = Request(model_name="slow").SerializeToString() + b"\x2a\x02\x0a\xff"
    code, details = refused(lambda: call(sent, metadata=client.metadata("slow"), timeout=30))
    assert (code, "do not parse" in details) == (Code.INVALID_ARGUMENT, True)


def test_an_unknown_model_is_not_found(client: Client) -> None:
    for method, request in (
        ("ModelReady", pb.ModelReadyRequest(name="nothing")),
        ("ModelMetadata", pb.ModelMetadataRequest(name="nothing")),
        ("ModelInfer", Request(model_name="nothing")),
    ):
        code, details = refused(functools.partial(client.ask, method, request, "digits"))
        assert code is Code.NOT_FOUND
        says = "there is no model 'nothing' here; the models are: digits" if client.way == PROXY else "not 'nothing'"
        assert says in details


def test_a_full_queue_is_resource_exhausted_and_loses_nobody_else(client: Client) -> None:
    calls = [client.begin(slow(n, model="tight")) for n in range(20)]
    codes = [call.code() for call in calls]
    assert Code.RESOURCE_EXHAUSTED in codes
    for n, call in enumerate(calls):
        if codes[n] is Code.OK:
            assert values_of(call.result()).tolist() == [[2 * n]]
        else:
            assert (codes[n], "the queue is full: try again in" in call.details()) == (Code.RESOURCE_EXHAUSTED, True)


def test_a_call_whose_deadline_passes_in_the_queue_costs_no_forward(client: Client, serving: Serving) -> None:
    client.infer(slow(1, model="tight"))
    before = forwards(serving, "tight")
    first = client.begin(slow(1, model="tight"))
    # Answered by the same replica, which by then has taken the first.
    client.ask("ModelReady", pb.ModelReadyRequest(name="tight"), "tight")
    late = client.begin(slow(2, model="tight"), timeout=0.02)
    assert late.code() is Code.DEADLINE_EXCEEDED
    assert first.code() is Code.OK
    assert values_of(client.infer(slow(3, model="tight"))).tolist() == [[6]]
    assert forwards(serving, "tight") - before == 2


def test_two_hundred_calls_at_once_on_one_channel_share_forwards(client: Client, serving: Serving) -> None:
    before = forwards(serving, "patient")
    # It keeps the device busy for more than a second, in which the others come, however slow the path is.
    long = client.begin(slow(*range(800), model="patient"))
    calls = [client.begin(slow(n, model="patient")) for n in range(200)]
    assert [values_of(call.result()).item() for call in calls] == [2 * n for n in range(200)]
    assert values_of(long.result()).ravel().tolist() == [2 * n for n in range(800)]
    most = requests.get(f"{serving.model('patient')}/config", timeout=30).json()["max_batch_size"]
    assert forwards(serving, "patient") - before <= 800 // most + 40


def test_a_stream_is_answered_in_order_and_outlives_a_request_that_fails(client: Client, serving: Serving) -> None:
    before = forwards(serving, "slow")
    sent = [slow(n, id=str(n)) for n in range(40)]
    sent[7] = slow(-9999, id="7")
    sent[9].inputs[0].name = "z"
    answers = client.stream(sent)
    assert [answer.infer_response.id for answer in answers] == [str(n) for n in range(40)]
    told = {n: answer.error_message for n, answer in enumerate(answers) if answer.error_message}
    assert told.keys() == {7, 9}
    assert told[7].startswith("the model failed on this input")
    assert "there is no input 'z'" in told[9]
    assert [values_of(answers[n].infer_response).item() for n in (0, 39)] == [0, 78]
    assert forwards(serving, "slow") - before <= 20


@pytest.mark.parametrize("client", [PROXY], indirect=True)
def test_a_stream_through_the_proxy_may_name_several_models(client: Client) -> None:
    _, _, images, _ = split()
    sent = [
        slow(1, id="0"),
        raw("digits", "image", "UINT8", images[:1], id="1"),
        Request(model_name="nothing", id="2"),
        slow(2, id="3"),
    ]
    answers = client.stream(sent)
    assert [answer.infer_response.id for answer in answers] == ["0", "1", "2", "3"]
    assert [answer.infer_response.model_name for answer in answers] == ["slow", "digits", "", "slow"]
    assert "there is no model 'nothing' here" in answers[2].error_message


@pytest.mark.parametrize("client", [ONE_HOP], indirect=True)
def test_serve_s_own_port_without_metadata_finds_nothing(client: Client) -> None:
    code, _ = refused(lambda: client.stub.ServerLive(pb.ServerLiveRequest(), timeout=30))
    assert code is Code.NOT_FOUND


@pytest.mark.parametrize("client", [ONE_HOP], indirect=True)
def test_the_root_application_says_that_it_serves_no_model(client: Client) -> None:
    metadata = (("application", "root"),)
    for call in (
        lambda: client.stub.ServerLive(pb.ServerLiveRequest(), metadata=metadata, timeout=30),
        lambda: client.stub.ModelInfer(slow(1), metadata=metadata, timeout=30),
        lambda: list(client.stub.ModelStreamInfer(iter([slow(1)]), metadata=metadata, timeout=30)),
    ):
        code, details = refused(call)
        assert (code, "serves no model" in details) == (Code.NOT_FOUND, True)


def test_metadata_is_harmless_whatever_its_bytes(client: Client) -> None:
    for name, value in (("x-odd-bin", bytes(range(256))), ("request_id", "x" * 3000), ("traceparent", "odd, ~")):
        metadata = (*client.metadata("slow"), (name, value))
        answer = client.stub.ModelInfer(slow(1), metadata=metadata, timeout=30)
        assert values_of(answer).tolist() == [[2]]


@pytest.mark.parametrize("length", [2000, 5_000_000])
def test_a_name_of_any_length_is_not_found_in_a_short_sentence(client: Client, length: int) -> None:
    for request in (Request(model_name="m" * length), slow(1, model_version="9" * length)):
        metadata = client.metadata("slow")
        code, details = refused(functools.partial(client.stub.ModelInfer, request, metadata=metadata, timeout=30))
        assert (code, len(details) < 500) == (Code.NOT_FOUND, True)
