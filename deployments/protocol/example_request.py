"""A model's example as a request that any client can send, for its metadata."""

from typing import Any

import numpy as np
import orjson

from models.signature import Rows, Signature

from ..core.errors import BadRequest
from .encoding import has_json, to_json

# Metadata is asked for often; a picture is better asked of whoever has the file.
_MOST_BYTES = 16 * 1024


def example_request(signature: Signature, row: Rows) -> dict[str, Any] | None:
    """Return one row as the JSON of a request; None where it is too large, or has no form in JSON."""
    if sum(array.nbytes for array in row.values()) > _MOST_BYTES:
        return None
    inputs = []
    for tensor in signature.inputs:
        array = row[tensor.name]
        if not has_json(tensor.datatype):
            return None
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return None
        try:
            data = to_json(tensor.datatype, array, tensor.name)
        except BadRequest:  # Bytes that are no text.
            return None
        listed = data if isinstance(data, list) else data.tolist()
        inputs.append({**tensor.describe(), "shape": list(array.shape), "data": listed})
    found = {"inputs": inputs}
    return found if len(orjson.dumps(found)) <= _MOST_BYTES else None
