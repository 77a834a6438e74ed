"""Takes a multipart form apart, as `curl -F file=@FILE` and browsers send it: files are rows, fields are parameters.

The standard library's parser is for mail: it would change the line ends of a picture.
"""

import re
from typing import NamedTuple

from ..core.errors import BadRequest

# Each may be decoded to many times its size.
MOST_FILES = 64
MOST_PARTS = 256
_MOST_HEAD_BYTES = 16 * 1024
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_NAME = re.compile(r';\s*name=(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_FILE = re.compile(r";\s*filename\*?=", re.IGNORECASE)


class File(NamedTuple):
    """One file of a form."""

    body: bytes
    content_type: str


class Form(NamedTuple):
    """What a form holds; the fields are text."""

    files: list[File]
    fields: dict[str, str]


def is_form(content_type: str) -> bool:
    return content_type.lower().startswith("multipart/")


def read_form(body: bytes, content_type: str) -> Form:
    """Read a form.

    Raises:
        BadRequest: it is broken, has no file, or more files or parts than are read.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _broken("without the boundary in its Content-Type")
    form = Form([], {})
    for head, content in _parts(body, b"--" + (found[1] or found[2]).encode("latin-1")):
        headers = _headers(head)
        disposition = headers.get("content-disposition", "")
        if _FILE.search(disposition):
            form.files.append(File(content, headers.get("content-type", "")))
        elif name := _NAME.search(disposition):
            form.fields[name[1] or name[2] or ""] = content.decode("utf-8", "replace")
    if not form.files:
        raise _broken("without a file in it")
    if len(form.files) > MOST_FILES:
        raise BadRequest(f"the form has {len(form.files)} files, and at most {MOST_FILES} are read: send fewer at once")
    return form


def _parts(body: bytes, mark: bytes) -> list[tuple[bytes, bytes]]:
    """Return the head and the content of each part; the first mark may have a line break before it, the others must."""
    pieces = (b"\r\n" + body).split(b"\r\n" + mark, MOST_PARTS + 2)
    if len(pieces) > MOST_PARTS + 2:
        raise BadRequest(f"the form has more than {MOST_PARTS} parts: send fewer at once")
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise _broken("and it ends too early")
    parts = []
    for piece in pieces[1:-1]:
        line, _, rest = piece.partition(b"\r\n")
        # A part without headers begins with the empty line that ends them.
        head, blank, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
        if line.strip() or not blank:
            raise _broken("and a part of it has no headers")
        if len(head) > _MOST_HEAD_BYTES:
            raise _broken(f"and the headers of a part are longer than {_MOST_HEAD_BYTES // 1024} KiB")
        parts.append((head, content))
    return parts


def _headers(head: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _broken(why: str) -> BadRequest:
    return BadRequest(f"the body is a multipart form, as curl -F sends it, {why}")
