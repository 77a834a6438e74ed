"""Static files of the root application: pages, scripts and styles that are shipped with it and need no token.

They are read once, so that a request never reaches the disk. Nothing is fetched from elsewhere, and the
Content-Security-Policy lets a browser fetch nothing from elsewhere either. Browsers keep a file and ask with its etag
whether it is still the same: an update of pitstop shows at once.
"""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .bodies import Given, Receive, Response
from .router import Route

INDEX = "index.html"
# By the end of the file's name. A file of another kind, such as a licence, is not served.
_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
    ".json": b"application/json",
}
# Images in style sheets are data URLs. A page may also be in no frame, and its forms are sent nowhere else.
_POLICY = (
    b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'"
)
_HEADERS = (
    (b"cache-control", b"no-cache"),
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class StaticFile(NamedTuple):
    body: bytes
    content_type: bytes
    etag: bytes


def read_files(folder: Path, prefix: str) -> dict[str, StaticFile]:
    """Return the files of a folder by their paths: `prefix` is that of index.html, and the others are below it.

    A path has no slash at its end, so the page at `/` has the prefix "". Raises OSError if the folder cannot be read.
    """
    found = {}
    for file in sorted(folder.iterdir()):
        if file.suffix in _TYPES:
            path = prefix if file.name == INDEX else f"{prefix}/{file.name}"
            body = file.read_bytes()
            # Weak, because it is the same for a compressed answer.
            etag = f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'.encode()
            found[path] = StaticFile(body, _TYPES[file.suffix], etag)
    return found


def static_routes(folder: Path, prefix: str) -> dict[str, Route[Any]]:
    """Return the routes of `read_files`, which answer GET and HEAD."""
    return {
        path: Route(("GET", "HEAD"), partial(_answer, file), open=True)
        for path, file in read_files(folder, prefix).items()
    }


async def _answer(file: StaticFile, _context: Any, headers: Given, _receive: Receive) -> Response:
    described = (*_HEADERS, (b"etag", file.etag))
    if _has(headers.get(b"if-none-match", b""), file.etag):
        return Response(b"", 304, file.content_type, described, compress=False)
    return Response(file.body, 200, file.content_type, described)


def _has(given: bytes, etag: bytes) -> bool:
    """Whether an If-None-Match names this etag, be it as a strong one."""
    named = [each.strip().removeprefix(b"W/") for each in given.split(b",")]
    return b"*" in named or etag.removeprefix(b"W/") in named
