"""What a transport and a model agree on: a request, its result, and the service that turns one into the other.

HTTP and gRPC each read their wire into an `InferRequest`; from there on they are the same. It and the `InferResult` are
frozen: whoever needs another one, say with less time left, makes a copy. Knows no transport.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from configs.schema import Tunables
from models.signature import Array, Signature

from .access.guard import Guard
from .batching.queue import IsDisconnected
from .predict.predict import Predictor

Outputs = dict[str, Array]


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """One output that the client wants. `classification` is k of the k highest, 0 where values are wanted."""

    name: str
    binary: bool
    classification: int


# msgspec makes one of these in half the time that a frozen dataclass takes.
class InferRequest(msgspec.Struct, frozen=True, eq=False):
    """A checked request: an array per input of the signature, each [rows, ...].

    `priority` is 1 to 10, 1 first, or 0 for none. `version` is the one that must answer, "" where any may.
    `is_disconnected` tells whether the client has left.
    """

    inputs: dict[str, Array]
    rows: int
    id: str | None = None
    outputs: tuple[RequestedOutput, ...] = ()
    timeout_s: float | None = None
    priority: int = 0
    version: str = ""
    is_disconnected: IsDisconnected | None = None


class InferResult(msgspec.Struct, frozen=True, eq=False):
    """The outcome of a request: an array per output, each [rows, ...], or the error in their place.

    `version` is the one that answered.
    """

    version: str
    outputs: Outputs
    error: Exception | None = None


OnInferResult = Callable[[InferResult], None]


class FastReader(Protocol):
    """Reads the body of the usual request; returns None for one that takes the whole protocol to read."""

    def __call__(
        self, body: bytes, version: str = "", is_disconnected: IsDisconnected | None = None
    ) -> InferRequest | None: ...


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What does not change of a model while it is served.

    Batches have at most `max_rows` rows; without a limit in the config they have `best_rows`, which is fastest.
    `longest` is the longest row that was warmed, None where all rows are alike.
    """

    name: str
    version: str
    signature: Signature
    predict: Predictor
    fast_reader: FastReader
    max_rows: int
    best_rows: int
    guard: Guard | None = None
    longest: int | None = None


class Counts(Protocol):
    """What a transport counts of a model; figures.model_metrics.ModelMetrics is one."""

    def count_failure(self, kind: str) -> None: ...

    def count_time(self, stage: str, seconds: float) -> None: ...


class Service(Protocol):
    """A model as a transport sees it; service.ModelService is one."""

    @property
    def info(self) -> ModelInfo: ...

    @property
    def counts(self) -> Counts: ...

    @property
    def tunables(self) -> Tunables: ...

    def versions(self) -> tuple[str, ...]:
        """Return the versions that a client may ask for, the model's own first."""
        ...

    def ready(self, version: str = "") -> bool: ...

    def metadata(self, version: str = "") -> dict[str, Any]: ...

    def config(self) -> dict[str, Any]: ...

    def stats(self, version: str = "") -> dict[str, Any]: ...

    def begin(self, request: InferRequest, on_result: OnInferResult) -> None:
        """Take a request; `on_result` gets its result on the event loop, once, perhaps before this returns."""
        ...


async def infer(service: Service, request: InferRequest) -> InferResult:
    """Answer a checked request. Whoever stops waiting for this has left, as far as the request knows.

    Raises:
        Exception: the error of the result.
    """
    future: asyncio.Future[InferResult] = asyncio.get_running_loop().create_future()
    left = False

    def on_result(result: InferResult) -> None:
        if not future.done():
            future.set_result(result)

    def is_disconnected() -> bool:
        return left or (request.is_disconnected is not None and request.is_disconnected())

    service.begin(msgspec.structs.replace(request, is_disconnected=is_disconnected), on_result)
    try:
        result = await future
    finally:
        left = True
    if result.error is not None:
        raise result.error
    return result
