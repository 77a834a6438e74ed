"""pitstop over HTTP beside the six peers, each in fp32 and with the same bf16 module made by hand, in turns.

The limit of each of pitstop's two ways is the forward that it chose, in process, right before and after each round.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import requests

from .. import script
from ..device import Device, bf16_units
from ..measure import measure
from ..peers import PEERS, Peer
from ..peers.pitstop import changed
from ..results import Measured, merged
from ..run import prepare
from ..server import Server
from ..workloads import WORKLOADS, Workload, quick
from .built import Built, Way, as_shipped, fp32, in_process

NO_BF16 = "this CPU has neither AMX-bf16 nor AVX512-BF16, and without either bf16 is slower than fp32"
NAMES = ("resnet50", "minilm")


@dataclass
class Entry:
    """One server of the comparison; `way` is pitstop's config. `precision` is the one its answers are held to."""

    group: str
    peer: Peer
    precision: str
    way: Way | None = None
    starts: list[Measured] = field(default_factory=list)
    limits: list[tuple[dict[str, float], ...]] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        named = {"server": f"{self.peer.name}, {self.group}", "group": self.group}
        found = asdict(merged(self.starts)) | named
        own = {"limits_ms": self.limits, "properties": self.properties}
        return found if self.way is None else found | own


def measured(
    built: Built, names: Sequence[str], peers: Sequence[str], is_quick: bool, passes: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the whole part after each start of a server, with what there is by then."""
    done: list[dict[str, Any]] = []
    for name in names:
        workload = quick(WORKLOADS[name]) if is_quick else WORKLOADS[name]
        workload = replace(workload, loads=(), memory_requests=(), passes=passes or workload.passes)
        entries = entries_of(name, peers)
        for entry in entries:
            if entry.way is not None:
                built.config(entry.way)
        for _ in starts(workload, entries, built):
            servers = [each.as_json() for each in entries if each.starts]
            found = {"name": name, "what": workload.what, "servers": servers}
            yield {"bf16": bf16_units(), "built_s": dict(built.seconds), "workloads": [*done, found]}
        done.append(found)


def entries_of(name: str, peers: Sequence[str]) -> list[Entry]:
    """Return who is measured: pitstop twice, the peers in fp32, and the peers in bf16."""
    own = [
        Entry(way.title, changed(way.apply), precision, way)
        # What the start chooses as shipped may be bf16.
        for way, precision in ((fp32(name), "fp32"), (as_shipped(name), "bf16"))
    ]
    return [*own, *(Entry(precision, PEERS[peer], precision) for precision in ("fp32", "bf16") for peer in peers)]


def starts(
    workload: Workload, entries: Sequence[Entry], built: Built, measure: Callable[..., Measured] = measure
) -> Iterator[None]:
    """Start every server in turn, there and back, and yield after each start."""
    for precision in ("fp32", "bf16") if bf16_units() else ("fp32",):
        with script.environment(Device("cpu", precision).environment):
            prepare(workload)
    for number in range(workload.passes):
        for entry in entries if number % 2 == 0 else reversed(entries):
            script.say(f"{workload.name}, pass {number + 1} of {workload.passes}: {entry.peer.name}, {entry.group}")
            with script.environment(Device("cpu", entry.precision).environment):
                _start(entry, workload, built, measure)
            yield


def _start(entry: Entry, workload: Workload, built: Built, measure: Callable[..., Measured]) -> None:
    if entry.way is None:
        if entry.precision == "bf16" and not bf16_units():
            found = Measured(entry.peer.name, workload.name, "", 0, None, not_measured=NO_BF16)
        else:
            found = measure(entry.peer, workload)
    else:

        def look(server: Server) -> None:
            url = f"http://127.0.0.1:{server.port}/v2/models/{workload.name}"
            entry.properties = requests.get(url, timeout=10).json()["properties"]

        before = _limit(entry.way, built)
        found = measure(entry.peer, workload, look)
        if not found.not_measured:
            entry.limits.append((before, _limit(entry.way, built)))
    if found.not_measured:
        script.say(f"{workload.name}: {entry.peer.name}, {entry.group}: not measured: {found.not_measured}")
    entry.starts.append(found)


def _limit(way: Way, built: Built) -> dict[str, float]:
    found: dict[str, float] = json.loads(in_process("opened", str(built.config(way)), way.name))
    return found
