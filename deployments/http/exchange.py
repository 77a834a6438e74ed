"""One exchange with a model, without its I/O: body to request, outputs to reply, exception to reply.

Both ways that HTTP takes here use it: rest.py under Serve's wrapper, short_path.py in the replica's own server.
"""

import time

import orjson

from ..batching.deadlines import sooner
from ..errors import BadRequest, sentence, show
from ..fault import told
from ..inference import InferRequest, Outputs, Service
from ..protobuf import tensors as rpc_tensors
from ..protocol.headers import KIND, LEFT_US, LENGTH, PROTOBUF, REQUEST_ID
from .bodies import Given, Reply
from .tensors import parse, render


def read_infer(service: Service, headers: Given, body: bytes) -> InferRequest:
    """Read a request for /infer; raises BadRequest for whatever is wrong with it."""
    began = time.perf_counter()
    if headers.get(b"content-type") == PROTOBUF:
        request = rpc_tensors.parse(service, body)
        request.timeout_s = sooner(request.timeout_s, _left_s(headers))
    else:
        request = _read_json(service, headers.get(LENGTH), body)
    request.parse_s = time.perf_counter() - began
    return request


def write_infer(service: Service, request: InferRequest, outputs: Outputs) -> Reply:
    """Write the answer of /infer."""
    began = time.perf_counter()
    if request.protobuf:
        written = b"".join(rpc_tensors.render(service, request, outputs))
        service.timed(request.parse_s, time.perf_counter() - began)
        return Reply(written, content_type=PROTOBUF)
    payload, json_length = render(service.name, request.version or service.version, request, outputs)
    service.timed(request.parse_s, time.perf_counter() - began)
    if json_length is None:
        return Reply(payload)
    return Reply(payload, 200, b"application/octet-stream", ((LENGTH, b"%d" % json_length),))


def refuse(service: Service, error: Exception, headers: Given) -> Reply:
    """Count an error, and turn it into what the client may read of it."""
    known = told(service.name, error, _request_id(headers))
    service.failed(known.kind)
    body = orjson.dumps({"error": sentence(known)})
    return Reply(body, known.status, headers=(*known.headers, (KIND, known.kind.encode())), compress=False)


def _read_json(service: Service, header_length: bytes | None, body: bytes) -> InferRequest:
    request = service.quick(body) if header_length is None else None
    if request is not None:
        return request
    return parse(body, None if header_length is None else _header_length(header_length), service.signature)


def _left_s(headers: Given) -> float | None:
    given = headers.get(LEFT_US, b"")
    return int(given) / 1e6 if given.isdigit() and len(given) <= 18 else None


def _request_id(headers: Given) -> str:
    return headers.get(REQUEST_ID, b"").decode("latin-1")


def _header_length(given: bytes) -> int:
    if not given.isdigit() or len(given) > 18:
        text = given.decode("latin-1")
        raise BadRequest(f"Inference-Header-Content-Length must be a number of bytes; got {show(text)}")
    return int(given)
