"""An error as OpenAI's clients expect it: an object with message, type, param and code."""

import orjson

from ..core.errors import ServeError

_CODES = {"unauthorized": "invalid_api_key", "not_found": "model_not_found"}


def as_openai(error: Exception, status: int, body: bytes) -> bytes:
    """Return the body of an error in OpenAI's form, with the same sentence."""
    kind = error.kind if isinstance(error, ServeError) else "internal"
    told = {
        "message": orjson.loads(body)["error"],
        "type": "invalid_request_error" if 400 <= status < 500 else "server_error",
        "param": getattr(error, "parameter", None),
        "code": _CODES.get(kind, kind),
    }
    return orjson.dumps({"error": told})
