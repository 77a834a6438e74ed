"""What a request names of the model: its inputs, each once and of the right datatype, and the outputs it wants."""

from collections.abc import Container
from typing import Any

from models.signature import Signature, Tensor

from ..errors import BadRequest, show
from ..inference import Asked, unknown_input, unknown_output
from .encoding import has_json
from .parameters import flag, in_message, object_of, whole


def declared(signature: Signature, name: Any, datatype: Any, seen: Container[str]) -> Tensor:
    """Return the input that a request sends under this name.

    Raises:
        BadRequest: the model has none of that name, it was sent before, or its datatype is another.
    """
    tensor = signature.input(name) if type(name) is str else None
    if tensor is None:
        raise unknown_input(signature, name)
    if name in seen:
        raise BadRequest(f"input {name!r} is sent twice")
    if datatype != tensor.datatype:
        raise BadRequest(f"input {name!r} is {tensor.datatype}; the request says {show(datatype)}")
    return tensor


def asked_outputs(signature: Signature, given: Any, binary: bool) -> tuple[Asked, ...]:
    """Read the `outputs` of a request; with none, all are asked. `binary` holds where an output says nothing."""
    if given is not None and type(given) is not list:
        raise BadRequest(f"outputs must be a list of objects with a name; got {show(given)}")
    if not given:
        asked = [Asked(tensor.name, binary, 0) for tensor in signature.outputs]
    else:
        asked = [_one(signature, each, binary) for each in given]
    names = set()
    for each in asked:
        if each.name in names:
            raise BadRequest(f"output {each.name!r} is asked twice")
        names.add(each.name)
        tensor = signature.output(each.name)
        if tensor is None:
            raise unknown_output(signature, each.name)
        if not (each.binary or each.classification or has_json(tensor.datatype)):
            raise BadRequest(
                f"output {each.name!r} is {tensor.datatype}, which has no JSON form: ask for it with binary_data true"
            )
    return tuple(asked)


def _one(signature: Signature, each: Any, binary: bool) -> Asked:
    name = each.get("name") if type(each) is dict else None
    if type(name) is not str:
        raise BadRequest(f"outputs must hold objects with the name of an output; got {show(each)}")
    if signature.output(name) is None:
        raise unknown_output(signature, name)
    where = f"output {name!r}"
    parameters = object_of(each, where)
    in_message(parameters, where)
    return Asked(name, flag(parameters, "binary_data", where, binary), whole(parameters, "classification", where))
