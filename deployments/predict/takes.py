"""What a model's /predict takes: a sentence for whoever sent something else, and one for the model's metadata."""

import json
import math
import shlex
from collections.abc import Sequence
from typing import Any, Literal

from models.images import described
from models.signature import Tensor

from ..protocol.encoding import has_json
from .body_kinds import SEND

# What a body may be beside JSON: by a decode hook, by the built-in reader, or as the only input itself. Nothing is it
# where JSON cannot hold the inputs either.
Takes = Literal["file", "image", "bytes", "json", "nothing"]
# An example that fits a line.
_MOST_NUMBERS = 16
# Errors are cut at 1000 characters, and what is wrong stands before this.
_MOST_CHARACTERS = 500


def way(takes: Takes, inputs: Sequence[Tensor]) -> str:
    """Return what the model takes, and a command that sends it; the URL is the one that was asked."""
    if takes == "bytes":
        return (
            "this model takes a text or a file as the body: "
            "curl -H 'Content-Type: text/plain' -d 'a text', or curl --data-binary @FILE"
        )
    if takes == "nothing":
        return "this model takes tensors that JSON cannot hold: send them to /infer, as binary data"
    if takes != "json":
        return f"this model takes a {'picture' if takes == 'image' else 'file'}: {SEND}"
    told = f"this model takes JSON: curl -d {shlex.quote(json.dumps({'instances': [_instance(inputs)]}))}"
    if not _short(inputs):
        nested = ", ".join(f"{each.name!r} nested as {list(each.shape[1:])}" for each in inputs)
        told += f", with {nested} in place of []"
    if len(told) > _MOST_CHARACTERS:
        return 'this model takes JSON: curl -d @FILE, with {"instances": [...]} in it; its metadata names its inputs'
    return told


def only_json(inputs: Sequence[Tensor]) -> Takes:
    """Return what a model takes that takes neither a file nor a text."""
    return "json" if all(has_json(each.datatype) for each in inputs) else "nothing"


def reads(takes: Takes, inputs: Sequence[Tensor]) -> str:
    """Return what is done to a body before the model gets it."""
    if takes == "image":
        return described(inputs[0])
    if takes == "file":
        return "A file, which the model's own predict.decode turns into its inputs."
    if takes == "nothing":
        return "Nothing: JSON cannot hold the inputs. Send them to /infer, as binary data."
    return "The body as it is." if takes == "bytes" else "Instances, as JSON."


def _instance(inputs: Sequence[Tensor]) -> Any:
    rows = {each.name: _row(each, short=_short(inputs)) for each in inputs}
    return next(iter(rows.values())) if len(rows) == 1 else rows


def _short(inputs: Sequence[Tensor]) -> bool:
    return sum(math.prod(_sizes(each)) for each in inputs) <= _MOST_NUMBERS


def _row(tensor: Tensor, short: bool) -> Any:
    if not short and tensor.shape[1:]:
        return []
    least = int(tensor.low or 0) if tensor.numpy.kind in "iu" else 0
    value: Any = {"BYTES": "a text", "BOOL": False}.get(tensor.datatype, least)
    for size in reversed(_sizes(tensor)):
        value = [value] * size
    return value


def _sizes(tensor: Tensor) -> list[int]:
    return [1 if size == -1 else size for size in tensor.shape[1:]]
