"""A model with no model behind it, and a client with no socket: what the transport tests stand on."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import orjson

from configs.schema import Tunables
from deployments.auth.authenticator import Authenticator
from deployments.core.observation import ObserverProtocol
from deployments.core.request import Counts, InferRequest, InferResult, IsDisconnected, OnInferResult
from deployments.http.bodies import Scope
from deployments.http.json_fast_path import reader
from deployments.http.rest import build
from deployments.predict.answers import WriteAnswer
from deployments.predict.predict import Predictor, ReadImage
from models.signature import Array, Signature, Tensor

Infer = Callable[[dict[str, Array]], dict[str, Array]]
# The ends of what each datatype holds, and something between.
WHOLE_NUMBERS: dict[str, list[Any]] = {
    "BOOL": [True, False, True],
    "UINT8": [0, 7, 255],
    "UINT16": [0, 7, 65535],
    "UINT32": [0, 7, 2**32 - 1],
    "UINT64": [0, 7, 2**64 - 1],
    "INT8": [-128, 0, 127],
    "INT16": [-32768, 0, 32767],
    "INT32": [-(2**31), 0, 2**31 - 1],
    "INT64": [-(2**63), 0, 2**63 - 1],
}


class FakeService:
    """Satisfies request.Service. `act` makes the outputs from the inputs."""

    def __init__(
        self, signature: Signature, act: Infer, image: ReadImage | None = None, answer: WriteAnswer | None = None
    ) -> None:
        self.name, self.version = "fake", "1"
        self.signature = signature
        self.tunables = Tunables.model_validate({})
        self.predict = Predictor(signature, image, answer)
        self.act = act
        self.up = True
        self.observer: ObserverProtocol | None = None
        self.failures: list[str] = []
        self.authenticator: Authenticator | None = None
        self.read_usual_json = reader(signature)
        self.seen: list[InferRequest] = []
        self.is_disconnected: IsDisconnected | None = None

    @property
    def counts(self) -> Counts:
        return self

    def versions(self) -> tuple[str, ...]:
        return (self.version,)

    def ready(self, version: str = "") -> bool:
        assert version in ("", self.version)
        return self.up

    def metadata(self, version: str = "") -> dict[str, Any]:
        assert version in ("", self.version)
        return {"name": self.name, "versions": [self.version]}

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "max_batch_size": 4}

    def stats(self, version: str = "") -> dict[str, Any]:
        assert version in ("", self.version)
        return {"model_stats": []}

    def history(self, version: str = "") -> dict[str, Any]:
        assert version in ("", self.version)
        return {"samples": []}

    def begin(
        self, request: InferRequest, on_result: OnInferResult, is_disconnected: IsDisconnected | None = None
    ) -> None:
        self.seen.append(request)
        self.is_disconnected = is_disconnected
        on_result(self.result(request))

    def result(self, request: InferRequest) -> InferResult:
        return InferResult(self.version, self.act(request.inputs))

    def count_time(self, stage: str, seconds: float) -> None:
        pass

    def count_failure(self, kind: str) -> None:
        self.failures.append(kind)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


def signature(inputs: list[Tensor], outputs: list[Tensor]) -> Signature:
    return Signature(tuple(inputs), tuple(outputs))


def identity(datatype: str, *row: int) -> FakeService:
    """A model that gives INPUT0 back as OUTPUT0, as Triton's own tests use them."""
    shape = (-1, *row)
    declared = signature([Tensor("INPUT0", datatype, shape)], [Tensor("OUTPUT0", datatype, shape)])
    return FakeService(declared, lambda rows: {"OUTPUT0": rows["INPUT0"]})


def raising(error: BaseException) -> FakeService:
    """A service whose model raises."""
    service = identity("FP32")

    def act(_rows: dict[str, Array]) -> dict[str, Array]:
        raise error

    service.act = act
    return service


def call(
    service: FakeService,
    path: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    chunks: list[bytes] | None = None,
) -> Answer | None:
    """Send one request through the whole application; None where nothing was answered."""
    sent: list[Any] = []
    parts = [body] if chunks is None else chunks
    waiting = [
        {"type": "http.request", "body": part, "more_body": index < len(parts) - 1} for index, part in enumerate(parts)
    ]

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    given = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope: Scope = {"type": "http", "method": method, "path": path, "headers": given, "root_path": ""}
    asyncio.run(build(service)(scope, receive, send))
    if not sent:
        return None
    start, *rest = sent
    found = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answer(start["status"], found, b"".join(message["body"] for message in rest))


def ask(service: FakeService, path: str, body: Any = b"", **options: Any) -> Answer:
    """Call with a body that may be an object, and insist on an answer; paths are below the model's."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = call(service, f"/v2/models/fake{path}", payload, **options)
    assert answer is not None
    return answer


def infer(service: FakeService, body: dict[str, Any], blobs: bytes = b"", **options: Any) -> Answer:
    """POST /infer with the JSON, the bytes behind it, and the header that tells them apart."""
    head = orjson.dumps(body)
    length = {"Inference-Header-Content-Length": str(len(head))} if blobs else {}
    headers = {**length, **options.pop("headers", {})}
    return ask(service, "/infer", head + blobs, headers=headers, **options)


def outputs_of(answer: Answer) -> dict[str, tuple[dict[str, Any], bytes]]:
    """Take an answer apart: by output name, its description and its bytes."""
    assert answer.status == 200, answer.body
    length = int(answer.headers.get("inference-header-content-length", len(answer.body)))
    found, start = {}, length
    for output in orjson.loads(answer.body[:length])["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size", 0)
        found[output["name"]] = (output, answer.body[start : start + size])
        start += size
    assert start == len(answer.body)
    return found


def three_kinds() -> FakeService:
    """A model that takes floats, small integers and texts."""
    declared = signature(
        [Tensor("x", "FP32", (-1, 2)), Tensor("n", "UINT8", (-1,)), Tensor("s", "BYTES", (-1,))],
        [Tensor("y", "FP32", (-1, 2)), Tensor("h", "FP16", (-1,))],
    )

    def act(rows: dict[str, Array]) -> dict[str, Array]:
        return {"y": rows["x"], "h": rows["n"].astype(np.float16)}

    return FakeService(declared, act)
