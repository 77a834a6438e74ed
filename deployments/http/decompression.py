"""Inflates gzip and deflate, up to a limit. A gzip body may have several members, as bgzip writes it."""

import sys
import zlib

from ..core.errors import BadRequest, TooLarge

_MIB = 1024 * 1024
_GZIP, _ZLIB, _BARE = 31, 15, -15  # zlib's wbits
# A member costs some microseconds, however small it is.
_MOST_MEMBERS = 65_536
_FIRST_BYTES = 16 * 1024


def bytes_of(limit_mib: float) -> int:
    """Return a limit in bytes, also if it is infinite or larger than an index can be."""
    return int(min(limit_mib * _MIB, sys.maxsize - 1))


def inflate(body: bytes, encoding: str, limit_mib: float) -> bytes:
    """Return a body decompressed.

    Raises:
        BadRequest: the body is not in this encoding, or not complete.
        TooLarge: it would inflate to more than the limit.
    """
    view, inflated, at = memoryview(body), bytearray(), 0
    wbits = _GZIP if encoding == "gzip" else _deflate_wbits(body)
    for _ in range(_MOST_MEMBERS):
        at = _member(view, at, wbits, encoding, inflated, limit_mib)
        if encoding != "gzip" or bytes(view[at : at + 2]) != b"\x1f\x8b":
            break
    if at < len(view):
        raise BadRequest(f"{len(view) - at} bytes are left over after the {encoding} body")
    return bytes(inflated)


def _member(view: memoryview, at: int, wbits: int, encoding: str, inflated: bytearray, limit_mib: float) -> int:
    """Append one member to `inflated`; return where it ends. Pieces grow, so that neither size costs a copy of all."""
    limit, size = bytes_of(limit_mib), _FIRST_BYTES
    stream = zlib.decompressobj(wbits)
    while not stream.eof:
        piece = view[at : at + size]
        if not piece:
            raise BadRequest(f"the {encoding} body is incomplete: send all of it")
        try:
            inflated += stream.decompress(piece, limit + 1 - len(inflated))
        except zlib.error:
            raise BadRequest(f"the body does not decompress as {encoding}, which its Content-Encoding says") from None
        if len(inflated) > limit:
            raise TooLarge(limit_mib)
        at += len(piece) - len(stream.unused_data)
        size *= 2
    return at


def _deflate_wbits(body: bytes) -> int:
    # The standard means zlib's format; many clients send bare deflate. Zlib's two-byte header is divisible by 31.
    return _ZLIB if body[:1] and body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0 else _BARE
