"""Compares a request with the model: its version, its inputs, their rows, and the outputs that it wants.

Every error of a request is found before its rows share a batch with another client's.
"""

from collections.abc import Container, Mapping
from typing import Any

from models.signature import Array, Signature, Tensor

from ..core.errors import BadRequest, NotFound, show
from ..core.request import RequestedOutput, Service
from .encoding import has_json
from .parameters import flag, in_message, object_of, whole
from .shapes import check_shape


def check(signature: Signature, inputs: Mapping[str, Array]) -> int:
    """Compare arrays with the signature and return their number of rows; 0 is allowed.

    Raises:
        BadRequest: says which input, what was expected, and what was sent.
    """
    rows = -1
    for tensor in signature.inputs:
        array = inputs.get(tensor.name)
        if array is None:
            raise BadRequest(f"input {tensor.name!r} is missing: {_takes(signature)}")
        if array.dtype != tensor.numpy:
            raise BadRequest(f"input {tensor.name!r} is {tensor.datatype}; the data sent is {array.dtype}")
        check_shape(tensor, array.shape)
        if rows not in (-1, array.shape[0]):
            counts = {each: int(inputs[each].shape[0]) for each in inputs}
            raise BadRequest(f"inputs must have the same number of rows, the first size of their shapes; got {counts}")
        rows = array.shape[0]
    if len(inputs) > len(signature.inputs):
        unknown = next(name for name in inputs if signature.input(name) is None)
        raise _unknown_input(signature, unknown)
    return rows


def declared(signature: Signature, name: Any, datatype: Any, seen: Container[str]) -> Tensor:
    """Return the input that a request sends under this name.

    Raises:
        BadRequest: the model has no input of that name, it was sent before, or its datatype is another.
    """
    tensor = signature.input(name) if type(name) is str else None
    if tensor is None:
        raise _unknown_input(signature, name)
    if name in seen:
        raise BadRequest(f"input {name!r} is sent twice")
    if datatype != tensor.datatype:
        raise BadRequest(f"input {name!r} is {tensor.datatype}; the request says {show(datatype)}")
    return tensor


def requested_outputs(signature: Signature, given: Any, binary: bool) -> tuple[RequestedOutput, ...]:
    """Read the `outputs` of a request, by default all of them. `binary` is the default for an output."""
    if given is not None and type(given) is not list:
        raise BadRequest(f"outputs must be a list of objects with a name; got {show(given)}")
    if not given:
        wanted = [RequestedOutput(tensor.name, binary, 0) for tensor in signature.outputs]
    else:
        wanted = [_one(signature, each, binary) for each in given]
    names = set()
    for each in wanted:
        if each.name in names:
            raise BadRequest(f"output {each.name!r} is asked twice")
        names.add(each.name)
        tensor = _output(signature, each.name)
        if not (each.binary or each.classification or has_json(tensor.datatype)):
            raise BadRequest(
                f"output {each.name!r} is {tensor.datatype}, which has no JSON form: ask for it with binary_data true"
            )
    return tuple(wanted)


def no_version(service: Service, version: object) -> NotFound:
    versions = service.versions()
    has = " and ".join(repr(each) for each in versions)
    return NotFound(f"model {service.name!r} has version{'s' * (len(versions) > 1)} {has}, not {show(version)}")


def _one(signature: Signature, each: Any, binary: bool) -> RequestedOutput:
    name = each.get("name") if type(each) is dict else None
    if type(name) is not str:
        raise BadRequest(f"outputs must hold objects with the name of an output; got {show(each)}")
    tensor = _output(signature, name)
    where = f"output {name!r}"
    parameters = object_of(each, where)
    in_message(parameters, where)
    highest = whole(parameters, "classification", where)
    if highest and tensor.datatype == "BYTES":
        raise BadRequest(f"{where} is BYTES, and classification is for numbers: leave it out")
    return RequestedOutput(name, flag(parameters, "binary_data", where, binary), highest)


def _output(signature: Signature, name: str) -> Tensor:
    tensor = signature.output(name)
    if tensor is None:
        names = ", ".join(repr(each.name) for each in signature.outputs)
        raise BadRequest(f"there is no output {show(name)}: this model gives {names}")
    return tensor


def _unknown_input(signature: Signature, name: object) -> BadRequest:
    return BadRequest(f"there is no input {show(name)}: {_takes(signature)}")


def _takes(signature: Signature) -> str:
    described = (f"{each.name!r} {each.datatype} {list(each.shape)}" for each in signature.inputs)
    return f"this model takes {', '.join(described)}"
