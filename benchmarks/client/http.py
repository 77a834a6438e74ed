"""Just enough HTTP/1.1 to send a prepared request and to know where its answer ends.

By hand, because a parser costs more than the rest of the client, which shares the machine with the server it measures.
The results say how much of a core the client took.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pitstop.loading.http_answer import joined

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_CLOSE = b"\r\nconnection: close"
_LAST_CHUNK = b"0\r\n\r\n"
UNTIL_LAST_CHUNK = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, taken apart. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a POST as it goes over the wire, to be sent any number of times."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + _END + body


def whole_length(data: bytes) -> int:
    """Return how long the answer that starts `data` is, head included; 0 while its head is not all there.

    UNTIL_LAST_CHUNK stands for a chunked answer, whose length nobody knows.
    """
    end = data.find(_END)
    if end < 0:
        return 0
    head = data[:end].lower()
    at = head.find(_LENGTH)
    if at < 0:
        return UNTIL_LAST_CHUNK if b"transfer-encoding: chunked" in head else end + len(_END)
    stop = head.find(b"\r\n", at)
    return end + len(_END) + int(head[at + len(_LENGTH) : stop if stop > 0 else None])


def is_whole(data: bytes, length: int) -> bool:
    """Tell whether an answer of this `whole_length` has come in full."""
    return data.endswith(_LAST_CHUNK) if length == UNTIL_LAST_CHUNK else len(data) >= length


def closes(data: bytes) -> bool:
    """Tell whether the server closes the connection behind a whole answer."""
    return _CLOSE in data[: data.find(_END)].lower()


def status_of(data: bytes) -> int:
    return int(data[9:12])


def parse(data: bytes) -> Answer:
    """Take a whole answer apart; slow, for the answers whose content is looked at."""
    head, _, body = data.partition(_END)
    lines = head.decode("latin-1").split("\r\n")[1:]
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "chunked" in headers.get("transfer-encoding", ""):
        body = joined(body)
    return Answer(status_of(data), headers, body)
