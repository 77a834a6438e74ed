"""/v1/embeddings: texts become rows of a model's BYTES input, and its FP32 output the vectors of the answer.

Any model is asked so whose only input is BYTES [batch], and which has exactly one output FP32 [batch, n]. Pure: no I/O.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import orjson

from models.signature import Array, Signature

from ..core.errors import BadRequest, NotFound, show
from ..core.request import InferRequest, InferResult
from ..protocol.encoding import objects
from ..protocol.json_text import load

_FORMATS = ("float", "base64")
_LITTLE = np.dtype("<f4")


class WrongParameter(BadRequest):
    """A 400 that names the parameter, as OpenAI's errors do."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class Names(NamedTuple):
    """The input and the output of an embedding model, and the numbers in a vector."""

    input: str
    output: str
    width: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that has been read. `width` is how many numbers of each vector are wanted."""

    names: Names
    texts: tuple[str, ...]
    base64: bool
    width: int


class TokenCount:
    """Counts the tokens of a request when it is preprocessed; 0 where another replica does that, as a canary's."""

    def __init__(self) -> None:
        self.tokens = 0

    def __call__(self, arrays: Mapping[str, Array]) -> None:
        mask, ids = arrays.get("attention_mask"), arrays.get("input_ids")
        self.tokens = int(mask.sum()) if mask is not None else 0 if ids is None else ids.size


def names_in(signature: Signature) -> Names | None:
    """Return what an embedding model's tensors are called, or None if it is none."""
    vectors = [each for each in signature.outputs if each.datatype == "FP32" and len(each.shape) == 2 and each.fixed]
    if len(signature.inputs) != 1 or len(signature.outputs) != 1 or not vectors:
        return None
    [given], [vector] = signature.inputs, vectors
    if given.datatype != "BYTES" or given.shape != (-1,):
        return None
    return Names(given.name, vector.name, vector.shape[1])


def model_in(body: bytes) -> str:
    """Return the model that a request names."""
    return _model(_load(body))


def read(body: bytes, name: str, signature: Signature) -> Asked:
    """Read a request for the model of this name.

    Raises:
        BadRequest: for whatever is wrong with it, or the model is no embedding model.
        NotFound: it names another model.
    """
    message = _load(body)
    if (asked := _model(message)) != name:
        raise NotFound(f"there is no model {show(asked)} here; this is {name!r}")
    names = names_in(signature)
    if names is None:
        raise WrongParameter("model", f"model {name!r} gives no embeddings: ask its /infer or /predict")
    kind = message.get("encoding_format", "float")
    if kind not in _FORMATS:
        raise WrongParameter("encoding_format", f"encoding_format must be float or base64; got {show(kind)}")
    return Asked(names, _texts(message.get("input")), kind == "base64", _width(message.get("dimensions"), names.width))


def request_of(asked: Asked, version: str, count: TokenCount) -> InferRequest:
    """Return the request for the model."""
    rows = objects([text.encode() for text in asked.texts])
    return InferRequest({asked.names.input: rows}, len(rows), version=version, on_prepared=count)


def write(asked: Asked, name: str, result: InferResult, tokens: int) -> bytes:
    """Write the answer."""
    vectors = _shortened(result.outputs[asked.names.output], asked.width)
    listed = [_encoded(each) for each in vectors] if asked.base64 else list(vectors)
    data = [{"object": "embedding", "index": row, "embedding": vector} for row, vector in enumerate(listed)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    answer = {"object": "list", "data": data, "model": name, "usage": usage}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def models_list(names: list[str]) -> bytes:
    """Write the answer of /v1/models."""
    return orjson.dumps({"object": "list", "data": [model_entry(each) for each in names]})


def model_entry(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "pitstop"}


def _load(body: bytes) -> dict[str, Any]:
    message = load(body, "the body") if body else None
    if type(message) is not dict:
        raise BadRequest(f"the body must be an object with model and input; got {show(message)}")
    return message


def _model(message: Mapping[str, Any]) -> str:
    name = message.get("model")
    if type(name) is not str:
        raise WrongParameter("model", f"model must be the name of a model; got {show(name)}")
    return name


def _texts(given: Any) -> tuple[str, ...]:
    texts = [given] if type(given) is str else given
    if type(texts) is not list or not texts:
        raise WrongParameter("input", f"input must be a text or a list of texts; got {show(given)}")
    if any(type(each) in (int, list) for each in texts):
        raise WrongParameter("input", "input holds token ids, which belong to another tokenizer: send the text itself")
    if wrong := [each for each in texts if type(each) is not str]:
        raise WrongParameter("input", f"input must be a text or a list of texts; it holds {show(wrong[0])}")
    return tuple(texts)


def _width(given: Any, width: int) -> int:
    if given is None:
        return width
    if type(given) is not int or not 1 <= given <= width:
        raise WrongParameter("dimensions", f"dimensions must be a whole number from 1 to {width}; got {show(given)}")
    return given


def _shortened(vectors: Array, width: int) -> Array:
    """Return the first numbers of each vector, at length one as OpenAI has it; whole vectors as they are."""
    if width == vectors.shape[1]:
        return np.ascontiguousarray(vectors)
    first = np.ascontiguousarray(vectors[:, :width])
    # Squares of FP32 leave its range at 1e20 and 1e-20.
    lengths = np.linalg.norm(first.astype(np.float64), axis=1, keepdims=True)
    np.divide(first, lengths, out=first, where=lengths > 0, casting="same_kind")
    return first


def _encoded(vector: Array) -> str:
    return base64.b64encode(vector.astype(_LITTLE, copy=False).tobytes()).decode()
