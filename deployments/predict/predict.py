"""/predict: a file, text, a form of files, or {"instances": [...]}, becomes the rows of a request.

answers.py writes the outputs. Its hooks are the user's code: they are called through models.user_code, and what they
return is checked. By contract the client gets the text of a decode hook's ValueError.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from configs.schema import ModelConfig
from models.images import MOST_NUMBERS, default_reader
from models.signature import Array, Signature, Tensor, signature_of
from models.sources.hooks import DecodeHook, decode_hook_of
from models.sources.resolve import resolve
from models.user_code import call, text_of

from ..core.errors import BadRequest, InferenceFailed, show
from ..core.request import IsDisconnected, PredictAnswer, PredictRequest
from ..hook_threads import INLINE_ROWS, HookThreads
from ..http.bodies import HEAVY_BYTES
from ..protocol.encoding import as_bytes, from_json, one_element
from ..protocol.json_text import InvalidJson, load
from ..protocol.parameters import object_of, seed, seed_in_text
from ..protocol.shapes import check_shape
from .answers import WriteAnswer, written
from .body_kinds import is_data, is_json, no_instances, unreadable
from .forms import File, is_form, read_form
from .takes import Takes, only_json, reads, way

ReadImage = Callable[..., Any]


class Predictor:
    """Reads /predict's body and writes its answer, for one model."""

    def __init__(self, signature: Signature, image: ReadImage | None, answer: WriteAnswer | None) -> None:
        self._signature = signature
        read = image or default_reader(signature)
        self._decode: DecodeHook | None = None if read is None else decode_hook_of(read)
        self._answer = answer
        self._takes_data = self._decode is None and _takes_data(signature)
        self._fixed = all(each.fixed for each in signature.inputs)
        self.takes: Takes = "bytes" if self._takes_data else only_json(signature.inputs)
        if self._decode is not None:
            self.takes = "file" if image else "image"
        self.reads = reads(self.takes, signature.inputs)
        self._way = way(self.takes, signature.inputs)
        self._reading, self._writing = HookThreads("decode"), HookThreads("encode")

    async def read(
        self, body: bytes, content_type: str, allowed_s: float, is_disconnected: IsDisconnected | None
    ) -> PredictRequest:
        """Return what the body holds.

        Raises:
            BadRequest: the body is neither a file that the model takes, nor a form of them, nor JSON with instances.
            InferenceFailed: the decode hook raised another error than ValueError, or did not return a row.
            TimedOut: it took longer than `allowed_s`.
        """
        size = 1 if len(body) <= HEAVY_BYTES else INLINE_ROWS + 1
        return await self._reading.call(size, partial(self._read, body, content_type), allowed_s, is_disconnected)

    async def write(
        self, outputs: Mapping[str, Array], single: bool, allowed_s: float, is_disconnected: IsDisconnected | None
    ) -> PredictAnswer:
        """Turn the outputs, [rows, ...] each, into the body of the answer: an object for each row.

        Raises:
            BadRequest: an output is no text, or the encode hook answers with bytes of its own and there are more rows.
            InferenceFailed: the encode hook raised, or returned an object that JSON cannot hold.
            TimedOut: it took longer than `allowed_s`.
        """
        rows = len(next(iter(outputs.values())))
        writing = partial(written, self._answer, outputs, single, self._signature.outputs)
        return await self._writing.call(rows, writing, allowed_s, is_disconnected)

    def _read(self, body: bytes, content_type: str) -> PredictRequest:
        if is_form(content_type):
            return self._form(body, content_type)
        asked = self._decode is not None and self._decode.takes_all
        if not body and not asked:
            raise BadRequest(f"the body is empty; {self._way}")
        if asked or (is_data(body, content_type) if self._takes_data else not is_json(body, content_type)):
            return PredictRequest(self._row(body, content_type), True)
        return self._instances(body, content_type)

    def _form(self, body: bytes, content_type: str) -> PredictRequest:
        with self._telling():
            files, fields = read_form(body, content_type)
        drawn = seed_in_text(fields)
        rows = self._rows(files)
        if len(rows) == 1:
            return PredictRequest(rows[0], True, fields, drawn)
        try:
            inputs = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        except ValueError:
            raise BadRequest(
                "the files of the form give rows of different sizes: send each in its own request"
            ) from None
        return PredictRequest(inputs, False, fields, drawn)

    def _rows(self, files: list[File]) -> list[dict[str, Array]]:
        """Decode file after file: where sizes are open, a small form could fill the memory."""
        rows: list[dict[str, Array]] = []
        numbers = 0
        for each in files:
            try:
                rows.append(self._row(each.body, each.content_type))
            except BadRequest as error:
                which = f"file {len(rows) + 1} of the form: " if len(files) > 1 else ""
                raise BadRequest(f"{which}{error.message}") from error
            numbers += sum(array.size for array in rows[-1].values())
            if not self._fixed and len(rows) > 1 and numbers > MOST_NUMBERS:
                raise BadRequest(
                    f"file {len(rows)} of the form brings its files to {numbers / 1e6:.0f} million numbers, and at most"
                    f" {MOST_NUMBERS // 1_000_000} million are read: send fewer at once, or smaller ones"
                )
        return rows

    def _row(self, body: bytes, content_type: str) -> dict[str, Array]:
        """Return one row of every input, of a body or a file that is no instances."""
        tensors = self._signature.inputs
        if self._takes_data:
            return {tensors[0].name: one_element(tensors[0], body)}
        if self._decode is None:
            raise BadRequest(f"the body is a file or a text; {self._way}")
        try:
            found = call(self._decode, body, content_type)
        except ValueError as error:
            if not (sentence := text_of(error)):
                raise InferenceFailed(error) from None
            # Ours is no sentence of the user's own, so it gets the command in any case.
            plain = f"{sentence}; {self._way}" if self.takes == "image" else sentence
            raise BadRequest(unreadable(sentence, body, content_type) or plain) from error
        except Exception as error:  # The user's own code; whatever it raises, only this request may suffer.
            raise InferenceFailed(error) from None
        try:
            return call(_decoded, tensors, found)
        except Exception as error:  # As above, of what it returned.
            raise InferenceFailed(error) from None

    def _instances(self, body: bytes, content_type: str) -> PredictRequest:
        with self._telling(lambda sentence: no_instances(sentence, body, content_type)):
            message = _load(body)
            columns = self._columns(message["instances"])
        parameters = object_of(message, "the body")
        return PredictRequest(columns, False, parameters, seed(parameters))

    @contextmanager
    def _telling(self, explained: Callable[[str], str] = str) -> Iterator[None]:
        """Add to what is wrong with a body what the model takes."""
        try:
            yield
        except BadRequest as error:
            # Numbers that JSON does not have are sent in another way than the model's own.
            elsewhere = isinstance(error, InvalidJson) and error.reason == "not_finite"
            raise BadRequest(error.message if elsewhere else f"{explained(error.message)}; {self._way}") from error

    def _columns(self, rows: list[Any]) -> dict[str, Array]:
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


