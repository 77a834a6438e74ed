"""The RPCs themselves: what each answers, and that whatever goes wrong is told by a status and a sentence of ours."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import orjson
import pytest

from deployments.core.errors import BadRequest, InferenceFailed, NotReady, QueueFull, ServeError, TimedOut, TooLarge
from deployments.grpc.calls import METHODS, servicer
from deployments.stubs import open_inference_pb2 as pb
from models.signature import Tensor
from tests.deployments.fake_rpc import (
    Context,
    Input,
    Output,
    Owner,
    Request,
    call,
    column,
    parameter,
    raw,
    refused,
    stream,
    typed,
)
from tests.deployments.fake_service import FakeService, identity, raising, signature

Code = grpc.StatusCode
GOOD = raw(column([1], np.float32), "FP32")


@pytest.mark.parametrize("up", [True, False])
def test_the_server_is_live_and_ready_as_its_model_is(up: bool) -> None:
    service = identity("FP32")
    service.up = up
    live, _ = call(service, "ServerLive", b"")
    assert pb.ServerLiveResponse.FromString(live).live
    ready, _ = call(service, "ServerReady", b"")
    assert pb.ServerReadyResponse.FromString(ready).ready is up
    ready, _ = call(service, "ModelReady", pb.ModelReadyRequest(name="fake", version="1"))
    assert pb.ModelReadyResponse.FromString(ready).ready is up


def test_the_server_names_itself_and_only_what_grpc_serves() -> None:
    answer, _ = call(identity("FP32"), "ServerMetadata", b"")
    found = pb.ServerMetadataResponse.FromString(answer)
    assert (found.name, list(found.extensions)) == ("pitstop", ["binary_tensor_data"])
    assert found.version


def test_the_model_describes_itself_with_its_properties_as_text() -> None:
    service = identity("FP32", 3)
    tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [-1, 3]}
    described = {"name": "fake", "versions": ["1"], "platform": "pytorch", "inputs": [tensor], "outputs": []}
    properties = {"device": "cpu", "checks": [{"code": "passed"}], "fallback": None}

    def metadata(version: str = "") -> dict[str, Any]:  # noqa: ARG001  # As the service has it.
        return {**described, "properties": properties, "new": 1}

    service.metadata = metadata  # type: ignore[method-assign]
    answer, _ = call(service, "ModelMetadata", pb.ModelMetadataRequest(name="fake"))
    found = pb.ModelMetadataResponse.FromString(answer)
    assert (found.name, list(found.versions), found.platform) == ("fake", ["1"], "pytorch")
    assert [(each.name, each.datatype, list(each.shape)) for each in found.inputs] == [("INPUT0", "FP32", [-1, 3])]
    assert found.properties["device"] == "cpu"
    assert orjson.loads(found.properties["checks"]) == [{"code": "passed"}]


@pytest.mark.parametrize(
    "method, request_",
    [
        ("ModelReady", pb.ModelReadyRequest(name="other")),
        ("ModelMetadata", pb.ModelMetadataRequest(name="other")),
        ("ModelInfer", Request(model_name="other")),
        ("ModelReady", pb.ModelReadyRequest(name="fake", version="2")),
        ("ModelMetadata", pb.ModelMetadataRequest(name="fake", version="2")),
        ("ModelInfer", Request(model_name="fake", model_version="2")),
        ("ModelInfer", Request()),
    ],
)
def test_another_model_or_version_is_not_found(method: str, request_: Any) -> None:
    context = refused(identity("FP32"), request_, method)
    assert context.code is Code.NOT_FOUND
    wanted = "has version '1', not '2'" if "fake" in str(request_) else "serves model 'fake', not "
    assert wanted in context.details


@pytest.mark.parametrize("method", ["ModelReady", "ModelMetadata", "ModelInfer"])
def test_a_message_that_does_not_parse_is_told_in_our_words(method: str) -> None:
    context = refused(identity("FP32"), b"\x0a\xff", method)
    assert context.code is Code.INVALID_ARGUMENT
    assert "do not parse as the protocol's protobuf" in context.details


def test_an_inner_message_that_does_not_parse_is_told_in_our_words() -> None:
    context = refused(identity("FP32"), b"\x0a\x04fake\x2a\x02\x0a\xff")
    assert (context.code, context.details[:40]) == (Code.INVALID_ARGUMENT, "the message is not what this method take")


def service() -> FakeService:
    declared = signature(
        [Tensor("x", "FP32", (-1, 2)), Tensor("n", "UINT8", (-1,)), Tensor("s", "BYTES", (-1,))],
        [Tensor("y", "FP32", (-1, 2))],
    )
    return FakeService(declared, lambda rows: {"y": rows["x"]})


def contents(**fields: Any) -> Any:
    return pb.InferTensorContents(**fields)


def x(**more: Any) -> Any:
    given = {"name": "x", "datatype": "FP32", "shape": [1, 2], "contents": contents(fp32_contents=[1, 2]), **more}
    return Input(**{name: value for name, value in given.items() if value is not None})


def n(**more: Any) -> Any:
    return Input(**{"name": "n", "datatype": "UINT8", "shape": [1], "contents": contents(uint_contents=[3]), **more})


def s(**more: Any) -> Any:
    return Input(
        **{"name": "s", "datatype": "BYTES", "shape": [1], "contents": contents(bytes_contents=[b"a"]), **more}
    )


def body(*inputs: Any, **more: Any) -> Any:
    first, rest = (inputs or (x(),))[0], inputs[1:]
    missing = [make() for make in (n, s) if make().name not in {each.name for each in rest}]
    return Request(model_name="fake", inputs=[first, *rest, *missing], **more)


def raws(*blobs: bytes, **more: Any) -> Any:
    shapes = more.pop("shapes", [[1, 2], [1], [1]])
    named = zip(("x", "n", "s"), ("FP32", "UINT8", "BYTES"), shapes, strict=True)
    inputs = [Input(name=name, datatype=datatype, shape=shape) for name, datatype, shape in named]
    return Request(model_name="fake", inputs=inputs, raw_input_contents=blobs, **more)


X, N, S = b"12345678", b"3", b"\1\0\0\0a"
TEN = 10**12

BAD: list[tuple[Any, str]] = [
    (Request(model_name="fake"), "inputs must be a list of tensors; got none"),
    (Request(model_name="fake", inputs=[x(), n()]), "input 's' is missing"),
    (body(x(), x()), "input 'x' is sent twice"),
    (body(x(name="z")), "there is no input 'z': this model takes 'x' FP32 [-1, 2]"),
    (body(x(name="")), "there is no input ''"),
    (body(x(datatype="FP64")), "input 'x' is FP32; the request says 'FP64'"),
    (body(x(datatype="")), "input 'x' is FP32; the request says ''"),
    (body(x(shape=[])), "input 'x' has shape [-1, 2], -1 being open; got []"),
    (body(x(shape=[-1, 2])), "shape must be a list of sizes, 0 or more; got [-1, 2]"),
    (body(x(shape=[1, 3])), "got [1, 3]"),
    (body(x(shape=[TEN, 2])), "shape [1000000000000, 2] has 2000000000000 elements, fp32_contents has 2"),
    (body(x(shape=[2**62, 2])), "more elements than there can be"),
    (body(x(shape=[2**62, 2**62])), "input 'x' has shape [-1, 2]"),
    (body(x(shape=[2, 2])), "shape [2, 2] has 4 elements, fp32_contents has 2"),
    (body(x(shape=[2, 2], contents=contents(fp32_contents=[1, 2, 3, 4]))), "the same number of rows"),
    (body(x(contents=None)), "shape [1, 2] has 2 elements, fp32_contents has 0"),
    (body(x(contents=contents(fp64_contents=[1, 2]))), "its values belong in fp32_contents; got fp64_contents"),
    (body(x(contents=contents(fp32_contents=[1, 2], int_contents=[1]))), "belong in fp32_contents; got int_contents"),
    (body(x(), n(contents=contents(uint_contents=[256]))), "input 'n' is UINT8 and takes 0 to 255; got 256"),
    (body(x(), n(contents=contents(int_contents=[3]))), "belong in uint_contents; got int_contents"),
    (body(x(), s(contents=contents(bytes_contents=[]))), "bytes_contents has 0"),
    (body(x(parameters={"shared_memory_region": parameter("r")})), "input 'x' is said to lie in shared memory"),
    (body(parameters={"triton_x": parameter(1)}), "names that begin with triton_ are reserved"),
    (body(parameters={"timeout": parameter(-1)}), "parameter timeout must be a whole number, 0 or more; got -1"),
    (body(parameters={"timeout": parameter(1.5)}), "parameter timeout must be a whole number, 0 or more; got 1.5"),
    (body(parameters={"timeout": parameter("1")}), "parameter timeout must be a whole number, 0 or more; got '1'"),
    (
        body(parameters={"timeout": pb.InferParameter()}),
        "parameter timeout must be a whole number, 0 or more; got None",
    ),
    (body(parameters={"timeout": pb.InferParameter(uint64_param=2**64 - 1)}), "parameter timeout must be a whole"),
    (body(parameters={"seed": parameter(-1)}), "parameter seed must be a whole number from 0 to 2**63 - 1; got -1"),
    (body(parameters={"seed": parameter("1")}), "parameter seed must be a whole number from 0 to 2**63 - 1; got '1'"),
    (body(parameters={"seed": pb.InferParameter(uint64_param=2**63)}), "parameter seed must be a whole number from 0"),
    (body(parameters={"priority": parameter(True)}), "parameter priority must be a whole number"),
    (body(outputs=[Output(name="z")]), "there is no output 'z': this model gives 'y'"),
    (body(outputs=[Output()]), "there is no output ''"),
    (body(outputs=[Output(name="y"), Output(name="y")]), "output 'y' is asked twice"),
    (body(outputs=[Output(name="y", parameters={"classification": parameter(-1)})]), "parameter classification must"),
    (
        body(outputs=[Output(name="y", parameters={"shared_memory_region": parameter("r")})]),
        "output 'y' is said to lie",
    ),
    (raws(X), "raw_input_contents has 1 entries for 3 inputs: send one for each, in their order"),
    (raws(X, N, S, b""), "raw_input_contents has 4 entries for 3 inputs"),
    (raws(b"1234567", N, S), "FP32 of shape [1, 2] takes 8 bytes, its raw_input_contents has 7"),
    (raws(X, N, S, shapes=[[TEN, 2], [1], [1]]), "takes 8000000000000 bytes, its raw_input_contents has 8"),
    (raws(X, N, b"\0\0\0"), "1 BYTES elements take at least 4 bytes, there are 3"),
    (raws(X, N, b"\2\0\0\0a"), "BYTES element 0 ends at byte 6, the data at 5"),
    (raws(X, N, b"\1\0\0\0ab"), "1 bytes are left over after 1 BYTES elements"),
    (raws(X, N, S, shapes=[[1, 2], [1], [10**11]]), "take at least 400000000000 bytes, there are 5"),
    (body(raw_input_contents=[X, N, S]), "input 'x' has contents, and the request raw_input_contents: send all inputs"),
]


@pytest.mark.parametrize("sent, sentence", BAD)
def test_a_bad_request_is_told_what_is_wrong(sent: Any, sentence: str) -> None:
    model = service()
    context = refused(model, sent)
    assert context.code is Code.INVALID_ARGUMENT
    assert sentence in context.details
    assert len(context.details) < 500
    assert model.failures == ["bad_request"]
    assert model.seen == []


@pytest.mark.parametrize(
    "datatype, field, beyond",
    [
        ("INT8", "int_contents", [0, 128]),
        ("INT8", "int_contents", [-129]),
        ("INT16", "int_contents", [32768]),
        ("INT16", "int_contents", [-32769]),
        ("UINT8", "uint_contents", [256]),
        ("UINT16", "uint_contents", [0, 65536, 70000]),
    ],
)
def test_a_number_beyond_its_datatype_is_refused(datatype: str, field: str, beyond: list[int]) -> None:
    context = refused(identity(datatype), typed(field, beyond, datatype))
    assert context.code is Code.INVALID_ARGUMENT
    assert f"input 'INPUT0' is {datatype} and takes " in context.details
    assert "got " in context.details


def test_half_precision_is_not_taken_typed() -> None:
    context = refused(identity("FP16"), typed("fp32_contents", [1.0], "FP16"))
    assert "FP16 has no typed contents; send it in raw_input_contents" in context.details


@pytest.mark.parametrize(
    "error, code",
    [
        (BadRequest("too many rows"), Code.INVALID_ARGUMENT),
        (TooLarge(1), Code.INVALID_ARGUMENT),
        (QueueFull(3), Code.RESOURCE_EXHAUSTED),
        (TimedOut(), Code.DEADLINE_EXCEEDED),
        (NotReady(), Code.UNAVAILABLE),
        (InferenceFailed(), Code.INTERNAL),
    ],
)
def test_an_error_in_service_has_its_status(error: ServeError, code: Any) -> None:
    model = raising(error)
    context = refused(model, GOOD)
    assert (context.code, context.details) == (code, error.message)
    assert model.failures == [error.kind]


def test_a_message_over_the_limit_is_refused_before_it_is_read() -> None:
    model = identity("FP32")
    model.tunables = model.tunables.model_copy(update={"max_body_mib": 0.0001})
    context = refused(model, b"\xff" * 200)
    assert context.code is Code.INVALID_ARGUMENT
    assert model.failures == ["too_large"]


def test_a_model_that_is_not_ready_takes_nothing() -> None:
    model = identity("FP32")
    model.up = False
    assert refused(model, GOOD).code is Code.UNAVAILABLE
    assert model.seen == []


def test_a_fault_of_ours_is_logged_and_never_shown(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("pitstop"), "propagate", True)
    model = raising(RuntimeError("secret"))
    context = refused(model, GOOD)
    assert context.code is Code.INTERNAL
    assert context.details == "internal error; the server log has it under request id abc-7"
    assert "secret" in caplog.text
    assert "abc-7" in caplog.text
    assert model.failures == ["internal"]


@pytest.mark.parametrize("method", ["ServerReady", "ModelReady", "ModelMetadata"])
def test_no_method_lets_an_exception_out(method: str) -> None:
    model = identity("FP32")

    def fail(version: str = "") -> Any:  # noqa: ARG001  # As the service has it.
        raise RuntimeError("secret")

    model.ready = model.metadata = fail  # type: ignore[method-assign]
    context = refused(model, pb.ModelReadyRequest(name="fake"), method)
    assert context.code is Code.INTERNAL
    assert "secret" not in context.details


def test_a_client_that_leaves_is_no_fault() -> None:
    model = raising(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        call(model, "ModelInfer", GOOD)
    assert model.failures == []


def test_a_sentence_that_utf_8_cannot_write_is_told_all_the_same() -> None:
    assert refused(raising(BadRequest("\udcff!")), GOOD).details == "?!"
    [answer], _ = stream(raising(BadRequest("\udcff!")), [GOOD])
    assert answer.error_message == "?!"


def test_a_stream_goes_on_after_a_request_that_failed() -> None:
    requests = [raw(column([value], np.float32), "FP32", id=str(value)) for value in range(3)]
    requests[1].inputs[0].name = "z"
    answers, context = stream(identity("FP32"), requests)
    assert context.code is Code.OK
    assert [answer.infer_response.id for answer in answers] == ["0", "1", "2"]
    assert [bool(answer.error_message) for answer in answers] == [False, True, False]
    assert "there is no input 'z'" in answers[1].error_message
    assert answers[2].infer_response.raw_output_contents[0] == np.float32(2).tobytes()
    assert answers[0].infer_response.parameters["triton_final_response"].bool_param


def test_a_stream_tells_of_a_fault_without_its_text() -> None:
    [answer, other], context = stream(raising(RuntimeError("secret")), [GOOD, b"\xff"])
    assert answer.error_message == "internal error; the server log has it under request id abc-7"
    assert "do not parse" in other.error_message
    assert context.code is Code.OK


def test_triton_s_streaming_client_may_ask_for_a_final_response() -> None:
    asked = {"triton_enable_empty_final_response": parameter(True)}
    [answer], _ = stream(identity("FP32"), [raw(column([1], np.float32), "FP32", parameters=asked)])
    assert answer.error_message == ""


def test_a_stream_that_breaks_is_ended_without_exception_text() -> None:
    context = Context()

    async def broken() -> AsyncIterator[bytes]:
        raise RuntimeError("secret")
        yield b""

    async def run() -> list[Any]:
        owner = Owner(identity("FP32"))
        return [each async for each in METHODS["ModelStreamInfer"](owner, broken(), grpc_context=context)]

    with pytest.raises(ServeError):
        asyncio.run(run())
    assert context.code is Code.INTERNAL
    assert "secret" not in context.details


def test_serve_finds_the_methods_and_their_context() -> None:
    import inspect

    @servicer
    class Model:
        pass

    for method in pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods:
        assert "grpc_context" in inspect.signature(getattr(Model, method.name)).parameters


def test_what_is_left_of_a_deadline_bounds_the_time_limit() -> None:
    class Deadline(Context):
        def time_remaining(self) -> float:
            return 0.5

    service = identity("FP32")
    asyncio.run(METHODS["ModelInfer"](Owner(service), GOOD.SerializeToString(), grpc_context=Deadline()))
    assert service.seen[0].timeout_s == 0.5
