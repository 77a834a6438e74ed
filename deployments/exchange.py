"""One exchange with a model, without its I/O: body to request, outputs to reply, exception to reply.

Both ways that HTTP takes here use it: rest.py under Serve's wrapper, short_path.py in the replica's own server.
"""

import logging
import time
import uuid

import orjson

from .errors import BadRequest, Headers, ServeError, show
from .http import Given, Reply
from .inference import InferRequest, Outputs, Service
from .tensors import parse, render

LENGTH = b"inference-header-content-length"
REQUEST_ID = b"x-request-id"
_log = logging.getLogger("pitstop")


def read_infer(service: Service, headers: Given, body: bytes) -> InferRequest:
    """Read a request for /infer; raises BadRequest for whatever is wrong with it."""
    began = time.perf_counter()
    given = headers.get(LENGTH)
    request = service.quick(body) if given is None else None
    if request is None:
        request = parse(body, None if given is None else _header_length(given), service.signature)
    request.parse_s = time.perf_counter() - began
    return request


def write_infer(service: Service, request: InferRequest, outputs: Outputs) -> Reply:
    """Write the answer of /infer."""
    began = time.perf_counter()
    payload, json_length = render(service.name, service.version, request, outputs)
    service.timed(request.parse_s, time.perf_counter() - began)
    if json_length is None:
        return Reply(payload)
    return Reply(payload, 200, b"application/octet-stream", ((LENGTH, b"%d" % json_length),))


def refuse(service: Service, error: Exception, headers: Given) -> Reply:
    """Count an error, and turn it into what the client may read of it."""
    if isinstance(error, ServeError):
        service.failed(error.kind)
        return _refusal(error.status, error.message, error.headers)
    service.failed(ServeError.kind)
    given = headers.get(REQUEST_ID, b"").decode("latin-1")
    request_id = given[:128] if given.isprintable() and given else uuid.uuid4().hex
    _log.error("%s: internal error, request id %s", service.name, request_id, exc_info=error)
    return _refusal(500, f"internal error; the server log has it under request id {request_id}")


def _refusal(status: int, message: str, headers: Headers = ()) -> Reply:
    # Strings that Python holds and UTF-8 cannot write must not turn a refusal into a fault.
    text = message.encode("utf-8", "replace").decode()
    return Reply(orjson.dumps({"error": text}), status, headers=headers)


def _header_length(given: bytes) -> int:
    if not given.isdigit() or len(given) > 18:
        text = given.decode("latin-1")
        raise BadRequest(f"Inference-Header-Content-Length must be a number of bytes; got {show(text)}")
    return int(given)
