"""A ModelInferRequest and its answer, as the Open Inference Protocol defines them over gRPC.

Inputs come typed or raw, never both in one message; outputs are always raw, since clients look for them there. Raw
inputs are views of the message, and raw outputs are written once, after what protobuf wrote.
"""

from typing import Any

from google.protobuf.message import DecodeError

from models.signature import Array, Signature

from ..core.errors import BadRequest, NotFound, show
from ..core.request import InferRequest, InferResult, Service
from ..protocol.classification import as_requested
from ..protocol.encoding import from_binary, to_binary
from ..protocol.parameters import in_message, reserved, scheduling, seed
from ..protocol.requested_outputs import check, declared, no_version, requested_outputs
from ..stubs import open_inference_pb2 as pb
from .contents import from_contents
from .wire import Buffer, malformed, repeated, split

# Triton's streaming client sets it; with one answer to a request, that answer is the final one.
_FINAL = "triton_enable_empty_final_response"
_RAW_INPUTS, _RAW_OUTPUTS = 7, 6


def read(kind: Any, message: bytes) -> Any:
    """Parse a message; the client does not get the text of protobuf's own error."""
    try:
        return kind.FromString(message)
    except DecodeError:
        raise malformed() from None


def parse(service: Service, message: bytes, left_s: float | None = None) -> InferRequest:
    """Read a ModelInferRequest.

    Args:
        service: the model that it reached.
        message: the whole message.
        left_s: the time until the deadline of its call, in seconds, if it has one.

    Raises:
        NotFound: it names another model or version.
        BadRequest: for whatever else is wrong with it.
    """
    rest, raws = split(message, _RAW_INPUTS)
    head = read(pb.ModelInferRequest, rest)
    check_model(service, head.model_name, head.model_version)
    parameters = _parameters(head)
    parameters.pop(_FINAL, None)
    reserved(parameters)
    signature = service.signature
    inputs = _inputs(signature, head.inputs, raws)
    rows = check(signature, inputs)
    outputs = requested_outputs(signature, [_described(each) for each in head.outputs], binary=True)
    timing = scheduling(parameters, left_s)
    version, drawn = head.model_version, seed(parameters)
    return InferRequest(inputs, rows, head.id or None, outputs, *timing, version, drawn, parameters)


def check_model(service: Service, name: str, version: str) -> None:
    """Raise NotFound if a message names another model or version than this replica's."""
    if name != service.name:
        raise NotFound(f"the application asked serves model {service.name!r}, not {show(name)}")
    if version and version not in service.versions():
        raise no_version(service, version)


def render(service: Service, request: InferRequest, result: InferResult) -> list[Buffer]:
    """Write a ModelInferResponse; its bytes are the parts, end to end."""
    head = pb.ModelInferResponse(model_name=service.name, model_version=result.version, id=request.id or "")
    raws: list[Buffer] = []
    for wanted in request.outputs:
        datatype, array = as_requested(result.outputs[wanted.name], wanted.classification)
        head.outputs.add(name=wanted.name, datatype=datatype, shape=array.shape)
        raws.append(to_binary(datatype, array))
    return [head.SerializeToString(), *repeated(_RAW_OUTPUTS, raws)]


def _inputs(signature: Signature, given: Any, raws: list[memoryview]) -> dict[str, Array]:
    if not given:
        raise BadRequest("inputs must be a list of tensors; got none")
    if raws and len(raws) != len(given):
        raise BadRequest(
            f"raw_input_contents has {len(raws)} entries for {len(given)} inputs: send one for each, in their order"
        )
    inputs: dict[str, Array] = {}
    for index, each in enumerate(given):
        tensor = declared(signature, each.name, each.datatype, inputs)
        where = f"input {tensor.name!r}"
        in_message(each.parameters, where)
        if not raws:
            inputs[tensor.name] = from_contents(tensor, list(each.shape), each.contents)
            continue
        if each.contents.ListFields():
            raise BadRequest(f"{where} has contents, and the request raw_input_contents: send all inputs one way")
        inputs[tensor.name] = from_binary(tensor, list(each.shape), raws[index], "its raw_input_contents has")
    return inputs


def _described(output: pb.ModelInferRequest.InferRequestedOutputTensor) -> dict[str, Any]:
    """Write a requested output as in the HTTP body; binary_data means nothing over gRPC."""
    parameters = _parameters(output)
    parameters.pop("binary_data", None)
    return {"name": output.name, "parameters": parameters}


def _parameters(of: Any) -> dict[str, Any]:
    return {name: _value(parameter) for name, parameter in of.parameters.items()}


def _value(parameter: pb.InferParameter) -> Any:
    choice = parameter.WhichOneof("parameter_choice")
    return None if choice is None else getattr(parameter, choice)
