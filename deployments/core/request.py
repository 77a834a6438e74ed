"""What a transport and a model agree on: a request, its result, and the service that turns one into the other.

HTTP and gRPC both make an `InferRequest`; from there on they are the same. It and the `InferResult` are frozen: to
change one, say the time left, make a copy. Knows no transport.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from configs.schema import Tunables
from models.signature import Array, Signature

from .errors import ServeError
from .observation import ObservedProtocol, ObserverProtocol

Outputs = dict[str, Array]
IsDisconnected = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """One output that the client wants. `classification` is k of the k highest, 0 where values are wanted."""

    name: str
    binary: bool
    classification: int


# msgspec makes one of these in half the time that a frozen dataclass takes.
class InferRequest(msgspec.Struct, frozen=True, eq=False):
    """A checked request: an array per input of the signature, each [rows, ...].

    `priority` is 1 to 10, 1 first, or 0 for none. `version` is the one that must answer, "" if any may. `seed` is for
    the forward's random numbers, if the model draws any. `parameters` are the request's own, for the hooks; None for
    none. `on_prepared` gets the model's arrays once a preprocess has made them here. `observed`: it was sampled for a
    trace or the access log, or its client asks where the time went; it stays in this process.
    """

    inputs: dict[str, Array]
    rows: int
    id: str | None = None
    outputs: tuple[RequestedOutput, ...] = ()
    timeout_s: float | None = None
    priority: int = 0
    version: str = ""
    seed: int | None = None
    parameters: dict[str, Any] | None = None
    on_prepared: Callable[[Mapping[str, Array]], None] | None = None
    observed: ObservedProtocol | None = None


class InferResult(msgspec.Struct, frozen=True, eq=False):
    """The outcome of a request: an array per output, each [rows, ...], or an error instead.

    `version` is the one that answered.
    """

    version: str
    outputs: Outputs
    error: Exception | None = None


OnInferResult = Callable[[InferResult], None]


class Counts(Protocol):
    """What a transport counts of a model; metrics.model_metrics.ModelMetrics is one."""

    def count_failure(self, kind: str) -> None: ...

    def count_time(self, stage: str, seconds: float) -> None: ...


class AuthenticatorProtocol(Protocol):
    """What checks the tokens of a model's requests; auth.authenticator.Authenticator is one."""

    def refusal(self, given: bytes | None) -> ServeError | None: ...

    def check(self, given: bytes | None) -> None: ...

    def check_metadata(self, metadata: Iterable[tuple[str, Any]] | None) -> None: ...


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """What a body of /predict holds. `single`: it was one row as it is, and the answer is one object."""

    inputs: dict[str, Array]
    single: bool
    parameters: dict[str, Any] | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class PredictAnswer:
    """The body of an answer of /predict."""

    body: bytes
    content_type: bytes = b"application/json"


class Predictor(Protocol):
    """How a model reads /predict's body and writes its answer; predict.predict.Predictor is one.

    Both may run a hook, which has `allowed_s`.
    """

    async def read(
        self, body: bytes, content_type: str, allowed_s: float, is_disconnected: IsDisconnected | None
    ) -> PredictRequest: ...

    async def write(
        self, outputs: Mapping[str, Array], single: bool, allowed_s: float, is_disconnected: IsDisconnected | None
    ) -> PredictAnswer: ...


class Service(Protocol):
    """A model as a transport sees it; service.ModelService is one."""

    name: str
    version: str
    signature: Signature

    @property
    def predict(self) -> Predictor: ...

    @property
    def authenticator(self) -> AuthenticatorProtocol | None: ...

    @property
    def counts(self) -> Counts: ...

    @property
    def observer(self) -> ObserverProtocol | None:
        """What samples requests for traces and the access log; None where neither is on."""
        ...

    @property
    def tunables(self) -> Tunables: ...

    def read_usual_json(self, body: bytes) -> InferRequest | None:
        """Read the usual request body; return None for any other, which infer_json.parse reads."""
        ...

    def versions(self) -> tuple[str, ...]:
        """Return the versions that a client may ask for, the model's own first."""
        ...

    def ready(self, version: str = "") -> bool: ...

    def metadata(self, version: str = "") -> dict[str, Any]: ...

    def config(self) -> dict[str, Any]: ...

    def stats(self, version: str = "") -> dict[str, Any]: ...

    def history(self, version: str = "") -> dict[str, Any]: ...

    def begin(
        self, request: InferRequest, on_result: OnInferResult, is_disconnected: IsDisconnected | None = None
    ) -> None:
        """Take a request; `on_result` gets its result on the event loop, once, perhaps before this returns."""
        ...


async def infer(service: Service, request: InferRequest, is_disconnected: IsDisconnected | None = None) -> InferResult:
    """Answer a checked request. If the caller is cancelled, the service takes the client for disconnected.

    Raises:
        Exception: the error of the result.
    """
    future: asyncio.Future[InferResult] = asyncio.get_running_loop().create_future()
    left = False

    def on_result(result: InferResult) -> None:
        if not future.done():
            future.set_result(result)

    service.begin(request, on_result, lambda: left or (is_disconnected is not None and is_disconnected()))
    try:
        result = await future
    finally:
        left = True
    if result.error is not None:
        raise result.error
    return result
