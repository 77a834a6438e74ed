"""The stubs have the protocol's field numbers and types: a wrong one would be read as another field, in silence."""

import re
from pathlib import Path
from typing import Any

import pytest

from deployments.stubs import open_inference_pb2 as pb

PROTO = Path(__file__).resolve().parents[3] / "deployments" / "open_inference.proto"

# As the protocol has them: number, name, type; `*` where the field is repeated, `{}` for a map's value.
FACTS = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "1 live bool",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "1 ready bool",
    "ModelReadyRequest": "1 name string, 2 version string",
    "ModelReadyResponse": "1 ready bool",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "1 name string, 2 version string, 3 extensions *string",
    "ModelMetadataRequest": "1 name string, 2 version string",
    "ModelMetadataResponse": "1 name string, 2 versions *string, 3 platform string, 4 inputs *TensorMetadata,"
    " 5 outputs *TensorMetadata, 6 properties {string}",
    "ModelMetadataResponse.TensorMetadata": "1 name string, 2 datatype string, 3 shape *int64",
    "ModelInferRequest": "1 model_name string, 2 model_version string, 3 id string, 4 parameters {InferParameter},"
    " 5 inputs *InferInputTensor, 6 outputs *InferRequestedOutputTensor, 7 raw_input_contents *bytes",
    "ModelInferRequest.InferInputTensor": "1 name string, 2 datatype string, 3 shape *int64,"
    " 4 parameters {InferParameter}, 5 contents InferTensorContents",
    "ModelInferRequest.InferRequestedOutputTensor": "1 name string, 2 parameters {InferParameter}",
    "ModelInferResponse": "1 model_name string, 2 model_version string, 3 id string, 4 parameters {InferParameter},"
    " 5 outputs *InferOutputTensor, 6 raw_output_contents *bytes",
    "ModelInferResponse.InferOutputTensor": "1 name string, 2 datatype string, 3 shape *int64,"
    " 4 parameters {InferParameter}, 5 contents InferTensorContents",
    "ModelStreamInferResponse": "1 error_message string, 2 infer_response ModelInferResponse",
    "InferParameter": "1 bool_param bool, 2 int64_param int64, 3 string_param string, 4 double_param double,"
    " 5 uint64_param uint64",
    "InferTensorContents": "1 bool_contents *bool, 2 int_contents *int32, 3 int64_contents *int64,"
    " 4 uint_contents *uint32, 5 uint64_contents *uint64, 6 fp32_contents *float, 7 fp64_contents *double,"
    " 8 bytes_contents *bytes",
}
TYPES = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    8: "bool",
    9: "string",
    12: "bytes",
    13: "uint32",
}


def type_of(field: Any) -> str:
    message = field.message_type
    if message is None:
        return TYPES[field.type]
    if message.GetOptions().map_entry:
        return "{" + type_of(message.fields_by_name["value"]) + "}"
    return str(message.name)


def described(message: Any) -> str:
    return ", ".join(f"{field.number} {field.name} {repeated(field)}{type_of(field)}" for field in message.fields)


def repeated(field: Any) -> str:
    return "*" if field.is_repeated and not type_of(field).startswith("{") else ""


@pytest.mark.parametrize("name", FACTS)
def test_a_message_has_the_protocol_s_fields(name: str) -> None:
    top, _, nested = name.partition(".")
    message = pb.DESCRIPTOR.message_types_by_name[top]
    assert described(message.nested_types_by_name[nested] if nested else message) == FACTS[name]


def test_no_message_is_there_that_the_protocol_has_not() -> None:
    nested = {f"{top.name}.{inner.name}" for top in messages() for inner in top.nested_types}
    entries = {name for name in nested if name.endswith("Entry")}
    assert {top.name for top in messages()} | (nested - entries) == FACTS.keys()


def messages() -> list[Any]:
    return list(pb.DESCRIPTOR.message_types_by_name.values())


def test_the_service_is_found_where_clients_call_it() -> None:
    service = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert service.full_name == "inference.GRPCInferenceService"
    methods = {method.name: (method.client_streaming, method.server_streaming) for method in service.methods}
    unary = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
    assert methods == {**dict.fromkeys(unary, (False, False)), "ModelStreamInfer": (True, True)}
    for method in service.methods:
        answer = "ModelStreamInferResponse" if method.server_streaming else f"{method.name}Response"
        asked = "ModelInferRequest" if method.server_streaming else f"{method.name}Request"
        assert (method.input_type.name, method.output_type.name) == (asked, answer)


def test_the_stubs_are_of_the_proto_beside_them() -> None:
    written = re.findall(r"^message (\w+)|^  rpc (\w+)", PROTO.read_text(), re.MULTILINE)
    service = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert {top for top, _ in written if top} == {message.name for message in messages()}
    assert [method for _, method in written if method] == [method.name for method in service.methods]


def test_the_stubs_run_under_protobuf_6() -> None:
    stub = Path(pb.__file__).read_text()
    assert "Protobuf Python Version: 6.30.0" in stub
