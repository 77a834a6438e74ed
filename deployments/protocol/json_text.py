"""Reads clients' JSON; if it cannot, the error says why and what to do.

The reason is looked for only after a failure, so it costs a good request nothing.
"""

import re
from typing import Any, Literal

import orjson

from ..core.errors import BadRequest

Text = bytes | memoryview
BOM = b"\xef\xbb\xbf"
_UTF_16 = re.compile(rb"\xff\xfe|\xfe\xff|[^\0]\0|\0[^\0]|\0\0(\xfe\xff|\0[^\0])")
_NOT_FINITE = re.compile(r"-?(nan|inf|infinity)\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
# More than FP64 has before its point.
_MOST_DIGITS = 1000
# What is wrong, where the way out is another than that of any text which is no JSON.
Reason = Literal["other_characters", "not_finite", ""]


class InvalidJson(BadRequest):
    """A text that is not JSON, and why."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.args = (message,)  # Another process makes a BadRequest of it.
        self.reason = reason


def load(text: Text, what: str, binary_may_follow: bool = False) -> Any:
    """Return the value of a JSON text; a byte order mark before it is ignored, as RFC 8259 allows.

    Args:
        text: the text, in UTF-8.
        what: its name in an error.
        binary_may_follow: whether tensors' bytes may follow, if the client only forgot to say where they begin.

    Raises:
        InvalidJson: it is not JSON; the error says why.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if bytes(text[:3]) == BOM:
            return load(text[3:], what, binary_may_follow)
        why, reason = _why(bytes(text), error.pos, binary_may_follow)
        raise InvalidJson(f"{what} is not valid JSON{why}", reason) from None


def _why(text: bytes, at: int, binary_may_follow: bool) -> tuple[str, Reason]:
    if _UTF_16.match(text):
        return ": it is UTF-16 or UTF-32, and JSON is sent in UTF-8", "other_characters"
    try:
        document = text.decode()
    except UnicodeDecodeError as error:
        return _why_not_utf_8(text, error.start, binary_may_follow), ""
    if at >= len(document):
        return f": it ends too early, after {at} characters: send the whole of it", ""
    if _complete(document[:at]):
        return _followed(len(document[at:].encode()), binary_may_follow), ""
    return _why_there(document, at)


def _why_there(document: str, at: int) -> tuple[str, Reason]:
    """Describe the error at the character at which the parser stopped."""
    start = at - 1 if document[max(at - 1, 0)] == "-" else at  # orjson points behind a sign.
    if _NOT_FINITE.match(document, start):
        sentence = "JSON has no NaN and no infinity: send the tensor as binary data to /infer"
        return f" from character {start} on: {sentence}", "not_finite"
    number = _NUMBER.match(document, at, at + _MOST_DIGITS)
    if number and abs(float(number[0])) == float("inf"):
        return f": the number at character {at} is beyond the range of FP64", ""
    return f" from character {at} on", ""


def _why_not_utf_8(text: bytes, start: int, binary_may_follow: bool) -> str:
    """Describe text that is not UTF-8: bytes after a whole JSON text, or an error in the text itself."""
    try:
        orjson.loads(text[:start])
        end = start
    except orjson.JSONDecodeError as error:
        end = len(text[:start].decode()[: error.pos].encode())
    if end and _complete(text[:end]):
        return _followed(len(text) - end, binary_may_follow)
    return f": byte {start} is not UTF-8"


def _followed(count: int, binary_may_follow: bool) -> str:
    hint = "; with binary tensors, say where it ends in Inference-Header-Content-Length" if binary_may_follow else ""
    return f": {count} bytes follow it{hint}"


def _complete(text: str | bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
