"""Talks to the server for the fuzz tests: one connection kept open, one answer read, nothing hidden."""

import http.client
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_TIMEOUT_S = 60


@dataclass
class Talk:
    """A client. `statuses` counts the answers; `wrong` holds what no input may bring about."""

    url: str
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=_TIMEOUT_S)

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> int:
        """Send a request and return its status; a hang raises, a connection that was closed is opened again once."""
        try:
            status, found, answer = self._once(method, path, headers, body)
        except (http.client.RemoteDisconnected, ConnectionError, http.client.CannotSendRequest):
            self._connection.close()
            status, found, answer = self._once(method, path, headers, body)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status >= 500 and not (status == 503 and found.get("retry-after")) and not _as_promised(path, answer):
            self.wrong.append(f"{status} to {method} {path} {headers} {body[:500]!r}")
        return status

    @property
    def sent(self) -> int:
        return sum(self.statuses.values())

    def _once(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        found = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, found


def _as_promised(path: str, answer: bytes) -> bool:
    """The model `open` raises below -1000, which a mutation may well write."""
    return path.startswith("/v2/models/open/") and b"the model failed on this input" in answer


def memory_mib(mark: str) -> dict[str, float]:
    """Return what each replica of a run holds in memory, by its process and name."""
    found = {}
    for process in Path("/proc").iterdir():
        try:
            if not process.name.isdigit() or mark.encode() not in (process / "environ").read_bytes():
                continue
            pages = int((process / "statm").read_text().split()[1])
            name = (process / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
        except (OSError, IndexError):
            continue
        if name.startswith("ray::ServeReplica"):
            found[f"{process.name} {name[:60]}"] = pages * 4096 / 2**20
    return found
