"""Writes the answer of /predict: an object for each row, or bytes of the encode hook's own for one."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import orjson

from models.runtime.dims import counted, rows_of
from models.signature import Array, Tensor
from models.user_code import call, without_loop

from ..core.errors import BadRequest, InferenceFailed
from ..core.request import PredictAnswer
from ..protocol.encoding import texts

WriteAnswer = Callable[[Mapping[str, Array]], object]
_CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:; ?[\w-]+=[\w.+-]+)*", re.ASCII)


def written(
    answer: WriteAnswer | None, outputs: Mapping[str, Array], single: bool, declared: Sequence[Tensor]
) -> PredictAnswer:
    """Turn the outputs, [rows, ...] each, into a body; those with a count have in each row as many entries as it says.

    Raises:
        BadRequest: an output is no text, or the hook answers with bytes and there are more rows than one.
        InferenceFailed: the hook raised, or returned what cannot be sent.
    """
    if answer is None:
        return _json(_plain(outputs, declared), single)
    objects = []
    for row in rows_of(outputs, declared):
        encoded = _encoded(answer, row)
        if not isinstance(encoded, PredictAnswer):
            objects.append(encoded)
        elif single:
            return encoded
        else:
            kind = encoded.content_type.decode()
            raise BadRequest(
                f"this model answers /predict with {kind}, one row at a time: send one file or text as the body"
            )
    return _json(objects, single)


def _json(answers: Sequence[object], single: bool) -> PredictAnswer:
    content = answers[0] if single else {"predictions": answers}
    return PredictAnswer(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY))


def _plain(outputs: Mapping[str, Array], declared: Sequence[Tensor]) -> list[object]:
    if any(counted(declared)):
        return [{name: _listed(value, name) for name, value in row.items()} for row in rows_of(outputs, declared)]
    columns = [_listed(array, name) for name, array in outputs.items()]
    return [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]


def _encoded(answer: WriteAnswer, row: Mapping[str, Array]) -> orjson.Fragment | PredictAnswer:
    """Call the encode hook and write its object at once, so that an object that JSON cannot hold is its error."""
    try:
        encoded: object = call(without_loop, answer, row)
        if isinstance(encoded, tuple):
            return _own(encoded)
        if not isinstance(encoded, dict):
            raise TypeError(
                f"predict.encode returned a {type(encoded).__name__}\n"
                "help: return a dict that JSON can hold, or bytes and their content type"
            )
        return orjson.Fragment(orjson.dumps(encoded, option=orjson.OPT_SERIALIZE_NUMPY))
    except Exception as error:  # The user's own code; whatever it raises or returns, only this request may suffer.
        raise InferenceFailed(error) from None


def _own(encoded: tuple[object, ...]) -> PredictAnswer:
    body, kind = encoded if len(encoded) == 2 else (None, None)
    if not isinstance(body, bytes) or not isinstance(kind, str) or not _CONTENT_TYPE.fullmatch(kind):
        types = ", ".join(type(each).__name__ for each in encoded)
        raise TypeError(
            f'predict.encode returned a tuple of {types}\nhelp: return bytes and their content type: body, "image/png"'
        )
    return PredictAnswer(body, kind.encode())


def _listed(array: Array, name: str) -> list[object]:
    if np.ndim(array) == 0:
        array = np.asarray(array)
    if array.dtype == object:
        array = np.array(texts(array, name), object).reshape(array.shape)
    return array.tolist()  # type: ignore[no-any-return]
