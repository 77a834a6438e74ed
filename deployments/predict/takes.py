"""What a model's /predict takes: a sentence for whoever sent something else, and one for the model's metadata."""

import json
import math
from collections.abc import Sequence
from typing import Any, Literal

from models.images import described
from models.signature import Tensor

from ..protocol.encoding import has_json
from .body_kinds import SEND

# What a body may be beside JSON: by a decode hook, by the built-in reader, or as the only input itself.
Takes = Literal["file", "image", "bytes", "json"]
# An example that fits a line.
_MOST_NUMBERS = 16


def way(takes: Takes, inputs: Sequence[Tensor]) -> str:
    """Return what the model takes, and a command that sends it; the URL is the one that was asked."""
    if takes == "bytes":
        return (
            "this model takes a text or a file as the body: "
            "curl -H 'Content-Type: text/plain' -d 'a text', or curl --data-binary @FILE"
        )
    if takes != "json":
        return f"this model takes a {'picture' if takes == 'image' else 'file'}: {SEND}"
    if not all(has_json(each.datatype) for each in inputs):
        return "this model takes tensors that JSON cannot hold: send them to /infer, as binary data"
    command = f"curl -d '{json.dumps({'instances': [_instance(inputs)]})}'"
    if _short(inputs):
        return f"this model takes JSON: {command}"
    nested = ", ".join(f"{each.name!r} nested as {list(each.shape[1:])}" for each in inputs)
    return f"this model takes JSON: {command}, with {nested} in place of []"


def reads(takes: Takes, inputs: Sequence[Tensor]) -> str:
    """Return what is done to a body before the model gets it."""
    if takes == "image":
        return described(inputs[0])
    if takes == "file":
        return "A file, which the model's own predict.decode turns into its inputs."
    return "The body as it is." if takes == "bytes" else "Instances, as JSON."


def _instance(inputs: Sequence[Tensor]) -> Any:
    rows = {each.name: _row(each, short=_short(inputs)) for each in inputs}
    return next(iter(rows.values())) if len(rows) == 1 else rows


def _short(inputs: Sequence[Tensor]) -> bool:
    return sum(math.prod(_sizes(each)) for each in inputs) <= _MOST_NUMBERS


def _row(tensor: Tensor, short: bool) -> Any:
    if not short and tensor.shape[1:]:
        return []
    value: Any = {"BYTES": "a text", "BOOL": False}.get(tensor.datatype, 0)
    for size in reversed(_sizes(tensor)):
        value = [value] * size
    return value


def _sizes(tensor: Tensor) -> list[int]:
    return [1 if size == -1 else size for size in tensor.shape[1:]]
