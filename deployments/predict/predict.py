"""/predict: an image, or {"instances": [...]}, becomes the rows of a request, and the outputs become plain objects.

Its hooks are the user's code: they are called through models.user_code, and what they return is checked. By contract
the client gets the text of a decode hook's ValueError.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from configs.schema import ModelConfig
from models.images import default_reader
from models.signature import Array, Signature, Tensor, signature_of
from models.sources.resolve import resolve
from models.user_code import call, text_of

from ..core.errors import BadRequest, InferenceFailed, show
from ..protocol.encoding import from_json, texts
from ..protocol.json_text import load
from ..protocol.shapes import check_shape
from .body_kinds import is_json, refuse_form, why_unreadable

_WHERE = 'send {"instances": [...]}'
ReadImage = Callable[[bytes], Array]
WriteAnswer = Callable[[Mapping[str, Array]], dict[str, object]]


class Predictor:
    """Reads /predict's body and writes its answer, for one model."""

    def __init__(self, signature: Signature, image: ReadImage | None, answer: WriteAnswer | None) -> None:
        self._signature = signature
        self._image = image or default_reader(signature)
        self._answer = answer

    def read(self, body: bytes, content_type: str) -> tuple[dict[str, Array], bool]:
        """Return arrays by input name, and whether the body was one image, whose answer is one object.

        Raises:
            BadRequest: the body is neither an image that the model takes nor JSON with instances.
            InferenceFailed: the decode hook raised another error than ValueError, or did not return a row of the input.
        """
        refuse_form(content_type)
        if is_json(body, content_type):
            return self._instances(body), False
        if self._image is None:
            raise BadRequest(f"this model takes no images, and the body is not JSON: {_WHERE}")
        tensor = self._signature.inputs[0]
        return {tensor.name: self._row(self._image, body, content_type, tensor)}, True

    def answers(self, outputs: Mapping[str, Array]) -> list[object]:
        """Turn every row of the outputs, [rows, ...] each, into one object, for orjson to write.

        Raises:
            InferenceFailed: the encode hook raised, or returned an object that JSON cannot hold.
        """
        if self._answer is not None:
            count = len(next(iter(outputs.values())))
            rows = ({name: array[row] for name, array in outputs.items()} for row in range(count))
            return [_written(self._answer, row) for row in rows]
        columns = [_listed(array, name) for name, array in outputs.items()]
        return [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]

    def _row(self, image: ReadImage, body: bytes, content_type: str, tensor: Tensor) -> Array:
        try:
            row = call(image, body)
        except ValueError as error:
            if not (sentence := text_of(error)):
                raise InferenceFailed(error) from None
            raise BadRequest(f"{sentence}{why_unreadable(body, content_type)}") from error
        except Exception as error:  # The user's own code; whatever it raises, only this request may suffer.
            raise InferenceFailed(error) from None
        try:
            # A copy: a hook may write into the same array at its next call, while this one still waits.
            return _one_row(tensor, call(np.array, row))
        except Exception as error:  # As above, of what it returned.
            raise InferenceFailed(error) from None

    def _instances(self, body: bytes) -> dict[str, Array]:
        rows = _load(body)
        tensors = self._signature.inputs
        if not any(type(row) is dict for row in rows):
            if len(tensors) > 1:
                names = ", ".join(repr(tensor.name) for tensor in tensors)
                raise BadRequest(f"this model has several inputs: each instance must be an object with {names}")
            return {tensors[0].name: _column(tensors[0], rows)}
        for row in rows:
            if type(row) is not dict or row.keys() != {tensor.name for tensor in tensors}:
                names = ", ".join(repr(tensor.name) for tensor in tensors)
                raise BadRequest(f"each instance must be an object with exactly {names}; got {show(row)}")
        return {tensor.name: _column(tensor, [row[tensor.name] for row in rows]) for tensor in tensors}


def predictor(config: ModelConfig) -> Predictor:
    """Return the predictor of a config; raises ModelError if a hook that it names does not exist."""
    image, answer = config.predict.decode, config.predict.encode
    return Predictor(signature_of(config), resolve(image) if image else None, resolve(answer) if answer else None)


def _written(answer: WriteAnswer, row: Mapping[str, Array]) -> orjson.Fragment:
    """Call the encode hook and write its object at once, so that an object that JSON cannot hold is its error."""
    try:
        encoded: object = call(answer, row)
        if not isinstance(encoded, dict):
            raise TypeError(
                f"predict.encode returned a {type(encoded).__name__}\nhelp: return a dict that JSON can hold"
            )
        return orjson.Fragment(orjson.dumps(encoded, option=orjson.OPT_SERIALIZE_NUMPY))
    except Exception as error:  # The user's own code; whatever it raises or returns, only this request may suffer.
        raise InferenceFailed(error) from None


def _one_row(tensor: Tensor, row: Array) -> Array:
    """Compare what the decode hook returned with the signature; a mismatch is the hook's error, not the client's."""
    rows = row if row.ndim == len(tensor.shape) else row[None]
    try:
        check_shape(tensor, rows.shape)
    except BadRequest as error:
        raise TypeError(f"predict.decode returned shape {row.shape}\nhelp: {error.message}") from error
    if rows.shape[0] != 1 or rows.dtype != tensor.numpy:
        raise TypeError(
            f"predict.decode returned {rows.shape[0]} rows of {rows.dtype}\nhelp: return one row of {tensor.datatype}"
        )
    return rows


def _load(body: bytes) -> list[Any]:
    if not body:
        raise BadRequest(f"the body is empty: {_WHERE}, or an image where the model takes one")
    message = load(body, "the body")
    rows = message.get("instances") if type(message) is dict else None
    if type(rows) is not list:
        raise BadRequest(f"the body must be an object with a list of instances, got {show(message)}: {_WHERE}")
    return rows


def _column(tensor: Tensor, rows: list[Any]) -> Array:
    """Read rows of one input; an open size is taken from the first row, and the others must have the same."""
    shape, level = [len(rows)], rows
    for size in tensor.shape[1:]:
        if not rows:
            shape.append(max(size, 1))
            continue
        level = level[0] if level else []
        if type(level) is not list:
            wanted = list(tensor.shape[1:])
            raise BadRequest(f"each instance of {tensor.name!r} must be a list nested as {wanted}; got {show(level)}")
        shape.append(len(level) if size == -1 else size)
    return from_json(tensor, shape, rows)


def _listed(array: Array, name: str) -> list[object]:
    if array.dtype == object:
        array = np.array(texts(array, name), object).reshape(array.shape)
    return array.tolist()  # type: ignore[no-any-return]
