"""What a transport and a model agree on, and the checks that every request passes. Knows no transport.

REST and gRPC each turn their wire into an `InferRequest`; from there on they are the same. Everything that can be
wrong with a request is found here, before its rows can meet a stranger's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from configs.schema import Tunables
from models.signature import Array, Signature

from .access.guard import Guard
from .batching.queue import IsDisconnected, OnResult
from .errors import BadRequest, NotFound, show
from .predict.predict import Predictor
from .protocol.shapes import check_shape

Outputs = dict[str, Array]


@dataclass(slots=True)
class Asked:
    """One output that the client wants. `classification` is k of the k highest, 0 where values are wanted."""

    name: str
    binary: bool
    classification: int


@dataclass(slots=True)
class InferRequest:
    """A checked request: an array per input of the signature, each [rows, ...].

    `priority` is 1 to 10, 1 first, or 0 for none; `gone` tells whether the client has left; `protobuf` whether it came
    as a ModelInferRequest. `version` is the one asked for, if any, and once it is answered the one that did.
    """

    inputs: dict[str, Array]
    rows: int
    id: str | None
    outputs: tuple[Asked, ...]
    timeout_s: float | None = None
    priority: int = 0
    gone: IsDisconnected | None = None
    parse_s: float = 0
    protobuf: bool = False
    version: str = ""


class Service(Protocol):
    """What a transport needs to know of a model; service.ModelService is one, canary.split.Split another."""

    name: str
    version: str
    signature: Signature
    predict: Predictor
    guard: Guard | None

    @property
    def tunables(self) -> Tunables: ...

    def at(self, version: str) -> "Service | None": ...

    def ready(self) -> bool: ...

    def metadata(self) -> dict[str, Any]: ...

    def config(self) -> dict[str, Any]: ...

    def stats(self) -> dict[str, Any]: ...

    def quick(self, body: bytes) -> InferRequest | None: ...

    def begin(self, request: InferRequest, settle: OnResult) -> None: ...

    async def infer(self, request: InferRequest) -> Outputs: ...

    def failed(self, kind: str) -> None: ...

    def timed(self, parse_s: float, send_s: float) -> None: ...


def check(signature: Signature, inputs: Mapping[str, Array]) -> int:
    """Hold arrays against the signature and return how many rows they have; 0 is legal.

    Raises:
        BadRequest: says which input, what was expected, and what came.
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
        raise unknown_input(signature, unknown)
    return rows


def no_version(service: Service, version: object) -> NotFound:
    versions = service.metadata()["versions"]
    has = " and ".join(repr(each) for each in versions)
    return NotFound(f"model {service.name!r} has version{'s' * (len(versions) > 1)} {has}, not {show(version)}")


def unknown_input(signature: Signature, name: object) -> BadRequest:
    return BadRequest(f"there is no input {show(name)}: {_takes(signature)}")


def unknown_output(signature: Signature, name: object) -> BadRequest:
    names = ", ".join(repr(tensor.name) for tensor in signature.outputs)
    return BadRequest(f"there is no output {show(name)}: this model gives {names}")


def _takes(signature: Signature) -> str:
    described = (f"{each.name!r} {each.datatype} {list(each.shape)}" for each in signature.inputs)
    return f"this model takes {', '.join(described)}"
