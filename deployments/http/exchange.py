"""One exchange with a model, without I/O: body to request, result to response, exception to response.

Both ways of HTTP use it: rest.py under Serve's wrapper, and short_path.py in the replica's own server.
"""

import time
from functools import lru_cache

import msgspec
import orjson

from ..core.error_logging import client_error
from ..core.errors import PAGE_REFUSED, BadRequest, Forbidden, Unauthorized, sentence, show
from ..core.observation import ObservedProtocol
from ..core.request import InferRequest, InferResult, Service
from ..protobuf import tensors as rpc_tensors
from ..protocol.headers import FOR_PAGE, KIND, LEFT_US, LENGTH, PROTOBUF, REQUEST_ID, TRACEPARENT, TRACESTATE
from .bodies import Given, Response
from .infer_json import parse, render


def begin(service: Service, name: str, headers: Given) -> ObservedProtocol | None:
    """Sample a request that has arrived, for a trace or the access log; `name` is that of its route."""
    if service.observer is None:
        return None
    parent = headers.get(TRACEPARENT)
    if parent is None:
        return service.observer.begin(name, None, None)
    state = headers.get(TRACESTATE, b"").decode("latin-1")
    return service.observer.begin(name, parent.decode("latin-1"), state or None)


def read_infer(
    service: Service, headers: Given, body: bytes, version: str = "", observed: ObservedProtocol | None = None
) -> InferRequest:
    """Read a request for /infer of this version, or of any; raises BadRequest for whatever is wrong with it."""
    began = time.perf_counter()
    request: InferRequest | None
    if _is_protobuf(headers.get(b"content-type")):
        request = rpc_tensors.parse(service, body, _left_s(headers))
    else:
        given = headers.get(LENGTH)
        request = service.read_usual_json(body) if given is None else None
        if request is None:
            request = parse(body, None if given is None else _header_length(given), service.signature)
    if version and request.version not in ("", version):
        raise BadRequest(
            f"the path names version {version!r}, and the message {show(request.version)}: name the same, or one alone"
        )
    service.counts.count_time("parse", time.perf_counter() - began)
    if observed is not None:
        observed.read(request.rows, request.id)
        request = msgspec.structs.replace(request, observed=observed)
    return msgspec.structs.replace(request, version=version) if version else request


def write_infer(service: Service, headers: Given, request: InferRequest, result: InferResult) -> Response:
    """Write the answer of /infer, in the encoding of the request."""
    began = time.perf_counter()
    if request.observed is not None:
        request.observed.answered()
    if _is_protobuf(headers.get(b"content-type")):
        reply = Response(b"".join(rpc_tensors.render(service, request, result)), content_type=PROTOBUF)
    else:
        payload, json_length = render(service.name, request, result)
        reply = Response(payload) if json_length is None else _with_binary(payload, json_length)
    service.counts.count_time("send", time.perf_counter() - began)
    return reply


def refuse(service: Service, error: Exception, headers: Given) -> Response:
    """Count an error, and return the response for the client.

    A page asks all models with the one token that it has: a refusal of that has a kind of its own in the counts.
    """
    known = client_error(service.name, error, headers.get(REQUEST_ID, b"").decode("latin-1"))
    for_page = FOR_PAGE in headers and isinstance(known, Unauthorized | Forbidden)
    service.counts.count_failure(PAGE_REFUSED if for_page else known.kind)
    body = orjson.dumps({"error": sentence(known)})
    return Response(body, known.status, headers=(*known.headers, (KIND, known.kind.encode())), compress=False)


@lru_cache(maxsize=64)
def _is_protobuf(content_type: bytes | None) -> bool:
    media_type, _, _ = (content_type or b"").partition(b";")
    return media_type.strip().lower() == PROTOBUF


def _with_binary(payload: bytes, json_length: int) -> Response:
    return Response(payload, 200, b"application/octet-stream", ((LENGTH, b"%d" % json_length),))


def _left_s(headers: Given) -> float | None:
    given = headers.get(LEFT_US, b"")
    return int(given) / 1e6 if given.isdigit() and len(given) <= 18 else None


def _header_length(given: bytes) -> int:
    if not given.isdigit() or len(given) > 18:
        text = given.decode("latin-1")
        raise BadRequest(f"Inference-Header-Content-Length must be a number of bytes; got {show(text)}")
    return int(given)
