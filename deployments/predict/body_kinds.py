"""Recognises the bodies of /predict, also common mistakes, for which the error names the command that works."""

import re

import orjson

from ..protocol.json_text import BOM

SEND = "send the file's bytes alone, with curl --data-binary @FILE"
_DROPPED = re.compile(rb"[\r\n\0]")
# The first characters, in base64, of the formats that the image reader takes.
_BASE64 = (b"iVBORw0KGgo", b"/9j/", b"UklGR", b"R0lGOD")
# As TorchServe, KServe v1 and TensorFlow Serving take it.
_BASE64_IN_JSON = re.compile(
    rb'"b64"\s{0,8}:|"(?:data:[\w/+.-]{0,100};base64,|' + b"|".join(map(re.escape, _BASE64)) + rb")"
)
# A search holds up every other request, and what it looks for begins early.
_SEARCHED_BYTES = 4096


def is_json(body: bytes, content_type: str) -> bool:
    """Return whether a body is meant as JSON, by its content type or its first character."""
    kind = content_type.lower()
    if kind.startswith(("image/", "audio/", "video/")):
        return False
    utf_16 = body[:2] in (b"\xff\xfe", b"\xfe\xff")
    return "json" in kind or utf_16 or body[:64].removeprefix(BOM).lstrip()[:1] in (b"{", b"[", b"")


def is_data(body: bytes, content_type: str) -> bool:
    """Return whether a body is one row as it is, for a model that takes bytes: text, audio, or any other file.

    JSON is instances, also where a browser has called it text.
    """
    kind = content_type.lower()
    if not body or "json" in kind:
        return False
    if kind.startswith(("image/", "audio/", "video/", "application/octet-stream")):
        return True
    return not (_has_instances(body) if kind.startswith("text/") else is_json(body, content_type))


def unreadable(sentence: str, body: bytes, content_type: str) -> str | None:
    """Return the error of an unreadable body, `sentence`, with a hint; None if there is none."""
    kind = content_type.lower()
    if body[:5].lower() == b"data:":
        return f"the body is a data URL: decode the base64 behind its comma; {sentence}; {SEND}"
    if body.startswith(_BASE64) and body[:64].isascii() and b"\0" not in body[:64]:
        return f"the body looks like base64: decode it; {sentence}; {SEND}"
    # curl's own name for what it sends, but -d would have dropped these.
    if kind.startswith("application/x-www-form-urlencoded") and not _DROPPED.search(body, 0, _SEARCHED_BYTES):
        return f"{sentence}; curl -d drops line ends: {SEND}"
    if kind.startswith("text/"):
        return f"{sentence}; it was sent as text ({kind.partition(';')[0][:40]}): {SEND}"
    return None


def no_instances(sentence: str, body: bytes, content_type: str) -> str:
    """Return the error of a body that was read as JSON, `sentence`, with a hint, or as it is if there is none."""
    if _BASE64_IN_JSON.search(body, 0, _SEARCHED_BYTES):
        return f"base64 in JSON is not decoded; {sentence}"
    if body and "json" in content_type.lower() and body.removeprefix(BOM).lstrip()[:1] not in b'{["-0123456789tfn':
        return f"{sentence}; it was sent as {content_type.partition(';')[0][:40]}"
    return sentence


def _has_instances(body: bytes) -> bool:
    if body[:64].removeprefix(BOM).lstrip()[:1] != b"{":
        return False
    try:
        found = orjson.loads(body.removeprefix(BOM))
    except orjson.JSONDecodeError:
        return False
    return "instances" in found