def _takes_data(signature: Signature) -> bool:
    """Whether the only input is one BYTES element a row, which any body may be."""
    if len(signature.inputs) != 1:
        return False
    tensor = signature.inputs[0]
    return tensor.datatype == "BYTES" and all(size in (-1, 1) for size in tensor.shape)


def _decoded(tensors: tuple[Tensor, ...], found: Any) -> dict[str, Array]:
    """Compare what the decode hook returned with the signature: one row of the only input, or of each by name."""
    if not isinstance(found, Mapping):
        if len(tensors) > 1:
            raise TypeError(
                f"predict.decode returned a {type(found).__name__}\nhelp: return a dict with a row of each input"
            )
        found = {tensors[0].name: found}
    if found.keys() != {tensor.name for tensor in tensors}:
        names = [tensor.name for tensor in tensors]
        raise TypeError(f"predict.decode returned the names {list(found)}\nhelp: return a row of each of {names}")
    # Copies: a hook may write into the same array at its next call, while this one still waits.
    return {tensor.name: _one_row(tensor, found[tensor.name]) for tensor in tensors}


def _one_row(tensor: Tensor, found: Any) -> Array:
    """Compare what the decode hook returned with the signature; a mismatch is the hook's error, not the client's."""
    if tensor.datatype == "BYTES" and isinstance(found, bytes | str):
        return one_element(tensor, as_bytes(found))
    row = np.array(found)
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


def _load(body: bytes) -> dict[str, Any]:
    message = load(body, "the body")
    rows = message.get("instances") if type(message) is dict else None
    if type(rows) is not list:
        where = "; tensors under inputs go to /infer" if type(message) is dict and "inputs" in message else ""
        raise BadRequest(f"the body must be an object with a list of instances, got {show(message)}{where}")
    return message  # type: ignore[no-any-return]


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
